"""The WebSocket route of the real site: FastRTC's protocol, PCM16, and everything that clients do wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streams.live.manager import manager
from streams.media import AsyncStreamHandler, CloseStream, ReplyOnPause, StreamHandler, WebRTCError, mulaw
from streams.media.audio import Audio, Samples, resample
from streams.media.messages import message
from streams.media.outputs import Emitted
from streams.media.session import Reason
from streams.models import Stream
from streams.session_records import written
from tests import speech
from tests.certificate import own_certificate
from tests.listening import find
from tests.loopback.conftest import MakePeer, MakeSocket, MakeStream, poster, sessions_gone
from tests.loopback.peer import SocketPeer
from tests.loopback.test_modalities import AsyncTone, Seen, SyncTone, check_audio, each, pitch, replying, tone
from tests.loopback.test_offers import own_threads
from tests.site.server import running_site

PAUSE = 1.5


def said(rate: int, number: int = 4) -> Samples:
    source, samples = speech.sentence(number)
    return resample(samples, source, rate)


def pause(rate: int) -> Samples:
    return np.zeros(round(PAUSE * rate), np.int16)


class Echo(AsyncStreamHandler):
    """The shipped live echo, with start-ups and shutdowns counted."""

    shut = 0

    def __init__(self) -> None:
        super().__init__(input_sample_rate=8000, output_sample_rate=8000)
        self.frames: asyncio.Queue[Audio] = asyncio.Queue(5)

    def copy(self) -> Echo:
        return Echo()

    async def receive(self, frame: Audio) -> None:
        await self.frames.put(frame)

    async def emit(self) -> Emitted:
        return await self.frames.get()

    async def shutdown(self) -> None:
        Echo.shut += 1


@pytest.fixture
async def slug(stream: MakeStream) -> str:
    Echo.shut = 0
    return (await stream(Echo(), concurrency_limit=2)).slug


# -- FastRTC's protocol


@pytest.mark.parametrize("encoding", ["mulaw", "pcm16"])
async def test_every_kind_of_audio_handler(stream: MakeStream, socket: MakeSocket, encoding: str) -> None:
    seen = Seen()
    handlers = {"StreamHandler": SyncTone(seen), "AsyncStreamHandler": AsyncTone(seen), **replying(seen, tone(0.5))}

    async def talk(name: str) -> None:
        rate = 48000 if encoding == "pcm16" else 16000
        client = socket(slugs[name], rate=48000 if encoding == "pcm16" else 24000)
        client.start(**({"encoding": "pcm16", "sample_rate": 48000} if encoding == "pcm16" else {}))
        if encoding == "pcm16":
            assert await client.event("started") == {"event": "started", "encoding": "pcm16", "sample_rate": 48000}
        if name.startswith("Reply"):
            client.say(said(rate), pause(rate), chunk=320)
        else:
            await speak_until_heard(client, seen, said(rate)[: rate // 2], rate)
        heard = await client.hears(0.3, louder_than=3000)
        loud = heard[np.flatnonzero(np.abs(heard) > 3000)[0] :]
        assert pitch(loud[: client.rate // 5], client.rate) == pytest.approx(500, abs=10)
        check_audio(seen.of(client.id), whole_utterance=name.startswith("Reply"))

    slugs = {name: (await stream(handler)).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, talk))


async def speak_until_heard(client: SocketPeer, seen: Seen, wave: Samples, rate: int) -> None:
    """A live handler is spared what comes late, and the others' audio, which comes at once, can keep the loop busy."""
    async with asyncio.timeout(20):
        while len(seen.of(client.id)) < 5:
            await client.speak(wave, rate=rate)


async def test_a_conversation_as_fastrtcs_client_has_it(stream: MakeStream, socket: MakeSocket) -> None:
    def reply(audio: Audio) -> Iterator[Audio]:
        yield audio

    handler = ReplyOnPause(reply, input_sample_rate=48000, output_sample_rate=24000)
    client = socket((await stream(handler)).slug)
    client.start()
    client.send({"event": "ping"})
    await client.event("pong")
    client.say(said(48000), pause(48000))
    await client.message("log", "response_starting")
    await client.until(lambda: sum(frame.size for frame in client.heard) > 24000)
    client.send({"event": "stop"})
    await client.closed()
    assert client.logged()[:3] == ["started_talking", "pause_detected", "response_starting"]
    assert not any(m.get("event") == "started" for m in client.messages), "FastRTC's clients know no such event"
    heard = np.concatenate(client.heard)
    assert find(said(24000)[6000:14000], heard)[1] > 0.9
    await sessions_gone()


async def test_what_fastrtcs_client_sends_is_echoed(slug: str, socket: MakeSocket) -> None:
    """2048 samples at a time, at its own pace."""
    client = socket(slug, rate=8000)
    client.start()
    wave = said(8000, 1)
    for at in range(0, 8192, 2048):
        client.say(wave[at : at + 2048])
        await asyncio.sleep(2048 / 8000)
    await client.until(lambda: sum(frame.size for frame in client.heard) > 5000)
    assert find(wave[4096:6144], np.concatenate(client.heard))[1] > 0.95


async def test_the_end_is_announced_after_the_last_word(stream: MakeStream, socket: MakeSocket) -> None:
    def goodbye(audio: Audio) -> Iterator[Emitted]:
        yield tone(0.6)
        yield CloseStream("Bye then")

    client = socket((await stream(ReplyOnPause(goodbye, input_sample_rate=16000))).slug)
    client.start()
    client.say(said(16000), pause(16000))
    assert await client.closed() == 1000
    assert client.messages[-1] == message("end_stream", "Bye then")
    assert client.loud() == pytest.approx(0.6, abs=0.1)
    assert len(manager) == 0


async def test_speaking_over_a_reply_clears_it(stream: MakeStream, socket: MakeSocket) -> None:
    def long_reply(audio: Audio) -> Iterator[Audio]:
        for _ in range(100):
            yield tone(0.1)

    client = socket((await stream(ReplyOnPause(long_reply, input_sample_rate=16000))).slug)
    client.start()
    client.say(said(16000), pause(16000))
    await client.hears(0.4)
    client.say(said(16000, 5))
    await client.event("clear")
    at = client.events.index({"event": "clear"})
    await client.message("log", "started_talking", count=2)
    await asyncio.sleep(0.5)
    assert [body for body in client.events[at:] if isinstance(body, dict) and body.get("event") == "media"] == []


async def test_errors_of_handlers_are_told_and_the_next_utterance_is_answered(
    stream: MakeStream, socket: MakeSocket
) -> None:
    calls = []

    def reply(audio: Audio) -> Iterator[Audio]:
        calls.append(audio)
        if len(calls) == 1:
            raise WebRTCError("The kitchen is closed")
        yield tone(0.3)

    client = socket((await stream(ReplyOnPause(reply, input_sample_rate=16000))).slug)
    client.start()
    client.say(said(16000), pause(16000))
    assert (await client.message("error"))["data"] == "The kitchen is closed"
    client.say(said(16000, 5), pause(16000))
    await client.hears(0.25)


# -- how it ends


@pytest.mark.parametrize("how", ["stop", "hang up", "api", "server", "time limit"])
async def test_every_end_shuts_the_handler_down_and_frees_the_slot(
    stream: MakeStream, socket: MakeSocket, transactional_db: None, how: str
) -> None:
    Echo.shut = 0
    slug = (await stream(Echo(), concurrency_limit=1, time_limit=1 if how == "time limit" else None)).slug
    threads = own_threads()
    client = socket(slug)
    client.start()
    await client.speak(said(8000)[:1600])
    await client.until(lambda: bool(client.heard))
    match how:
        case "stop":
            client.send({"event": "stop"})
        case "hang up":
            await client.close()
        case "api":
            next(iter(manager._live.values())).session.close(Reason.CLIENT_CLOSED)
        case "server":
            await manager.close_all(Reason.SERVER_SHUTDOWN, 4)
    await client.closed()
    await sessions_gone()
    assert Echo.shut == 1
    told = [m["data"] for m in client.messages if m.get("type") == "end_stream"]
    assert told == {"server": [Reason.SERVER_SHUTDOWN.value], "time limit": [Reason.TIME_LIMIT.value]}.get(how, [])
    assert own_threads() <= threads
    if how == "server":
        manager._draining = False
    again = socket(slug)
    again.start()
    await again.speak(said(8000)[:1600])
    await again.until(lambda: bool(again.heard))


async def test_sync_handlers_threads_end_with_the_socket(stream: MakeStream, socket: MakeSocket) -> None:
    shut = threading.Event()

    class Sync(StreamHandler):
        def copy(self) -> Sync:
            return Sync()

        def receive(self, frame: Audio) -> None:
            pass

        def emit(self) -> Emitted:
            return tone(0.02)

        def shutdown(self) -> None:
            shut.set()

    before = own_threads()
    client = socket((await stream(Sync())).slug)
    client.start()
    await client.hears(0.1)
    await client.close()
    await sessions_gone()
    assert shut.is_set()
    async with asyncio.timeout(5):
        while own_threads() > before:  # noqa: ASYNC110 - threads announce nothing
            await asyncio.sleep(0.01)


async def test_a_socket_that_dies_with_the_server_frees_its_slot(slug: str, socket: MakeSocket) -> None:
    """Servers cancel applications that do not return in time."""
    client = socket(slug)
    client.start(encoding="mulaw")
    await client.event("started")
    client.task.cancel()
    await sessions_gone()
    assert Echo.shut == 1


# -- what clients do wrong

MISTAKES: dict[str, Any] = {
    "no json": "hello",
    "no event": {"type": "offer"},
    "unknown event": {"event": "dance"},
    "binary where JSON is due": b"\x00\x01",
    "odd bytes": b"\x00",
    "nothing": "",
    "bad base64": {"event": "media", "media": {"payload": "!!!"}},
    "media before start": {"event": "media", "media": {"payload": "////"}},
    "start without an id": {"event": "start"},
    "deep JSON": "[" * 100_000,
}


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("what", MISTAKES)
async def test_mistakes_are_told_and_forgiven(slug: str, socket: MakeSocket, what: str, started: bool) -> None:
    client = socket(slug, rate=8000)
    if started:
        client.start(encoding="mulaw")
        await client.event("started")
    client.send(MISTAKES[what])
    if what == "media before start" and started:
        client.send({"event": "media"})
    sentence = (await client.message("error"))["data"]
    assert sentence.endswith((".", "."))
    assert "Traceback" not in sentence
    assert len(manager) == started
    if not started:
        client.start()
    await client.speak(said(8000)[:1600])
    await client.until(lambda: bool(client.heard))
    await client.close()
    await sessions_gone()


async def test_a_second_start_is_a_mistake_and_changes_nothing(slug: str, socket: MakeSocket) -> None:
    client = socket(slug, rate=8000)
    client.start()
    client.send({"event": "start", "websocket_id": "another"})
    assert "started already" in (await client.message("error"))["data"]
    assert len(manager) == 1
    client.say(said(8000))
    await client.until(lambda: bool(client.heard))


async def test_audio_in_the_other_encoding_is_a_mistake(slug: str, socket: MakeSocket) -> None:
    first, second = socket(slug), socket(slug)
    first.start()
    first.send(b"\x00\x00" * 160)
    assert "mulaw" in (await first.message("error"))["data"]
    second.start(encoding="pcm16", sample_rate=16000)
    second.send({"event": "media", "media": {"payload": base64.b64encode(mulaw.encode(tone(0.1)[1][0])).decode()}})
    assert "pcm16" in (await second.message("error"))["data"]


async def test_too_many_mistakes_close_the_socket(slug: str, socket: MakeSocket) -> None:
    client = socket(slug)
    client.start()
    for _ in range(100):
        client.send("nonsense")
    assert await client.closed() == 4008
    assert len([m for m in client.messages if m.get("type") == "error"]) == 20
    await sessions_gone()
    assert Echo.shut == 1


async def test_a_flood_closes_the_socket(slug: str, socket: MakeSocket) -> None:
    client = socket(slug)
    client.start()
    for _ in range(40):
        client.say(np.zeros(8000, np.int16), chunk=8000)
    await client.closed()
    assert (await client.message("end_stream"))["data"] == Reason.FLOODED.value
    await sessions_gone()


async def test_an_id_in_use_is_refused_and_its_owner_is_not_harmed(
    slug: str, socket: MakeSocket, transactional_db: None
) -> None:
    victim, thief = socket(slug, rate=8000), socket(slug)
    victim.start(encoding="mulaw")
    await victim.event("started")
    thief.id = victim.id
    thief.start()
    assert await thief.failure() == {"status": "failed", "meta": {"error": "connection_already_exists"}}
    assert await thief.closed() == 1000
    assert len(manager) == 1
    heard = len(victim.heard)
    await victim.speak(said(8000)[:1600])
    await victim.until(lambda: len(victim.heard) > heard)
    second, third = socket(slug), socket(slug)
    second.start(encoding="mulaw")
    await second.event("started")
    third.start()
    assert (await third.failure())["meta"] == {"error": "concurrency_limit_reached", "limit": 2}


async def test_what_comes_after_a_refusal_opens_nothing(slug: str, socket: MakeSocket) -> None:
    victim, client = socket(slug), socket(slug)
    victim.start(encoding="mulaw")
    await victim.event("started")
    client.send({"event": "start", "websocket_id": victim.id})
    client.send({"event": "start", "websocket_id": "another"})
    client.send({"event": "ping"})
    await client.closed()
    assert client.messages == [{"status": "failed", "meta": {"error": "connection_already_exists"}}]
    await asyncio.sleep(0.05)
    assert len(manager) == 1


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("unknown", "unknown_stream"),
        ("login", "login_required"),
        ("off", "stream_disabled"),
        ("gone", "handler_missing"),
    ],
)
async def test_streams_that_may_not_be_used_say_why(
    slug: str, socket: MakeSocket, transactional_db: None, case: str, error: str
) -> None:
    """Clients send their start as soon as the socket is open, so it is there already when it is refused."""
    changes: dict[str, dict[str, Any]] = {
        "login": {"access": "login"},
        "off": {"enabled": False},
        "gone": {"handler": "gone"},
    }
    if case in changes:
        await Stream.objects.filter(slug=slug).aupdate(**changes[case])
    client = socket("nowhere" if case == "unknown" else slug)
    client.start()
    client.say(said(8000))
    failure = await client.failure()
    assert failure["meta"]["error"] == error
    assert failure["meta"]["detail"]
    await client.closed()
    assert len(client.messages) == 1
    assert len(manager) == 0


async def test_pictures_do_not_go_over_a_websocket(socket: MakeSocket, transactional_db: None) -> None:
    client = socket("flip")
    client.start()
    assert (await client.failure())["meta"]["error"] == "unsupported_media"
    await client.closed()
    assert len(manager) == 0


async def test_hanging_up_before_start_leaves_nothing(slug: str, socket: MakeSocket) -> None:
    tasks = asyncio.all_tasks()
    for _ in range(10):
        client = socket(slug)
        await client.until(lambda client=client: client.accepted is not None)  # type: ignore[misc]
        await client.close()
        assert client.task.exception() is None
    assert len(manager) == 0
    assert not (asyncio.all_tasks() - tasks)


async def test_a_hundred_short_sessions_leave_nothing(slug: str, socket: MakeSocket) -> None:
    tasks, threads = asyncio.all_tasks(), own_threads()
    for _ in range(50):
        clients = [socket(slug), socket(slug)]
        for client in clients:
            client.start()
            client.say(said(8000))
            client.send({"event": "stop"})
        await asyncio.gather(*(client.closed() for client in clients))
        await sessions_gone()
    assert Echo.shut == 100
    await written()
    assert not (asyncio.all_tasks() - tasks)
    assert own_threads() <= threads


async def test_a_handler_that_cannot_be_copied_harms_nobody(
    stream: MakeStream, socket: MakeSocket, caplog: pytest.LogCaptureFixture
) -> None:
    class Uncopiable(Echo):
        def copy(self) -> Uncopiable:
            raise RuntimeError("no key")

    caplog.set_level(logging.CRITICAL, "streams")
    client = socket((await stream(Uncopiable())).slug)
    client.start()
    await asyncio.wait({client.task}, timeout=5)
    assert client.task.done()
    assert len(manager) == 0


async def test_mistakes_on_a_real_server_leave_no_traceback(tmp_path: Path) -> None:
    """What autobahn and daphne make of it; ``running_site`` reads the log."""
    start = '{"event":"start","websocket_id":"one","encoding":"mulaw"}'
    with running_site(tmp_path) as site:
        route = f"{site.url.replace('http', 'ws')}/api/streams/%s/websocket/offer"

        async def say(slug: str, *messages: str | bytes) -> tuple[int | None, list[Any]]:
            """Everything at once. Returns the close code and what was answered."""
            async with asyncio.timeout(10), connect(route % slug) as socket:
                for each in messages:
                    with contextlib.suppress(ConnectionClosed):
                        await socket.send(each)
                answers: list[Any] = []
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        answers.append(await socket.recv())
                return socket.close_code, answers

        code, answers = await say("echo", start, *["nonsense"] * 200)
        assert (code, len(answers)) == (4008, 21)
        assert (await say("nowhere", start, b"\0\0"))[0] == 1000
        assert await say("echo", start, "[" * 100_000, '{"event":"stop"}') == (
            1000,
            [
                '{"event": "started", "encoding": "mulaw", "sample_rate": 24000}',
                '{"type":"error","data":"The message is not JSON."}',
            ],
        )
        async with connect(route % "echo") as first:
            await first.send(start)
            await first.recv()
            code, answers = await say("echo", start, start, '{"event":"ping"}')
            assert code == 1000
            assert [json.loads(answer)["meta"]["error"] for answer in answers] == ["connection_already_exists"]
            await first.send('{"event":"ping"}')
            assert await first.recv() == '{"event":"pong"}'


# -- one count for all transports


async def test_one_limit_for_webrtc_and_websocket(slug: str, socket: MakeSocket, peer: MakePeer) -> None:
    caller = peer()
    await caller.connect(poster(slug))
    first = socket(slug)
    first.start(encoding="mulaw")
    await first.event("started")
    full = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 2}}
    second = socket(slug)
    second.start()
    assert await second.failure() == full
    assert await poster(slug)(await peer().offer()) == full
    await first.close()
    await wait_for(1)
    third = socket(slug)
    third.start(encoding="mulaw")
    await third.event("started")
    await caller.close()
    await wait_for(1)
    await peer().connect(poster(slug))


async def wait_for(count: int) -> None:
    async with asyncio.timeout(10):
        while len(manager) > count:  # noqa: ASYNC110 - the manager announces nothing
            await asyncio.sleep(0.01)


async def test_ids_are_one_for_all_transports(slug: str, socket: MakeSocket, peer: MakePeer) -> None:
    caller = peer("same")
    await caller.connect(poster(slug))
    client: SocketPeer = socket(slug)
    client.id = "same"
    client.start()
    assert (await client.failure())["meta"] == {"error": "connection_already_exists"}
    assert len(manager) == 1


async def test_a_full_or_stopping_worker_says_so(
    slug: str, socket: MakeSocket, settings: Any, transactional_db: None
) -> None:
    settings.STREAMS_MAX_SESSIONS = 0
    client = socket(slug)
    client.start()
    assert (await client.failure())["meta"]["error"] == "server_full"
    await manager.close_all(Reason.SERVER_SHUTDOWN, 1)
    client = socket(slug)
    client.start()
    assert (await client.failure())["meta"]["error"] == "shutting_down"


# -- on a real server, with the short way of streams.daphne_socket


def media(samples: Samples) -> str:
    return json.dumps({"event": "media", "media": {"payload": base64.b64encode(mulaw.encode(samples)).decode()}})


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
async def test_a_real_server_echoes_messages_of_all_sizes(tmp_path: Path, tls: bool) -> None:
    certificate = own_certificate(tmp_path) if tls else None
    with running_site(tmp_path, certificate=certificate) as site:
        route = f"{site.url.replace('http', 'ws')}/api/streams/echo-live/websocket/offer"
        await asyncio.gather(*(converse(route, encoding, certificate) for encoding in ("mulaw", "pcm16")))


async def converse(route: str, encoding: str, certificate: Path | None) -> None:
    """At the pace of speech; pings and a mistake among the audio are answered in order."""
    trust = ssl.create_default_context(cafile=certificate) if certificate else None
    wave, sizes = said(48000), [960, 2048, 480, 3000, 24] * 8
    heard: list[Samples] = []
    told: list[str] = []

    def hear(data: str | bytes) -> None:
        if isinstance(data, bytes):
            heard.append(np.frombuffer(data, "<i2").astype(np.int16))
        elif (body := json.loads(data)).get("event") == "media":
            heard.append(mulaw.decode(base64.b64decode(body["media"]["payload"])))
        else:
            told.append(body.get("event") or body["type"])

    async def speak(client: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        began, at = loop.time(), 0
        for number, size in enumerate(sizes):
            piece, at = wave[at : at + size], at + size
            await asyncio.sleep(began + at / 48000 - loop.time())
            await client.send(piece.astype("<i2").tobytes() if encoding == "pcm16" else media(piece))
            if number % 8 == 7:
                await client.send('{"event":"ping"}')
        await client.send("nonsense" * 100)
        await asyncio.sleep(0.2)
        await client.send('{"event":"stop"}')

    async with asyncio.timeout(20), connect(route, ssl=trust) as client:
        start = {"event": "start", "websocket_id": encoding, "encoding": encoding, "sample_rate": 48000}
        await client.send(json.dumps(start))
        speaking = asyncio.create_task(speak(client))
        async for data in client:
            hear(data)
        await speaking
    assert client.close_code == 1000
    assert told == ["started", *["pong"] * 5, "error"]
    assert find(wave[6000 : sum(sizes) - 6000], np.concatenate(heard))[1] > 0.95
