"""Clients that speak from an array and record what they hear and see: a real aiortc one, and one on a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from streams.media import mulaw
from streams.media.audio import Samples
from streams.media.outputs import Picture

RATE = 48000
FRAME = 960
CLOCK_RATE = 90000

Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Posts an offer body and returns the answer body."""

Direction = Literal["sendrecv", "sendonly", "recvonly"]


class SpokenTrack(MediaStreamTrack):
    """Plays queued samples at 48 kHz in real time, silence in between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Samples] = []
        self._queue = np.zeros(0, np.int16)
        self._start: float | None = None
        self._frames = 0

    def say(self, samples: Samples) -> None:
        self._queue = np.concatenate([self._queue, samples])

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._start is None:
            self._start = loop.time()
        await asyncio.sleep(self._start + self._frames * 0.02 - loop.time())
        samples, self._queue = self._queue[:FRAME], self._queue[FRAME:]
        samples = np.pad(samples, (0, FRAME - samples.size))
        self.sent.append(samples)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._frames * FRAME
        frame.time_base = Fraction(1, RATE)
        self._frames += 1
        return frame


class FilmedTrack(MediaStreamTrack):
    """Shows ``picture``, RGB, ``fps`` times a second."""

    kind = "video"

    def __init__(self, fps: int = 15) -> None:
        super().__init__()
        self.picture: Picture = np.zeros((96, 128, 3), np.uint8)
        self.fps = fps
        self.frames = 0
        self._start: float | None = None

    async def recv(self) -> av.VideoFrame:
        loop = asyncio.get_running_loop()
        if self._start is None:
            self._start = loop.time()
        await asyncio.sleep(self._start + self.frames / self.fps - loop.time())
        frame = av.VideoFrame.from_ndarray(self.picture, format="rgb24")
        frame.pts = self.frames * CLOCK_RATE // self.fps
        frame.time_base = Fraction(1, CLOCK_RATE)
        self.frames += 1
        return frame


class Recorder:
    """What every client records: ``messages`` and ``heard``, which grow while it is connected."""

    rate = RATE

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.heard: list[Samples] = []
        self._changed = asyncio.Event()

    async def message(self, type: str, data: Any = None, *, count: int = 1) -> dict[str, Any]:
        """Wait until ``count`` messages of this type, and data if given, have come."""

        def found() -> list[dict[str, Any]]:
            return [m for m in self.messages if m.get("type") == type and data in (None, m["data"])]

        await self.until(lambda: len(found()) >= count)
        return found()[count - 1]

    async def hears(self, seconds: float, louder_than: int = 500) -> Samples:
        """Wait until this much sound, louder than ``louder_than``, has come, and return everything heard."""
        await self.until(lambda: self.loud(louder_than) >= seconds)
        return np.concatenate(self.heard)

    def loud(self, than: int = 500) -> float:
        """Seconds of sound that have come."""
        return sum(frame.size for frame in self.heard if int(np.abs(frame).max()) > than) / self.rate

    def logged(self) -> list[str]:
        return [m["data"] for m in self.messages if m.get("type") == "log"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is checked whenever something has come."""
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Peer(Recorder):
    """One WebRTC client. ``heard`` is mono at 48 kHz, ``seen`` RGB.

    ``audio`` and ``video``: the direction that is offered, None for no such media. ``configuration``: as the site's
    API gives it.
    """

    def __init__(
        self,
        webrtc_id: str = "",
        audio: Direction | None = "sendrecv",
        video: Direction | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.webrtc_id = webrtc_id or uuid.uuid4().hex
        self.audio, self.video = audio, video
        self.pc = RTCPeerConnection(as_aiortc(configuration or {}))
        self.voice = SpokenTrack()
        self.camera = FilmedTrack()
        self.seen: list[Picture] = []
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self._listening: list[asyncio.Task[None]] = []
        self.channel = self.pc.createDataChannel("text")
        self.channel.on("message", self._on_message)
        self.channel.on("open", lambda: self.channel.send("handshake"))
        self.pc.on("track", self._on_track)
        self.pc.on("connectionstatechange", self._on_state)

    async def offer(self) -> dict[str, Any]:
        tracks: list[tuple[MediaStreamTrack, Direction | None]] = [(self.voice, self.audio), (self.camera, self.video)]
        for track, direction in tracks:
            if direction is not None:
                self.pc.addTransceiver(track.kind if direction == "recvonly" else track, direction=direction)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"type": "offer", "sdp": self.pc.localDescription.sdp, "webrtc_id": self.webrtc_id}

    async def connect(self, post: Post) -> dict[str, Any]:
        answer = await post(await self.offer())
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(20):
            await self.connected.wait()
        return answer

    async def sees(self, count: int) -> Picture:
        """Wait until ``count`` more pictures have come, and return the last."""
        wanted = len(self.seen) + count
        await self.until(lambda: len(self.seen) >= wanted)
        return self.seen[-1]

    async def message_channel_open(self) -> None:
        async with asyncio.timeout(20):
            while self.channel.readyState != "open":  # noqa: ASYNC110 - aiortc may have opened it before
                await asyncio.sleep(0.01)

    async def spoken(self, seconds: float) -> None:
        """Wait until the microphone has sent this much more."""
        until = len(self.voice.sent) + seconds * RATE / FRAME
        while len(self.voice.sent) < until:  # noqa: ASYNC110 - the track announces nothing
            await asyncio.sleep(FRAME / RATE)

    async def close(self) -> None:
        for task in self._listening:
            task.cancel()
        await self.pc.close()

    def _on_message(self, text: str) -> None:
        self.messages.append(json.loads(text))
        self._changed.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening.append(asyncio.ensure_future(self._record(track)))

    async def _record(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame: Any = await track.recv()
                if track.kind == "video":
                    self.seen.append(frame.to_ndarray(format="rgb24"))
                else:
                    self.heard.append(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0])
                self._changed.set()
        except MediaStreamError:
            pass

    def _on_state(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()
        if self.pc.connectionState in ("closed", "failed"):
            self.closed.set()


def as_aiortc(configuration: Mapping[str, Any]) -> RTCConfiguration:
    servers = [RTCIceServer(**server) for server in configuration.get("iceServers", [])]
    return RTCConfiguration(servers, RTCIceTransportPolicy(configuration.get("iceTransportPolicy", "all")))


Application = Callable[[Any, Any, Any], Awaitable[None]]


class SocketPeer(Recorder):
    """One WebSocket client, spoken to as a server speaks to an ASGI application.

    ``events`` is everything that came, in order: JSON bodies and binary frames. ``heard`` is decoded, at ``rate``.
    """

    def __init__(self, application: Application, slug: str, rate: int, headers: dict[str, str]) -> None:
        super().__init__()
        self.rate = rate
        self.id = uuid.uuid4().hex
        self.encoding = "mulaw"
        self.events: list[dict[str, Any] | bytes] = []
        self.accepted: dict[str, Any] | None = None
        self.close_code: int | None = None
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket",
            "path": f"/api/streams/{slug}/websocket/offer",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "subprotocols": [],
        }
        self.task = asyncio.ensure_future(self._run(application, scope))
        self._incoming.put_nowait({"type": "websocket.connect"})

    async def _run(self, application: Application, scope: dict[str, Any]) -> None:
        await application(scope, self._incoming.get, self._take)

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.accept":
            self.accepted = event
        elif event["type"] == "websocket.close":
            code = event.get("code", 1000)
            assert code == 1000 or 3000 <= code <= 4999, f"daphne cannot close with {code}"
            self._end(code)
        else:
            assert self.close_code is None, f"sent after the socket was closed: {event}"
            self._receive(event)
        self._changed.set()

    def _receive(self, event: dict[str, Any]) -> None:
        if event.get("text") is None:
            self.events.append(event["bytes"])
            self.heard.append(np.frombuffer(event["bytes"], "<i2").astype(np.int16))
            return
        body = json.loads(event["text"])
        self.events.append(body)
        if body.get("event") == "media":
            self.heard.append(mulaw.decode(base64.b64decode(body["media"]["payload"], validate=True)))
        else:
            self.messages.append(body)

    def _end(self, code: int) -> None:
        """Servers say goodbye to the application as soon as a socket is closed, from whichever side."""
        if self.close_code is None:
            self.close_code = code
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    @property
    def cookie(self) -> str:
        """The session cookie that came with the handshake."""
        assert self.accepted is not None
        headers = {name.decode().lower(): value.decode() for name, value in self.accepted.get("headers", [])}
        if isinstance(self.accepted.get("subprotocol"), tuple):  # daphne's way
            headers = {name.lower(): value for name, value in self.accepted["subprotocol"][1].items()}
        return headers["set-cookie"].split(";")[0].removeprefix("sessionid=")

    async def event(self, name: str) -> dict[str, Any]:
        """Wait for a JSON body with this "event"."""
        await self.until(lambda: any(m.get("event") == name for m in self.messages))
        return next(m for m in self.messages if m.get("event") == name)

    async def failure(self) -> dict[str, Any]:
        """Wait for the body of a refusal."""
        await self.until(lambda: any("status" in m for m in self.messages))
        return next(m for m in self.messages if "status" in m)

    def send(self, message: Any) -> None:
        """A dict is sent as JSON, text and bytes as they are."""
        text = json.dumps(message) if isinstance(message, dict) else message
        self._incoming.put_nowait({"type": "websocket.receive", "bytes" if isinstance(text, bytes) else "text": text})

    def start(self, **fields: Any) -> None:
        self.encoding = fields.get("encoding", self.encoding)
        self.send({"event": "start", "websocket_id": self.id, **fields})

    def say(self, *parts: Samples, chunk: int = 2048) -> None:
        """As fast as it goes, in messages of any size."""
        samples = np.concatenate(parts)
        for at in range(0, samples.size, chunk):
            piece = samples[at : at + chunk]
            if self.encoding == "pcm16":
                self.send(piece.astype("<i2").tobytes())
            else:
                self.send({"event": "media", "media": {"payload": base64.b64encode(mulaw.encode(piece)).decode()}})

    async def speak(self, *parts: Samples, rate: int = 8000) -> None:
        """As fast as one speaks, which is what live handlers want."""
        samples, loop = np.concatenate(parts), asyncio.get_running_loop()
        began = loop.time()
        for at in range(0, samples.size, rate // 50):
            self.say(samples[at : at + rate // 50])
            await asyncio.sleep(began + at / rate + 0.02 - loop.time())

    async def closed(self) -> int:
        """Wait until the socket is closed and the application has returned, which must not raise."""
        await self.until(lambda: self.close_code is not None)
        assert self.close_code is not None
        await asyncio.wait_for(asyncio.shield(self.task), 10)
        return self.close_code

    async def close(self) -> None:
        """Hang up."""
        self._end(1001)
        await asyncio.wait({self.task}, timeout=10)
        if not self.task.cancelled():
            self.task.exception()
