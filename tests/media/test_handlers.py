import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from streams.media.audio import Audio
from streams.media.handlers import AsyncStreamHandler, StreamHandler, wait_for_item
from streams.media.outputs import Emitted
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason
from tests.media.client import Client, silence, voice
from tests.media.virtual_time import Gate, now


class Echo(AsyncStreamHandler):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.queue: asyncio.Queue[Audio] = asyncio.Queue()

    def copy(self) -> "Echo":
        return Echo()

    async def receive(self, frame: Audio) -> None:
        self.queue.put_nowait(frame)

    async def emit(self) -> Emitted:
        return await wait_for_item(self.queue)


class SyncEcho(StreamHandler):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frames: list[Audio] = []
        self.threads: dict[str, set[threading.Thread]] = {"receive": set(), "emit": set(), "life": set()}

    def copy(self) -> "SyncEcho":
        return SyncEcho()

    def start_up(self) -> None:
        self.threads["life"].add(threading.current_thread())

    def shutdown(self) -> None:
        self.threads["life"].add(threading.current_thread())

    def receive(self, frame: Audio) -> None:
        self.threads["receive"].add(threading.current_thread())
        self.frames.append(frame)

    def emit(self) -> Emitted:
        self.threads["emit"].add(threading.current_thread())
        return self.frames.pop(0) if self.frames else None


def test_the_defaults_of_fastrtc() -> None:
    for handler in (Echo(), SyncEcho()):
        assert handler.expected_layout == "mono"
        assert (handler.output_sample_rate, handler.input_sample_rate, handler.fps) == (24000, 48000, 30)
        assert handler.output_frame_size == 480


def test_an_output_rate_must_give_whole_frames() -> None:
    with pytest.raises(ValueError, match="multiple of 50"):
        Echo(output_sample_rate=11025)


def test_a_handler_without_a_session_says_so() -> None:
    with pytest.raises(RuntimeError, match="not connected yet"):
        Echo().clear_queue()


@pytest.mark.parametrize("make", [Echo, SyncEcho])
async def test_an_echo_is_heard(make: type[Echo] | type[SyncEcho]) -> None:
    client = await Client(make(output_sample_rate=48000)).connect()
    said = voice(1)
    await client.speak(silence(0.1), said, silence(0.2))
    heard = np.trim_zeros(client.hear())
    assert heard.tolist() == np.trim_zeros(said).tolist()
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_frames_have_one_row_at_the_handlers_rate() -> None:
    class Noting(SyncEcho):
        def emit(self) -> Emitted:
            return None

    handler = Noting(input_sample_rate=16000)
    client = await Client(handler).connect()
    await client.speak(voice(1.06))
    assert {rate for rate, _ in handler.frames} == {16000}
    assert {str(array.dtype) for _, array in handler.frames} == {"int16"}
    assert {array.shape[0] for _, array in handler.frames} == {1}
    assert sum(array.size for _, array in handler.frames) == pytest.approx(16800, abs=400)
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_sync_code_runs_in_two_threads_of_the_session() -> None:
    handler = SyncEcho()
    client = await Client(handler).connect()
    await client.speak(voice(0.5))
    await client.session.close(Reason.CLIENT_CLOSED)
    receiving, emitting = handler.threads["receive"], handler.threads["emit"]
    assert len(receiving) == len(emitting) == 1
    assert receiving != emitting
    assert threading.main_thread() not in receiving | emitting | handler.threads["life"]
    for thread in receiving | emitting | handler.threads["life"]:
        thread.join()


async def test_messages_and_clearing_from_a_thread() -> None:
    class Chatty(SyncEcho):
        def receive(self, frame: Audio) -> None:
            self.send_message_sync({"type": "warning", "data": "careful"})
            self.clear_queue()

        def emit(self) -> Emitted:
            return None

    client = await Client(Chatty()).connect()
    client.session.playout.hold()
    client.session.playout.write(voice(1))
    await client.speak(voice(0.04))
    assert client.transport.texts("warning")[0] == "careful"
    assert client.session.playout.buffered == 0
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_message_from_an_async_handler() -> None:
    class Chatty(Echo):
        async def start_up(self) -> None:
            await self.send_message({"type": "warning", "data": "hello"})

    client = await Client(Chatty()).connect()
    assert client.transport.texts("warning") == ["hello"]
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_a_shutdown_that_hangs_does_not_keep_the_session() -> None:
    gate = Gate()

    class Hanging(SyncEcho):
        def shutdown(self) -> None:
            gate.wait()

    client, began = await Client(Hanging()).connect(), now()
    await client.session.close(Reason.CLIENT_CLOSED)
    assert client.transport.closed
    assert now() - began < 3
    gate.open()


async def test_options_reach_the_handler() -> None:
    client = Client(Echo(), options={"pace": 2})
    assert client.session.handler.options["pace"] == 2
    with pytest.raises(TypeError):
        client.session.handler.options["pace"] = 3  # type: ignore[index]
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_wait_for_item() -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    began = now()
    assert await wait_for_item(queue) is None
    assert now() - began == pytest.approx(0.1)
    assert await wait_for_item(queue, timeout=0.5) is None
    assert now() - began == pytest.approx(0.6)
    queue.put_nowait("ready")
    assert await wait_for_item(queue) == "ready"
    asyncio.get_running_loop().call_later(0.05, queue.put_nowait, "later")
    assert await wait_for_item(queue) == "later"


def test_copies_are_independent() -> None:
    prototype = ReplyOnPause(lambda audio: None, can_interrupt=False, input_sample_rate=16000)
    first, second = prototype.copy(), prototype.copy()
    assert first is not second
    assert (first.can_interrupt, first.input_sample_rate) == (False, 16000)
    assert first.fn is prototype.fn
