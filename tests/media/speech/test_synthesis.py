"""Text to speech, whatever the engine: what may be said, in which thread, and until when."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from streams.media.audio import Samples
from streams.media.speech import engines
from streams.media.speech.engines import UnknownEngine, register_engine
from streams.media.speech.fair_pool import THREADS
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer, get_tts_model
from tests.media.virtual_time import Gate, settled


@dataclass
class Manner:
    rate: int = 8000


class Clicks(Synthesizer[Manner]):
    """A click for each character."""

    options_class = Manner

    def __init__(self, gate: Gate | None = None) -> None:
        self.said: list[str] = []
        self.threads: set[str] = set()
        self.gate = gate

    def rate(self, options: Manner) -> int:
        return options.rate

    def say(self, text: str, options: Manner) -> Samples:
        self.said.append(text)
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait()
        return np.full(len(text), 1000, np.int16)


async def spoken(engine: Clicks, text: object) -> list[int]:
    return [samples.size async for _, samples in engine.stream_tts(text)]  # type: ignore[arg-type]


def test_a_whole_text() -> None:
    rate, samples = Clicks().tts("One. Two.")
    assert (rate, samples.shape, str(samples.dtype)) == (8000, (1, 8), "int16")
    rate, samples = Clicks().tts("🎉", Manner(rate=44100))
    assert (rate, samples.shape, str(samples.dtype)) == (44100, (1, 0), "int16")


def test_each_sentence_as_it_is_ready() -> None:
    engine = Clicks()
    speech = engine.stream_tts_sync("One. Three. 🎉.", Manner(rate=16000))
    rate, samples = next(speech)
    assert (rate, samples.shape, engine.said) == (16000, (1, 4), ["One."])
    assert [samples.shape for _, samples in speech] == [(1, 6)]


async def test_each_sentence_in_a_thread_of_ours() -> None:
    engine = Clicks()
    assert await spoken(engine, "One. Three.") == [4, 6]
    assert engine.threads == {"stream-synthesis"}


async def test_the_first_is_heard_before_the_text_is_complete() -> None:
    more = asyncio.Event()

    async def written() -> AsyncIterator[str]:
        yield "One. T"
        await more.wait()
        yield "hree."

    speech = Clicks().stream_tts(written())
    assert (await anext(speech))[1].size == 4
    more.set()
    assert [samples.size async for _, samples in speech] == [6]


async def test_an_iterator_that_blocks_does_not_block_the_loop() -> None:
    gate = Gate()

    def written() -> Iterator[str]:
        yield "One. T"
        gate.wait()
        yield "hree."

    speech = Clicks().stream_tts(written())
    assert (await anext(speech))[1].size == 4
    rest = asyncio.create_task(anext(speech))
    await gate.reached.wait()
    await asyncio.sleep(60)
    assert not rest.done()
    gate.open()
    assert (await rest)[1].size == 6
    await speech.aclose()


async def test_a_list_will_do() -> None:
    assert await spoken(Clicks(), ["O", "ne. ", "Three."]) == [4, 6]


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_who_stops_listening_closes_the_text(asynchronous: bool) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def written() -> AsyncIterator[str]:
        try:
            while True:
                yield "One. "
        finally:
            closed.set()

    def written_plainly() -> Iterator[str]:
        try:
            while True:
                yield "One. "
        finally:
            loop.call_soon_threadsafe(closed.set)

    engine = Clicks()
    speech = engine.stream_tts(written() if asynchronous else written_plainly())
    await anext(speech)
    await speech.aclose()
    await closed.wait()
    assert engine.said == ["One."]


async def test_cancelled_in_the_middle_it_says_no_more() -> None:
    gate = Gate()
    engine = Clicks(gate)
    speech = asyncio.create_task(spoken(engine, "One. Two. Three."))
    await gate.reached.wait()
    speech.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speech
    gate.open()
    await settled()
    assert engine.said == ["One."]


async def test_cancelled_while_all_threads_are_busy_it_is_never_said() -> None:
    gates = [Gate() for _ in range(THREADS)]
    busy = [asyncio.create_task(spoken(Clicks(gate), "One.")) for gate in gates]
    for gate in gates:
        await gate.reached.wait()
    engine = Clicks()
    waiting = asyncio.create_task(spoken(engine, "One."))
    await settled()
    waiting.cancel()
    for gate in gates:
        gate.open()
    await asyncio.gather(*busy)
    await settled()
    assert engine.said == []


async def test_streams_take_turns() -> None:
    gates = [Gate() for _ in range(THREADS)]
    busy = [asyncio.create_task(spoken(Clicks(gate), "One.")) for gate in gates]
    for gate in gates:
        await gate.reached.wait()
    said: list[str] = []
    engines = [Clicks(), Clicks()]
    for engine in engines:
        engine.said = said
    speaking = [asyncio.create_task(spoken(engine, f"{n} a. {n} b.")) for n, engine in zip("xy", engines, strict=True)]
    await settled()
    gates[0].open()  # several threads would say them in whatever order the machine lets them run
    await asyncio.gather(*speaking)
    for gate in gates:
        gate.open()
    await asyncio.gather(*busy)
    assert {*said[:2]} == {"x a.", "y a."}


async def test_what_the_engine_raises_is_raised() -> None:
    class Hoarse(Clicks):
        def say(self, text: str, options: Manner) -> Samples:
            raise SynthesisFailed("I have a cold.")

    with pytest.raises(SynthesisFailed, match="a cold"):
        await spoken(Hoarse(), "One.")
    with pytest.raises(SynthesisFailed, match="a cold"):
        Hoarse().tts("One.")


async def test_what_the_text_raises_is_raised() -> None:
    async def written() -> AsyncIterator[str]:
        yield "One. Two"
        raise ConnectionError("the model is gone")

    engine = Clicks()
    with pytest.raises(ConnectionError, match="the model is gone"):
        await spoken(engine, written())
    assert engine.said == ["One."]


def test_options_of_another_engine_are_refused() -> None:
    with pytest.raises(TypeError, match="Clicks takes Manner, not dict"):
        Clicks().tts("One.", {"rate": 9})  # type: ignore[arg-type]


def test_asynchronous_text_needs_the_event_loop() -> None:
    async def written() -> AsyncIterator[str]:
        yield "One."

    with pytest.raises(TypeError, match="needs stream_tts"):
        next(Clicks().stream_tts_sync(written()))  # type: ignore[arg-type]


def test_models_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_registered", {"stt": {}, "tts": {}, "vad": {}})
    register_engine("tts", "clicks", Clicks)
    assert get_tts_model("clicks") is get_tts_model(model="clicks")
    with pytest.raises(UnknownEngine, match="pico, espeak, kokoro, cartesia, clicks"):
        get_tts_model("klicks")
