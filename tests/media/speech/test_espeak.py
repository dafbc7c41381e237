"""eSpeak NG, the real one, where it is installed."""

import re

import numpy as np
import pytest

from streams.media.speech.conformance import TextToSpeechContract
from streams.media.speech.espeak import EspeakTTS, EspeakTTSOptions
from streams.media.speech.synthesis import SynthesisFailed, TextToSpeech, get_tts_model

pytest.importorskip("espeakng_loader")

TEXT = "The weather will be fine tomorrow."


@pytest.fixture
def espeak() -> EspeakTTS:
    engine = get_tts_model("espeak")
    assert isinstance(engine, EspeakTTS)
    return engine


class TestContract(TextToSpeechContract):
    @pytest.fixture
    def engine(self, espeak: EspeakTTS) -> TextToSpeech:
        return espeak


def test_its_rate(espeak: EspeakTTS) -> None:
    assert espeak.tts(TEXT)[0] == 22050


def test_speed_and_volume(espeak: EspeakTTS) -> None:
    normal = espeak.tts(TEXT)[1]
    assert espeak.tts(TEXT, EspeakTTSOptions(speed=2.0))[1].size < 0.7 * normal.size
    quiet = espeak.tts(TEXT, EspeakTTSOptions(volume=0.3))[1]
    assert np.abs(quiet.astype(int)).max() < 0.6 * np.abs(normal.astype(int)).max()
    assert espeak.tts(TEXT)[1].size == pytest.approx(normal.size, rel=0.02)


@pytest.mark.parametrize(("voice", "text"), [("de", "Guten Tag."), ("ja", "こんにちは"), ("ru", "Добрый день.")])
def test_many_languages(espeak: EspeakTTS, voice: str, text: str) -> None:
    assert espeak.tts(text, EspeakTTSOptions(voice=voice))[1].size > 5000


def test_a_voice_that_is_not_there_is_named(espeak: EspeakTTS) -> None:
    with pytest.raises(SynthesisFailed, match="no voice klingon-x"):
        espeak.tts(TEXT, EspeakTTSOptions(voice="klingon-x"))
    assert espeak.tts(TEXT)[1].size > 5000


def test_options_out_of_range_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match=re.escape("eSpeak's speed is 0.5 to 2.5, not 5.")):
        EspeakTTSOptions(speed=5)
