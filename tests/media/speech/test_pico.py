"""SVOX Pico, the real one."""

import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streams.media.audio import Samples
from streams.media.speech.conformance import TextToSpeechContract
from streams.media.speech.pico import LANGUAGES, PicoTTS, PicoTTSOptions
from streams.media.speech.synthesis import TextToSpeech, get_tts_model

TEXT = "The weather will be fine tomorrow."


class TestContract(TextToSpeechContract):
    @pytest.fixture
    def engine(self) -> TextToSpeech:
        return get_tts_model()


@pytest.fixture(scope="module")
def pico() -> PicoTTS:
    return PicoTTS()


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def pitch(samples: Samples, rate: int = 16000) -> float:
    """In Hz, by autocorrelation of the loudest tenth of a second."""
    parts = samples[0, : samples.size // 1600 * 1600].reshape(-1, 1600).astype(float)
    loudest = max(parts, key=lambda part: float(np.dot(part, part)))
    likeness = np.correlate(loudest, loudest, "full")[1599:]
    return rate / (60 + int(likeness[60:320].argmax()))  # 50 to 267 Hz


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_its_voice(pico: PicoTTS, language: str) -> None:
    rate, samples = pico.tts("Radio Roma, 12.", PicoTTSOptions(language=language))
    assert rate == 16000
    assert (str(samples.dtype), samples.shape[0]) == ("int16", 1)
    assert loudness(samples) > 1000
    assert np.abs(samples.astype(int)).max() < 32767, "It clips."


def test_it_begins_and_ends_at_once(pico: PicoTTS) -> None:
    for text in (TEXT, "Fish and cash.", "Yes"):
        loud = np.flatnonzero(np.abs(pico.tts(text)[1][0].astype(int)) > 1000)
        assert loud[0] < 0.15 * 16000
        assert pico.tts(text)[1].size - loud[-1] < 0.4 * 16000


def test_speed(pico: PicoTTS) -> None:
    lengths = [pico.tts(TEXT, PicoTTSOptions(speed=speed))[1].size for speed in (0.5, 1.0, 2.0)]
    assert lengths[0] > 1.5 * lengths[1]
    assert lengths[1] > 1.4 * lengths[2]


def test_pitch(pico: PicoTTS) -> None:
    low, high = (pitch(pico.tts(TEXT, PicoTTSOptions(pitch=value))[1]) for value in (0.7, 1.3))
    assert high > 1.4 * low


def test_volume(pico: PicoTTS) -> None:
    normal, quiet = (loudness(pico.tts(TEXT, PicoTTSOptions(volume=volume))[1]) for volume in (1.0, 0.25))
    assert quiet < 0.5 * normal


def test_options_of_one_sentence_are_not_those_of_the_next(pico: PicoTTS) -> None:
    before = pico.tts(TEXT)[1].size
    pico.tts(TEXT, PicoTTSOptions(speed=2.0, pitch=0.5, volume=2.0))
    assert pico.tts(TEXT)[1].size == pytest.approx(before, rel=0.02)  # its noises are random


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"language": "pt-BR"}, "Pico does not speak pt-BR. It speaks en-US, en-GB, de-DE"),
        ({"speed": 9}, "Pico's speed is 0.2 to 5, not 9."),
        ({"pitch": 0.1}, "Pico's pitch is 0.5 to 2, not 0.1."),
        ({"volume": -1}, "Pico's volume is 0 to 2, not -1."),
    ],
)
def test_options_out_of_range_are_refused_in_words(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        PicoTTSOptions(**options)  # type: ignore[arg-type]


def test_markup_in_a_text_changes_nothing(pico: PicoTTS) -> None:
    plain = pico.tts("It is a trick.")[1]
    tricks = "<volume level='500'>It is</volume> <genfile file='/tmp/x'/>a <speed level='20'> trick."
    assert pico.tts(tricks)[1].size == pytest.approx(plain.size, rel=0.1)


def test_other_scripts_are_passed_over(pico: PicoTTS) -> None:
    for text in ("東京は大きいです。", "Москва большой город.", "مرحبا بالعالم", "नमस्ते दुनिया", "ไทย"):
        assert pico.tts(text)[0] == 16000
    assert loudness(pico.tts(TEXT)[1]) > 500


def test_many_at_once_each_say_their_own(pico: PicoTTS) -> None:
    texts = ["a, " * (number + 1) for number in range(8)]
    alone = [pico.tts(text)[1].size for text in texts]
    with ThreadPoolExecutor(4) as threads:
        together = [samples.size for _, samples in threads.map(pico.tts, texts * 4)]
    assert together == pytest.approx(alone * 4, abs=1600)


def test_speech_leaves_no_memory_behind(pico: PicoTTS) -> None:
    said = pico.tts(TEXT)[1].nbytes
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            pico.tts(TEXT)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < said


async def test_off_the_loop_and_the_first_sentence_first(pico: PicoTTS) -> None:
    parts = [samples async for _, samples in pico.stream_tts(f"{TEXT} {TEXT}")]
    assert len(parts) == 2
    assert [part.size for part in parts] == pytest.approx([pico.tts(TEXT)[1].size] * 2, rel=0.02)
