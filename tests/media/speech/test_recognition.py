"""How recognisers are asked: off the loop, by turns, and while somebody speaks."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.media import weights
from streams.media.audio import Samples
from streams.media.context import Context, current_context
from streams.media.speech import engines
from streams.media.speech.fair_pool import THREADS
from streams.media.speech.recognition import Transcriber, get_stt_model, recognise
from tests.media.virtual_time import Gate, now, settled

RATE = 16000
Audio = tuple[int, np.ndarray[Any, Any]]


class Listener:
    """A recogniser that says how long what it heard was, or whatever the test wants."""

    def __init__(self, answer: Callable[[Samples], str] = lambda samples: f"{samples.size / RATE:g} s") -> None:
        self.answer = answer
        self.heard: list[float] = []
        self.threads: set[str] = set()

    def stt(self, audio: Audio) -> str:
        self.heard.append(audio[1].size / audio[0])
        self.threads.add(threading.current_thread().name)
        return self.answer(audio[1])


class Busy:
    """Keeps every thread of the pool at work until it is told to stop."""

    def __init__(self) -> None:
        self.gates = [Gate() for _ in range(THREADS)]

    async def __aenter__(self) -> "Busy":
        self.jobs = [asyncio.create_task(recognise(Listener(gated(gate)), said(9))) for gate in self.gates]
        for gate in self.gates:
            await gate.reached.wait()
        return self

    async def __aexit__(self, *error: object) -> None:
        for gate in self.gates:
            gate.open()
        await asyncio.gather(*self.jobs)

    async def one_thread_serves(self, jobs: list[asyncio.Task[str]]) -> None:
        """Several would hear them in whatever order the machine lets them run."""
        self.gates[0].open()
        await asyncio.gather(*jobs)


def gated(gate: Gate, text: str = "") -> Callable[[Samples], str]:
    def answer(samples: Samples) -> str:
        gate.wait()
        return text

    return answer


def said(seconds: float) -> Audio:
    return RATE, np.ones(round(seconds * RATE), np.int16)


def piece(seconds: float) -> Samples:
    return said(seconds)[1]


# -- by name


def test_missing_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", tmp_path)
    with pytest.raises(
        weights.WeightsMissing,
        match=r"manage\.py fetch_models moonshine-base-encoder moonshine-base-decoder moonshine-tokenizer",
    ):
        get_stt_model()


def test_unknown_recognisers_are_refused_with_the_choices() -> None:
    with pytest.raises(engines.UnknownEngine, match="moonshine/tiny"):
        get_stt_model("hal")


# -- off the loop, by turns


async def test_it_works_in_a_thread_of_its_own() -> None:
    listener = Listener()
    assert await recognise(listener, said(1.5)) == "1.5 s"
    assert listener.threads == {"stream-recognition"}


async def test_no_more_are_asked_at_once_than_there_are_threads() -> None:
    listener = Listener()
    async with Busy():
        waiting = asyncio.create_task(recognise(listener, said(1)))
        await asyncio.sleep(5)
        assert not listener.heard
    assert await waiting == "1 s"


async def test_speakers_are_served_by_turns_whatever_each_has_asked() -> None:
    listener = Listener()
    async with Busy() as busy:
        jobs = [asyncio.create_task(recognise(listener, said(1), "talkative")) for _ in range(10)]
        jobs += [asyncio.create_task(recognise(listener, said(2 + number), f"{number}")) for number in range(9)]
        await settled()
        await busy.one_thread_serves(jobs)
    last = max(listener.heard.index(2.0 + number) for number in range(9))
    assert last < 10 + THREADS, "nobody waits for the second question of another"


async def test_the_session_whose_handler_asks_is_the_speaker() -> None:
    listener = Listener()

    def ask(webrtc_id: str, seconds: float) -> asyncio.Task[str]:
        token = current_context.set(Context(webrtc_id))
        try:
            return asyncio.create_task(recognise(listener, said(seconds)))
        finally:
            current_context.reset(token)

    async with Busy() as busy:
        jobs = [ask("one", 1) for _ in range(8)] + [ask("other", 2)]
        await settled()
        await busy.one_thread_serves(jobs)
    assert listener.heard.index(2.0) <= THREADS


async def test_a_cancelled_question_is_not_asked() -> None:
    listener = Listener()
    async with Busy():
        jobs = [asyncio.create_task(recognise(listener, said(seconds), "one")) for seconds in (1, 2, 3)]
        await settled()
        jobs[1].cancel()
    await asyncio.gather(jobs[0], jobs[2])
    assert jobs[1].cancelled()
    assert sorted(listener.heard) == [1.0, 3.0]


async def test_whoever_cancels_does_not_wait_and_the_thread_is_there_again_when_it_is_done() -> None:
    gate = Gate()
    slow = asyncio.create_task(recognise(Listener(gated(gate)), said(1)))
    await gate.reached.wait()
    began = now()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert now() == began
    gate.open()
    async with Busy():
        """All threads could be had."""


@pytest.mark.parametrize("moment", range(10))
async def test_cancelled_in_any_moment_of_its_turn_the_next_one_is_served(moment: int) -> None:
    """The turns of the loop from the thread's answer to the next question."""
    loop, listener = asyncio.get_running_loop(), Listener()

    def cancel_in(turns: int) -> None:
        if turns:
            loop.call_soon(cancel_in, turns - 1)
        else:
            first.cancel()

    async with Busy() as busy:
        first, second = (asyncio.create_task(recognise(listener, said(n), n)) for n in (1, 2))
        await settled()
        cancel_in(moment)
        busy.gates[0].open()
    assert await second == "2 s"
    await asyncio.gather(first, return_exceptions=True)
    async with Busy():
        """All threads could be had."""


async def test_what_a_recogniser_raises_reaches_whoever_asked_and_nobody_else() -> None:
    def fail(samples: Samples) -> str:
        raise OSError("the microphone is on fire")

    for _ in range(THREADS + 1):
        with pytest.raises(OSError, match="on fire"):
            await recognise(Listener(fail), said(1))
    assert await recognise(Listener(), said(1)) == "1 s"


# -- while somebody speaks


async def test_partial_texts_come_each_half_second_and_the_whole_at_the_end() -> None:
    partial: list[str] = []
    listener = Listener()
    transcriber = Transcriber(listener, RATE, partial.append)
    for _ in range(60):  # 1.2 s in frames
        transcriber.push(piece(0.02))
        await asyncio.sleep(0.02)
    assert listener.heard == pytest.approx([0.5, 1.0])
    assert partial == ["0.5 s", "1 s"]
    assert transcriber.text == "1 s"
    assert await transcriber.finish() == "1.2 s"


async def test_the_whole_may_be_other_audio_than_was_pushed() -> None:
    transcriber = Transcriber(Listener(), RATE)
    transcriber.push(piece(1))
    assert await transcriber.finish(said(3)) == "3 s"
    assert await transcriber.finish() == "0 s", "the next utterance has begun"


async def test_a_slow_recogniser_is_asked_less_and_never_twice_at_once() -> None:
    gates = [Gate() for _ in range(9)]
    listener = Listener(lambda samples: gated(gates[len(listener.heard) - 1])(samples))
    transcriber = Transcriber(listener, RATE, lambda text: None)

    async def speak(seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            transcriber.push(piece(0.02))
            await asyncio.sleep(0.02)

    await speak(2.5)
    assert len(listener.heard) == 1
    gates[0].open()
    await speak(1.9)
    assert len(listener.heard) == 1, "as long as it took"
    await speak(0.3)
    assert len(listener.heard) == 2
    transcriber.cancel()
    gates[1].open()


async def test_without_anybody_to_tell_only_the_whole_is_recognised() -> None:
    listener = Listener()
    transcriber = Transcriber(listener, RATE)
    for _ in range(100):
        transcriber.push(piece(0.02))
        await asyncio.sleep(0.02)
    assert await transcriber.finish() == "2 s"
    assert len(listener.heard) == 1


async def test_after_the_end_nothing_more_is_told_of_the_utterance() -> None:
    gate, partial = Gate(), list[str]()
    listener = Listener(gated(gate, "too late"))
    transcriber = Transcriber(listener, RATE, partial.append)
    transcriber.push(piece(0.6))
    await gate.reached.wait()
    transcriber.cancel()
    gate.open()
    await asyncio.sleep(1)
    assert partial == []
    assert transcriber.text == ""
    listener.answer = lambda samples: "next"
    transcriber.push(piece(0.6))
    await settled()
    assert partial == ["next"]


async def test_a_failing_recogniser_is_logged_and_the_speaker_is_heard_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(samples: Samples) -> str:
        raise OSError("the microphone is on fire")

    partial: list[str] = []
    listener = Listener(fail)
    transcriber = Transcriber(listener, RATE, partial.append)
    with caplog.at_level(logging.ERROR):
        transcriber.push(piece(0.6))
        await settled()
    assert "could not be recognised" in caplog.text
    listener.answer = lambda samples: "better"
    transcriber.push(piece(0.6))
    await settled()
    assert partial == ["better"]
    listener.answer = fail
    with pytest.raises(OSError, match="on fire"):
        await transcriber.finish()
