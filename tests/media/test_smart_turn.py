"""The model that tells whether an utterance is complete: what it hears, what it says, and when it is asked."""

import asyncio
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.media import reply_on_pause, weights
from streams.media.audio import Audio, Samples, resample
from streams.media.outputs import Emitted
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason
from streams.media.smart_turn import SmartTurn, get_smart_turn, log_mel
from streams.media.timing import ReplyTiming, get_reply_timing
from tests import speech
from tests.media.client import Client, silence, voice
from tests.media.virtual_time import Gate, now

RATE = 16000


def chirp(seconds: float, low: float = 100.0, high: float = 7000.0) -> NDArray[np.float32]:
    moments = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * (low + (high - low) * moments / (2 * seconds)) * moments)).astype(np.float32)


# -- features


def mel(hz: float) -> float:
    return hz / (200 / 3) if hz < 1000 else 15 + math.log(hz / 1000) / (math.log(6.4) / 27)


def hertz(mels: float) -> float:
    return mels * 200 / 3 if mels < 15 else 1000 * math.exp((mels - 15) * math.log(6.4) / 27)


def mel_filter(band: int, hz: float) -> float:
    """Slaney's, as in his auditory toolbox: a triangle over the edges of three neighbouring bands, of unit area."""
    low, peak, high = (hertz(mel(8000) * (band + place) / 81) for place in (0, 1, 2))
    height = 2 / (high - low)
    if low < hz <= peak:
        return height * (hz - low) / (peak - low)
    return height * (high - hz) / (high - peak) if peak < hz < high else 0.0


def straightforward(samples: np.ndarray[Any, Any], frames: list[int]) -> np.ndarray[Any, Any]:
    """log10 of the mel power of some frames, by the definitions, in double precision."""
    heard = np.zeros(8 * RATE)
    heard[heard.size - samples.size :] = samples
    heard = (heard - heard.mean()) / math.sqrt(heard.var() + 1e-7)
    mirrored = np.concatenate([heard[200:0:-1], heard, heard[-2:-202:-1]])
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(201), np.arange(400)) / 400)
    filters = np.array([[mel_filter(band, bin * 40) for bin in range(201)] for band in range(80)])
    power = [np.abs(fourier @ (mirrored[160 * frame : 160 * frame + 400] * window)) ** 2 for frame in frames]
    return np.array([np.log10(np.maximum(filters @ each, 1e-10)) for each in power]).T


def test_the_features_are_those_of_whisper() -> None:
    samples, frames = chirp(8.0), [0, 1, 100, 399, 400, 650, 798, 799]
    found = log_mel(samples)
    expected = straightforward(samples, frames)
    assert (found.shape, found.dtype.name) == ((80, 800), "float32")
    loudest = straightforward(samples, list(range(0, 800, 5))).max()
    clear = expected > loudest - 6  # eight decades down, single precision is only noise
    assert clear.sum() > 100
    assert np.abs(4 * found[:, frames] - 4 - expected)[clear].max() < 0.02


def test_a_tone_is_in_its_band() -> None:
    for hz in (300, 1000, 2500, 6000):
        tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(4 * RATE) / RATE)
        loudest = int(log_mel(tone.astype(np.float32))[:, 600].argmax())
        assert hertz(mel(8000) * loudest / 81) < hz < hertz(mel(8000) * (loudest + 2) / 81)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 7.999, 8.0, 20.0])
def test_any_length_gives_eight_seconds_with_the_end_at_the_end(seconds: float) -> None:
    features = log_mel(chirp(seconds) if seconds else np.zeros(0, np.float32))
    assert features.shape == (80, 800)
    assert np.isfinite(features).all()
    if seconds == 1.0:
        assert features[:, :690].max() < features[:, 710:].max()
    if seconds == 20.0:
        assert np.array_equal(features, log_mel(chirp(20.0)[-8 * RATE :]))


def test_only_eight_decades_are_told_apart() -> None:
    features = log_mel(chirp(4.0))
    assert float(features.max() - features.min()) == pytest.approx(2.0, abs=1e-5)


def test_loudness_does_not_matter() -> None:
    assert np.allclose(log_mel(chirp(8.0)), log_mel(np.float32(0.1) * chirp(8.0)), atol=0.01)


# -- the model


@pytest.fixture
def smart_turn() -> Iterator[SmartTurn]:
    """The real model."""
    before = weights.directory()
    weights.set_directory(os.environ.get("STREAMS_MODELS_DIR", Path(__file__).parents[2] / "var/models"))
    weights.fetch("smart-turn")
    yield get_smart_turn()
    weights.set_directory(before)


def said(number: int, share: float = 1.0, rate: int = speech.RATE) -> Samples:
    """That share of a sentence, and the short silence after which it is asked about."""
    sentence = speech.sentence(number)[1]
    heard = np.concatenate([sentence[: round(share * sentence.size)], speech.silence(0.2)])
    return resample(heard, speech.RATE, rate)


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_a_whole_sentence_is_complete(smart_turn: SmartTurn, number: int, rate: int) -> None:
    assert smart_turn.completeness(said(number, rate=rate), rate) > 0.9


@pytest.mark.parametrize(("number", "share"), [(0, 0.7), (1, 0.5), (3, 0.7)])
@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_a_sentence_that_is_broken_off_is_not(smart_turn: SmartTurn, number: int, share: float, rate: int) -> None:
    assert smart_turn.completeness(said(number, share, rate), rate) < 0.5


def test_the_model_is_loaded_once(smart_turn: SmartTurn) -> None:
    smart_turn.warmup()
    assert get_smart_turn() is smart_turn


# -- when it is asked


OUT = 24000
TURN = ["started_talking", "pause_detected", "response_starting", "response_finished"]


class Judge:
    """An EndOfUtteranceModel that says what the test wants."""

    def __init__(self, answer: float | Callable[[Samples], float] = 1.0) -> None:
        self.answer = answer
        self.asked: list[tuple[float, int, int]] = []
        self.threads: set[str] = set()

    def completeness(self, samples: Samples, rate: int) -> float:
        self.asked.append((samples.size / rate, rate, int(np.abs(samples[-round(0.02 * rate) :]).max())))
        self.threads.add(threading.current_thread().name)
        return self.answer(samples) if callable(self.answer) else self.answer


class Talk:
    """A client of a stream that answers with 0.2 s."""

    def __init__(self, judge: Any, **kwargs: Any) -> None:
        self.timings: list[ReplyTiming] = []
        self.client = Client(ReplyOnPause(self._answer, end_of_utterance=judge, **kwargs))

    def _answer(self, audio: Audio) -> Iterator[Emitted]:
        self.timings.append(get_reply_timing())
        yield OUT, voice(0.2, OUT, 3000)[None, :]

    async def __aenter__(self) -> "Talk":
        await self.client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)

    def waits(self) -> list[float]:
        """Seconds from the last word to the decision, of each reply."""
        return [timing.decided - (timing.speech_ended or 0.0) for timing in self.timings]


@pytest.mark.usefixtures("loud_is_speech")
async def test_it_is_asked_off_the_loop_at_the_rate_of_the_handler() -> None:
    judge = Judge()
    async with Talk(judge) as talk:
        await talk.client.speak(silence(0.5), voice(1.0), silence(1.5))
    assert judge.threads == {"stream-end-of-utterance"}
    seconds, rate, end = judge.asked[0]
    assert (rate, end) == (48000, 0), "it hears the silence too"
    assert 1.0 < seconds < 1.6
    assert len(judge.asked) == 1, "who is answered is not judged any more"


@pytest.mark.usefixtures("loud_is_speech")
async def test_complete_is_answered_sooner_and_incomplete_later_than_by_silence() -> None:
    waits = {}
    for mode, answer in (("semantic", 0.999), ("silence", 0.999), ("semantic", 0.001)):
        options = AlgoOptions(end_of_utterance=mode, longest_wait=0.9)  # type: ignore[arg-type]
        async with Talk(Judge(answer), algo_options=options) as talk:
            await talk.client.speak(silence(0.5), voice(1.0), silence(2))
            (waits[mode, answer],) = talk.waits()
            expected = pytest.approx(answer, abs=0.01) if mode == "semantic" else None
            assert talk.timings[0].completeness == expected
            assert talk.client.logs == TURN
    assert waits["semantic", 0.999] + 0.1 < waits["silence", 0.999] < waits["semantic", 0.001] - 0.1
    assert waits["semantic", 0.001] <= 0.9 + 0.04


@pytest.mark.usefixtures("loud_is_speech")
async def test_it_hears_the_end_of_a_long_utterance_only() -> None:
    judge = Judge()
    async with Talk(judge) as talk:
        await talk.client.speak(silence(0.5), voice(20.0), silence(1.5))
    assert judge.asked[0][0] == pytest.approx(8.0, abs=0.1)


@pytest.mark.usefixtures("loud_is_speech")
async def test_a_question_that_nobody_waits_for_any_more_is_not_asked() -> None:
    """While the model is busy with somebody else, the speaker has gone on."""
    gate, slow, quick = Gate(), Judge(), Judge()

    def blocked(samples: Samples) -> float:
        gate.wait()
        return 1.0

    slow.answer = blocked
    async with Talk(slow) as one, Talk(quick) as other:
        await one.client.speak(silence(0.5), voice(1.0), silence(0.3))
        await other.client.speak(silence(0.5), voice(1.0), silence(0.3), voice(1.0))
        assert gate.reached.is_set()
        assert quick.asked == []
        gate.open()
        await other.client.speak(voice(0.2))
        assert quick.asked == []
        await other.client.speak(silence(1.5))
        assert len(quick.asked) == 1
        assert other.client.logs == TURN


@pytest.mark.usefixtures("loud_is_speech")
async def test_while_it_is_busy_silence_decides() -> None:
    gate, judge = Gate(), Judge()

    def blocked(samples: Samples) -> float:
        gate.wait()
        return 0.001

    judge.answer = blocked
    async with Talk(judge) as talk:
        await talk.client.speak(silence(0.5), voice(1.0), silence(1.5))
        assert talk.client.logs == TURN
        assert talk.waits() == [pytest.approx(0.5, abs=0.06)]
        gate.open()
        await talk.client.speak(silence(1))
        assert talk.client.logs == TURN
        assert talk.timings[0].completeness is None


@pytest.mark.usefixtures("loud_is_speech")
async def test_a_model_that_raises_is_told_and_silence_decides() -> None:
    def fail(samples: Samples) -> float:
        raise RuntimeError("the key is 1234")

    async with Talk(Judge(fail)) as talk:
        for turn in (1, 2):
            await talk.client.speak(silence(0.5), voice(1.0), silence(1.5))
            assert talk.client.logs == TURN * turn
        assert talk.waits() == [pytest.approx(0.5, abs=0.06)] * 2
        assert set(talk.client.errors) == {"Something went wrong in this stream. Please try again."}


@pytest.mark.usefixtures("loud_is_speech")
async def test_closing_while_it_is_asked_leaves_nothing_behind() -> None:
    gate, judge = Gate(), Judge()

    def blocked(samples: Samples) -> float:
        gate.wait()
        return 1.0

    judge.answer = blocked
    before = asyncio.all_tasks()
    async with Talk(judge) as talk:
        await talk.client.speak(silence(0.5), voice(1.0), silence(0.3))
        assert gate.reached.is_set()
        began = now()
    assert now() - began < 1
    gate.open()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before


@pytest.mark.usefixtures("loud_is_speech")
async def test_without_the_weights_silence_decides_unless_semantic_is_asked_for() -> None:
    async with Talk(None) as talk:
        await talk.client.speak(silence(0.5), voice(1.0), silence(1.5))
        assert talk.client.logs == TURN
    semantic = ReplyOnPause(lambda audio: audio, algo_options=AlgoOptions(end_of_utterance="semantic"))
    with pytest.raises(weights.WeightsMissing):
        semantic.warm_up()


async def test_the_real_models_together(smart_turn: SmartTurn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole sentence is answered sooner than one broken off, and both by what the model says."""
    monkeypatch.setattr(reply_on_pause, "get_smart_turn", lambda: smart_turn)
    weights.fetch("silero-vad")
    waits = {}
    for share in (1.0, 0.7):
        async with Talk(None) as talk:
            await talk.client.speak(silence(0.5), said(0, share, 48000), silence(2))
            assert talk.client.logs == TURN
            assert talk.timings[-1].completeness is not None
            waits[share] = talk.waits()[-1]
    assert waits[1.0] < 0.5 < waits[0.7]
