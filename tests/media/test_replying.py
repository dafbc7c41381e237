"""Inputs: asked for, waited for, passed on. On a virtual clock."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from streams.media.audio import Audio
from streams.media.context import Context
from streams.media.handlers import AsyncStreamHandler
from streams.media.messages import message
from streams.media.outputs import AdditionalOutputs, Emitted, WebRTCData
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.replying import FRESH_SECONDS, AudioGenerator
from streams.media.session import Reason, Session, SessionConfig
from streams.media.transport import FakeTransport
from tests.media.client import Client, silence, voice
from tests.media.virtual_time import now, settled

pytestmark = pytest.mark.usefixtures("loud_is_speech")

TONE: Audio = (24000, voice(0.2, 24000)[None, :])


class Talker(Client):
    """A client of a stream with inputs."""

    def __init__(self, handler: Any, inputs: list[Any] | None = None, mode: str = "send-receive") -> None:
        super().__init__(handler)
        self.transport = FakeTransport()
        self.outputs: list[tuple[Any, ...]] = []
        config = SessionConfig(mode=mode, debug=True)
        self.session = Session(handler, self.transport, Context("caller"), config=config, inputs=inputs)

    async def talk(self) -> float:
        """Say something, and return when the pause was noticed."""
        before = self.logs.count("pause_detected")
        await self.speak(voice(0.6))
        while self.logs.count("pause_detected") == before:
            await self.speak(silence(0.02))
        return now()


class Note:
    """A function that notes its arguments and when it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.moments: list[float] = []

    def __call__(self, audio: Any, *args: Any) -> Audio:
        self.calls.append(args)
        self.moments.append(now())
        return TONE


class AsyncNote(Note):
    async def __call__(self, audio: Any, *args: Any) -> Audio:  # type: ignore[override]
        return super().__call__(audio, *args)


async def test_initial_values_are_the_arguments_at_first_and_nobody_waits_long_for_others() -> None:
    note = AsyncNote()
    client = Talker(ReplyOnPause(note), inputs=["initial", 1])
    await client.connect()
    asked = await client.talk()
    await asyncio.sleep(1)
    assert note.calls == [("initial", 1)]
    assert note.moments[0] - asked <= FRESH_SECONDS + 0.001
    assert len(client.transport.texts("send_input")) == 1


async def test_an_answer_in_time_reaches_this_reply() -> None:
    note = AsyncNote()
    client = Talker(ReplyOnPause(note), inputs=["initial"])
    await client.connect()
    asked = await client.talk()
    await asyncio.sleep(0.1)
    client.session.set_inputs(["fresh"])
    await asyncio.sleep(0.1)
    assert note.calls == [("fresh",)]
    assert note.moments[0] - asked == pytest.approx(0.1, abs=0.01)


async def test_an_answer_that_comes_too_late_reaches_the_next_reply() -> None:
    note = AsyncNote()
    client = Talker(ReplyOnPause(note), inputs=["initial"])
    await client.connect()
    await client.talk()
    await asyncio.sleep(0.5)
    client.session.set_inputs(["late"])
    await asyncio.sleep(1)
    await client.talk()
    await asyncio.sleep(1)
    assert note.calls == [("initial",), ("late",)]
    assert len(client.transport.texts("send_input")) == 2


async def test_inputs_that_are_needed_and_unknown_are_waited_for() -> None:
    calls: list[Any] = []

    async def needing(audio: Audio, name: str) -> Audio:
        calls.append(name)
        return TONE

    client = Talker(ReplyOnPause(needing))
    await client.connect()
    await client.talk()
    await asyncio.sleep(5)
    assert calls == []
    client.session.set_inputs(["at last"])
    await asyncio.sleep(0.1)
    assert calls == ["at last"]


async def test_inputs_that_never_come_are_missed_in_words() -> None:
    async def needing(audio: Audio, name: str) -> Audio:
        raise AssertionError

    client = Talker(ReplyOnPause(needing))
    await client.connect()
    await client.talk()
    await asyncio.sleep(61)
    assert client.errors == ["The inputs did not arrive within 60 seconds."]


async def test_a_function_of_the_audio_alone_is_called_at_once_and_nothing_is_asked() -> None:
    moments = []

    async def simple(audio: Audio) -> Audio:
        moments.append(now())
        return TONE

    client = Talker(ReplyOnPause(simple), inputs=["unused"])
    await client.connect()
    asked = await client.talk()
    await settled()
    assert moments == [pytest.approx(asked, abs=0.001)]
    assert client.transport.texts("send_input") == []


async def test_a_startup_function_gets_the_inputs_without_the_audio() -> None:
    calls: list[Any] = []

    def startup(*args: Any) -> Iterator[Audio]:
        calls.append(args)
        yield TONE

    client = Talker(ReplyOnPause(AsyncNote(), startup_fn=startup), inputs=["initial", 2])
    await client.connect()
    await asyncio.sleep(1)
    assert calls == [("initial", 2)]
    assert client.logs[:2] == ["response_starting", "response_finished"]


# -- handlers that ask themselves


class Asking(AsyncStreamHandler):
    def __init__(self, timeout: float = 60.0) -> None:
        super().__init__()
        self.timeout = timeout
        self.got: list[Any] = []

    def copy(self) -> "Asking":
        return Asking(self.timeout)

    async def receive(self, frame: Audio) -> None:
        await self.wait_for_args(self.timeout)
        self.got.append(self.latest_args[1:])

    async def emit(self) -> Emitted:
        return None


async def test_wait_for_args_asks_once_and_takes_what_comes() -> None:
    handler = Asking()
    client = Talker(handler)
    await client.connect()
    await client.speak(silence(0.04))
    assert len(client.transport.texts("send_input")) == 1
    assert handler.latest_args == ["__webrtc_value__"]
    client.session.set_inputs([0.5, "x"])
    await client.speak(silence(0.1))
    assert handler.got[0] == [0.5, "x"]
    assert handler.latest_args[0] == "__webrtc_value__"
    assert len(client.transport.texts("send_input")) == 1, "what is known is not asked for again"


async def test_wait_for_args_gives_up_in_words() -> None:
    client = Talker(Asking(2.0))
    await client.connect()
    await client.speak(silence(0.04))
    await asyncio.sleep(2.1)
    assert client.errors == ["The inputs did not arrive within 2 seconds."]


async def test_wait_for_args_on_the_telephone_returns_at_once() -> None:
    handler = Asking()
    client = Talker(handler)
    handler.phone_mode = True
    await client.connect()
    await client.speak(silence(0.04))
    assert handler.got
    assert client.transport.texts("send_input") == []


# -- triggers


@pytest.mark.parametrize("needs_args", [False, True])
async def test_a_typed_text(needs_args: bool) -> None:
    given: list[Any] = []

    async def fn(data: Any) -> Audio:
        given.append(data)
        return TONE

    client = Talker(ReplyOnPause(fn, needs_args=needs_args))
    await client.connect()
    await client.speak(voice(0.5))
    client.session.trigger_response("hello")
    await asyncio.sleep(0.5)
    assert len(given) == 1
    if needs_args:
        assert isinstance(given[0], WebRTCData)
        assert (given[0].webrtc_id, given[0].textbox) == ("caller", "hello")
        rate, audio = given[0].audio or (0, np.zeros(0))
    else:
        rate, audio = given[0]
    assert rate == 48000
    assert audio.shape[0] == 1
    assert audio.shape[1] / rate == pytest.approx(0.5, abs=0.05)
    assert client.logs[-1] == "response_finished"


async def test_push_to_talk_takes_what_was_said_so_far_and_no_second_time() -> None:
    given: list[Audio] = []

    async def fn(audio: Audio) -> Audio:
        given.append(audio)
        return TONE

    client = Talker(ReplyOnPause(fn))
    await client.connect()
    await client.speak(voice(1.0))
    client.session.trigger_response()
    await client.speak(silence(3))
    assert len(given) == 1
    assert given[0][1].shape[1] / given[0][0] == pytest.approx(1.0, abs=0.05)
    assert client.hear().size > 0


async def test_a_trigger_ends_the_reply_that_is_playing() -> None:
    async def fn(audio: Audio) -> Audio:
        return 24000, voice(30, 24000)[None, :]

    client = Talker(ReplyOnPause(fn))
    await client.connect()
    client.session.trigger_response("one")
    await asyncio.sleep(1)
    client.session.trigger_response("two")
    await asyncio.sleep(1)
    assert client.logs == ["response_starting", "response_starting"]
    assert client.session.playout.buffered < 30


async def test_triggering_what_takes_no_turns_does_nothing() -> None:
    client = Talker(Asking())
    await client.connect()
    client.session.trigger_response("hello")
    assert client.transport.messages == []


# -- on the telephone


async def test_a_replys_outputs_are_the_next_ones_inputs_on_the_telephone() -> None:
    calls: list[tuple[Any, ...]] = []

    def chat(audio: Audio, history: list[str] | None = None) -> Iterator[Emitted]:
        calls.append((history,))
        yield TONE
        yield AdditionalOutputs([*(history or []), f"turn {len(calls)}"])

    handler = ReplyOnPause(chat)
    client = Talker(handler)
    handler.phone_mode = True
    await client.connect()
    for _ in range(3):
        await client.talk()
        await client.speak(silence(1))
    assert calls == [(None,), (["turn 1"],), (["turn 1", "turn 2"],)]
    assert client.transport.texts("send_input") == []


async def test_the_first_reply_on_the_telephone_has_the_initial_values() -> None:
    """Nobody can send any there, and a function that needs them works nevertheless."""
    calls: list[Any] = []

    async def fn(audio: Audio, name: str) -> Audio:
        calls.append(name)
        return TONE

    handler = ReplyOnPause(fn)
    client = Talker(handler, inputs=["initial"])
    handler.phone_mode = True
    await client.connect()
    await client.talk()
    await asyncio.sleep(1)
    assert (calls, client.errors) == (["initial"], [])


# -- mode "receive"


async def test_a_generator_plays_with_the_initial_values_and_ends_the_session() -> None:
    calls: list[Any] = []

    def tune(pitch: int) -> Iterator[Audio]:
        calls.append(pitch)
        yield TONE

    client = Talker(AudioGenerator(tune), inputs=[440], mode="receive")
    await client.connect()
    await asyncio.sleep(2)
    assert calls == [440]
    assert client.hear().size == 4800
    assert client.transport.texts("end_stream") == ["The stream has ended."]


async def test_a_trigger_plays_it_anew_with_the_latest_inputs() -> None:
    calls: list[Any] = []

    def tune(pitch: int) -> Iterator[Audio]:
        calls.append(pitch)
        yield 24000, voice(5, 24000)[None, :]

    client = Talker(AudioGenerator(tune), inputs=[440], mode="receive")
    await client.connect()
    await asyncio.sleep(1)
    client.session.set_inputs([880])
    client.session.trigger_response()
    await asyncio.sleep(1)
    assert calls == [440, 880]
    assert client.transport.texts("end_stream") == []
    await client.session.close(Reason.CLIENT_CLOSED)


# -- mode "send"


async def test_a_handler_that_plays_to_a_client_that_only_sends_does_not_run_hot() -> None:
    class Eager(Asking):
        async def emit(self) -> Emitted:
            self.got.append(now())
            if len(self.got) > 5000:
                await asyncio.Event().wait()
            return TONE

    handler = Eager()
    client = Talker(handler, mode="send")
    await client.connect()
    await asyncio.sleep(1)
    assert len(handler.got) <= 100


async def test_what_is_played_to_a_client_that_only_sends_is_dropped_and_outputs_are_not() -> None:
    async def fn(audio: Audio) -> Emitted:
        return TONE, AdditionalOutputs("noted")

    client = Talker(ReplyOnPause(fn), mode="send")
    await client.connect()
    await client.talk()
    await client.speak(silence(1))
    assert client.hear().size == 0
    assert message("fetch_output", []) in client.transport.messages
    assert client.logs[-1] == "response_finished"
