"""A real aiortc client talks to real handlers through the site's API, in one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from streams.media import (
    AsyncStreamHandler,
    CloseStream,
    Context,
    ReplyOnPause,
    StreamHandler,
    WebRTCError,
    get_current_context,
)
from streams.media.audio import Audio, Samples, resample
from streams.media.outputs import Emitted
from streams.media.transports.webrtc import WebRTCTransport
from tests import speech
from tests.listening import find
from tests.loopback.conftest import MakePeer, MakeStream, poster, sessions_gone
from tests.loopback.peer import RATE


def spoken(number: int) -> Samples:
    rate, samples = speech.sentence(number)
    return resample(samples, rate, RATE)


def tone(seconds: float, rate: int = 24000) -> Audio:
    wave = 8000 * np.sin(2 * np.pi * 500 * np.arange(round(rate * seconds)) / rate)
    return rate, wave.astype(np.int16)[None, :]


async def test_echo_says_back_what_was_said_twice(transactional_db: None, peer: MakePeer) -> None:
    client = peer()
    await client.connect(poster("echo"))
    for turn in (1, 2):
        said = spoken(turn)
        before = len(client.heard)
        client.voice.say(said)
        await client.message("log", "response_finished", count=turn)
        assert find(said[RATE // 2 : RATE], np.concatenate(client.heard[before:]))[1] > 0.8
    events = [m["data"] for m in client.messages if m["type"] == "log"]
    assert events == ["started_talking", "pause_detected", "response_starting", "response_finished"] * 2


async def test_live_echo_sends_everything_back(transactional_db: None, peer: MakePeer) -> None:
    client = peer()
    await client.connect(poster("echo-live"))
    said = spoken(1)
    client.voice.say(said)
    await client.hears(1.5)
    assert find(said[RATE // 2 : RATE], np.concatenate(client.heard))[1] > 0.8


async def test_a_reply_that_raises_says_so_and_the_next_utterance_is_answered(
    stream: MakeStream, peer: MakePeer, settings: Any
) -> None:
    calls = []

    def reply(audio: Audio) -> Iterator[Audio]:
        calls.append(audio)
        if len(calls) == 1:
            raise WebRTCError("The kitchen is closed")
        yield tone(0.3)

    client = peer()
    await client.connect(poster((await stream(ReplyOnPause(reply))).slug))
    client.voice.say(spoken(4))
    assert (await client.message("error"))["data"] == "The kitchen is closed"
    client.voice.say(spoken(5))
    await client.message("log", "response_starting")
    await client.hears(0.25)
    assert len(calls) == 2


async def test_a_handler_that_cannot_begin_says_why(
    stream: MakeStream, peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails as soon as the media is connected. The data channel opens later, in browsers by so much at times."""
    on_channel = WebRTCTransport._on_channel

    def later(transport: WebRTCTransport, channel: Any) -> None:
        asyncio.get_running_loop().call_later(0.3, on_channel, transport, channel)

    monkeypatch.setattr(WebRTCTransport, "_on_channel", later)

    class OutOfOrder(ReplyOnPause):
        async def begin(self) -> None:
            raise WebRTCError("The kitchen has burnt down")

    client = peer()
    await client.connect(poster((await stream(OutOfOrder(lambda audio: None))).slug))
    assert (await client.message("error"))["data"] == "The kitchen has burnt down"
    assert (await client.message("end_stream"))["data"] == "The kitchen has burnt down"


async def test_the_first_200_ms_reach_the_reply(stream: MakeStream, peer: MakePeer) -> None:
    """Ten offsets against the 20 ms frames and 32 ms hops."""
    received: dict[str, Samples] = {}

    async def reply(audio: Audio) -> AsyncIterator[Audio]:
        received[get_current_context().webrtc_id] = audio[1][0]
        yield tone(0.02)

    slug = (await stream(ReplyOnPause(reply))).slug
    said = spoken(4)

    async def speak_after(start: int) -> None:
        client = peer(f"offset-{start}")
        await client.connect(poster(slug))
        client.voice.say(np.concatenate([np.zeros(start, np.int16), said]))
        await client.message("log", "response_finished")

    offsets = [19200 + 317 * n for n in range(10)]
    await asyncio.gather(*map(speak_after, offsets))
    for start in offsets:
        assert find(said[: RATE // 5], received[f"offset-{start}"])[1] > 0.9


async def test_speaking_over_a_reply_silences_it(stream: MakeStream, peer: MakePeer) -> None:
    def long_reply(audio: Audio) -> Iterator[Audio]:
        for _ in range(100):
            yield tone(0.1)

    client = peer()
    await client.connect(poster((await stream(ReplyOnPause(long_reply))).slug))
    client.voice.say(spoken(4))
    await client.hears(0.5)
    client.voice.say(spoken(5))
    await client.message("log", "started_talking", count=2)
    await client.spoken(0.2)  # what aiortc's own jitter buffer still holds
    mark = len(client.heard)
    await client.message("log", "pause_detected", count=2)
    assert all(np.abs(frame).max() < 500 for frame in client.heard[mark:])


async def test_close_stream_ends_after_the_last_word(stream: MakeStream, peer: MakePeer) -> None:
    def goodbye(audio: Audio) -> Iterator[Emitted]:
        yield tone(0.6)
        yield CloseStream("Bye then")

    client = peer()
    await client.connect(poster((await stream(ReplyOnPause(goodbye))).slug))
    client.voice.say(spoken(4))
    assert (await client.message("end_stream"))["data"] == "Bye then"
    await client.closed.wait()
    loud = sum(f.size for f in client.heard if np.abs(f).max() > 1000) / RATE
    assert loud == pytest.approx(0.6, abs=0.1)


class Blocking(StreamHandler):
    """Never returns from emit, as a handler that waits on a queue does."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.shut = False

    def copy(self) -> Blocking:
        copies.append(Blocking())
        return copies[-1]

    def receive(self, frame: Audio) -> None:
        pass

    def emit(self) -> Emitted:
        self.gate.wait()
        return None

    def shutdown(self) -> None:
        self.shut = True
        self.gate.set()


copies: list[Blocking] = []


async def test_blocked_sync_handlers_do_not_slow_a_live_session(
    stream: MakeStream, peer: MakePeer, transactional_db: None
) -> None:
    copies.clear()
    blocking = (await stream(Blocking())).slug
    blocked = [peer() for _ in range(6)]
    for each in blocked:
        await each.connect(poster(blocking))
    client = peer()
    await client.connect(poster("echo-live"))
    client.voice.say(tone(3, RATE)[1][0])
    await client.hears(2.0)
    for each in [*blocked, client]:
        await each.close()
    await sessions_gone()
    assert [copy.shut for copy in copies] == [True] * 6


class Whoami(AsyncStreamHandler):
    def copy(self) -> Whoami:
        return Whoami()

    async def receive(self, frame: Audio) -> None:
        pass

    async def emit(self) -> Emitted:
        return None

    async def start_up(self) -> None:
        seen.put_nowait(get_current_context())


seen: asyncio.Queue[Context] = asyncio.Queue()


async def test_a_handler_knows_its_session(stream: MakeStream, peer: MakePeer) -> None:
    made = await stream(Whoami())
    client = peer("my-id")
    await client.connect(poster(made.slug))
    async with asyncio.timeout(5):
        context = await seen.get()
    assert (context.webrtc_id, context.stream, context.transport) == ("my-id", made.slug, "webrtc")
    assert context.user.is_anonymous
