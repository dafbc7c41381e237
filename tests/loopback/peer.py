"""A real aiortc client that speaks from an array and records what it hears."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from streams.media.audio import Samples

RATE = 48000
FRAME = 960

Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Posts an offer body and returns the answer body."""


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


class Peer:
    """One client. ``messages`` and ``heard`` (mono at 48 kHz) grow while it is connected."""

    def __init__(self, webrtc_id: str = "") -> None:
        self.webrtc_id = webrtc_id or uuid.uuid4().hex
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.voice = SpokenTrack()
        self.messages: list[dict[str, Any]] = []
        self.heard: list[Samples] = []
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.channel = self.pc.createDataChannel("text")
        self.channel.on("message", self._on_message)
        self.channel.on("open", lambda: self.channel.send("handshake"))
        self.pc.on("track", self._on_track)
        self.pc.on("connectionstatechange", self._on_state)

    async def offer(self) -> dict[str, Any]:
        self.pc.addTrack(self.voice)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"type": "offer", "sdp": self.pc.localDescription.sdp, "webrtc_id": self.webrtc_id}

    async def connect(self, post: Post) -> dict[str, Any]:
        answer = await post(await self.offer())
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(20):
            await self.connected.wait()
        return answer

    async def message(self, type: str, data: Any = None, *, count: int = 1) -> dict[str, Any]:
        """Wait until ``count`` messages of this type, and data if given, have come."""
        async with asyncio.timeout(20):
            while True:
                found = [m for m in self.messages if m["type"] == type and data in (None, m["data"])]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()

    async def hears(self, seconds: float, louder_than: int = 500) -> Samples:
        """Wait until this much sound, louder than ``louder_than``, has come, and return everything heard."""
        async with asyncio.timeout(20):
            while sum(f.size for f in self.heard if int(np.abs(f).max()) > louder_than) < seconds * RATE:
                self._changed.clear()
                await self._changed.wait()
        return np.concatenate(self.heard)

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
        if self._listening is not None:
            self._listening.cancel()
        await self.pc.close()

    def _on_message(self, text: str) -> None:
        self.messages.append(json.loads(text))
        self._changed.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame: Any = await track.recv()
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.heard.append(samples)
                self._changed.set()
        except MediaStreamError:
            pass

    def _on_state(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()
        if self.pc.connectionState in ("closed", "failed"):
            self.closed.set()
