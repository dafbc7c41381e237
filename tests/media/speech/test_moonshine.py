"""The real model, tiny: what it hears in speech, and that it hears nothing in anything else."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.recordings import noises
from benchmarks.word_errors import rate as error_rate
from benchmarks.word_errors import words
from streams.media.audio import Samples, resample
from streams.media.speech.conformance import SpeechToTextContract
from streams.media.speech.moonshine import END, Moonshine, likeliest, repeated
from streams.media.speech.recognition import Transcriber, get_stt_model, recognise
from tests import speech

SAID = [
    "Kokoro is an open-weight TTS model with 82 million parameters.",
    "Despite its lightweight architecture,",
    "it delivers comparable quality to larger models",
    "while being significantly faster",
    "and more cost-efficient.",
    "With Apache-licensed weights,",
    "Kokoro can be deployed anywhere from production environments to personal projects.",
]


class TestMoonshine(SpeechToTextContract):
    @pytest.fixture
    def engine(self, moonshine: Moonshine) -> Moonshine:
        return moonshine


# -- what is said


def test_sentences(moonshine: Moonshine) -> None:
    heard = [moonshine.stt(speech.sentence(number)) for number in range(len(SAID))]
    assert error_rate(zip(SAID, heard, strict=True)) < 0.1


def test_more_than_is_heard_at_once(moonshine: Moonshine) -> None:
    """A minute, with the pauses it has."""
    minute = np.tile(speech.recording(), 3)
    assert error_rate([(" ".join(SAID * 3), moonshine.stt((speech.RATE, minute)))]) < 0.1


def test_a_minute_of_silence_before_and_after_changes_nothing(moonshine: Moonshine) -> None:
    rate, said = speech.sentence(1)
    surrounded = np.concatenate([speech.silence(60), said, speech.silence(60)])
    assert words(moonshine.stt((rate, surrounded))) == words(SAID[1])


@pytest.mark.parametrize("gain", [0.03, 0.3, 3.0])
def test_quiet_and_too_loud(moonshine: Moonshine, gain: float) -> None:
    rate, said = speech.sentence(2)
    louder = np.clip(said * gain, -32768, 32767).astype(np.int16)
    assert words(moonshine.stt((rate, louder))) == words(SAID[2])


def test_in_the_noise_of_a_fan(moonshine: Moonshine) -> None:
    rate, said = speech.sentence(2)
    noise = 0.05 * said.std() * np.random.default_rng(1).standard_normal(said.size)
    assert words(moonshine.stt((rate, (said + noise).astype(np.int16)))) == words(SAID[2])


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.35])
def test_a_piece_of_a_word_is_no_error(moonshine: Moonshine, seconds: float) -> None:
    assert len(words(moonshine.stt(speech.speech(seconds)))) <= 2


def test_a_wrong_dtype_is_refused_in_words(moonshine: Moonshine) -> None:
    with pytest.raises(TypeError, match="int16"):
        moonshine.stt((16000, np.zeros(16000, np.int32)))


# -- what is not said


@pytest.mark.parametrize("hertz", [50, 440, 3000])
def test_a_tone(moonshine: Moonshine, hertz: int) -> None:
    tone = 8000 * np.sin(2 * np.pi * hertz * np.arange(3 * 16000) / 16000)
    assert moonshine.stt((16000, tone.astype(np.int16))) == ""


def test_clicks(moonshine: Moonshine) -> None:
    clicks = np.zeros(3 * 16000, np.int16)
    clicks[::4000] = 30000
    assert moonshine.stt((16000, clicks)) == ""


def test_digital_extremes(moonshine: Moonshine) -> None:
    for value in (-32768, 32767):
        assert moonshine.stt((16000, np.full(16000, value, np.int16))) == ""


def test_coughs_doors_dogs_and_music(moonshine: Moonshine) -> None:
    heard = {noise.name: moonshine.stt((noise.rate, noise.samples)) for noise in noises.load()}
    assert len(heard) >= 30
    assert {name: text for name, text in heard.items() if text} == {}


# -- guards against what such models are known for


@pytest.mark.parametrize(
    ("tokens", "surplus"),
    [
        ([], 0),
        ([5, 6, 7, 8], 0),
        ([5] * 11, 0),
        ([5] * 12, 11),
        ([1, 5, 6] + [5, 6] * 4, 0),  # "no, no, no, no, no"
        ([1] + [5, 6] * 6, 10),
        ([1, 2] + [5, 6, 7] * 3, 0),
        ([1, 2] + [5, 6, 7] * 4, 9),
        ([1, 2] + list(range(10, 20)) * 4, 30),
    ],
)
def test_a_loop_is_noticed_and_what_was_said_once_is_kept(tokens: list[int], surplus: int) -> None:
    assert repeated(tokens) == surplus


def test_a_model_caught_in_a_loop_is_stopped(moonshine: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine, "_decoder", Caught(moonshine._decoder))
    text = moonshine.stt((speech.RATE, speech.recording()))
    assert text
    assert len(words(text)) < 5


def test_no_more_is_heard_than_anybody_can_say(moonshine: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Chatty(moonshine._decoder)
    monkeypatch.setattr(moonshine, "_decoder", decoder)
    moonshine.stt(speech.speech(2.0))
    assert 10 < decoder.steps < 26


def test_that_nothing_was_said_must_be_likelier_than_all_words_together() -> None:
    assert likeliest(np.log(np.array([0.1, 0.2, 0.4, 0.3], np.float32)), first=True) == 3
    assert likeliest(np.log(np.array([0.1, 0.1, 0.6, 0.2], np.float32)), first=True) == END
    assert likeliest(np.log(np.array([0.1, 0.2, 0.4, 0.3], np.float32)), first=False) == END


class Caught:
    """The real decoder, which prefers one word to all others."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._words = self._choice()
        self.steps = 0

    def _choice(self) -> Iterator[int]:
        while True:
            yield 1000

    def run(self, wanted: list[str], inputs: dict[str, Any]) -> list[Any]:
        self.steps += 1
        scores, *present = self._decoder.run(wanted, inputs)
        scores[0, -1, next(self._words)] = 1000.0
        return [scores, *present]


class Chatty(Caught):
    def _choice(self) -> Iterator[int]:
        yield from range(1000, 2000)


# -- together


def test_every_session_has_the_same_model(moonshine: Moonshine) -> None:
    assert get_stt_model("moonshine/tiny") is moonshine


@pytest.mark.real_time
async def test_ten_at_once_are_served_while_the_loop_goes_on(moonshine: Moonshine) -> None:
    """Frames that are due each 20 ms, as a session's are, keep coming meanwhile."""
    frames = 0

    async def play() -> None:
        nonlocal frames
        while True:
            await asyncio.sleep(0.02)
            frames += 1

    player = asyncio.create_task(play())
    began = time.perf_counter()
    jobs = [recognise(moonshine, speech.sentence(2), number) for number in range(10)]
    assert {tuple(words(text)) for text in await asyncio.gather(*jobs)} == {tuple(words(SAID[2]))}
    player.cancel()
    assert frames > 0.5 * (time.perf_counter() - began) / 0.02


async def test_text_while_somebody_speaks(moonshine: Moonshine) -> None:
    partial: list[str] = []
    transcriber = Transcriber(moonshine, 48000, partial.append)
    said: Samples = resample(speech.sentence(0)[1], speech.RATE, 48000)
    for start in range(0, said.size, 960):
        transcriber.push(said[start : start + 960])
        await asyncio.sleep(0.02)
    whole = await transcriber.finish()
    assert error_rate([(SAID[0], whole)]) < 0.2
    assert len(partial) > 4
    assert words(partial[-1])[:4] == words(whole)[:4]
