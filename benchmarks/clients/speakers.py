"""Clients that say recordings in real time, and hear the replies: over WebRTC, and over FastRTC's WebSocket protocol.

Both remember when each 20 ms of what they say was handed to the socket.
"""

import asyncio
import base64
import fractions
import json
import time
import uuid
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import tones
from benchmarks.json_http import post_json
from benchmarks.tones import Heard, Samples
from streams.media import mulaw

RATE = 48000
FRAME = 960
NOISE = 10 ** (-60 / 20) * 32767  # a microphone in a quiet room
LOOK_AHEAD = 312  # samples by which libopus delays what it encodes: 6.5 ms


class Voice:
    """What is said, 20 ms at a time: queued samples, and a quiet room before and after them."""

    def __init__(self, delayed: int = 0) -> None:
        """`delayed`: samples by which the codec puts them into a later frame."""
        self.delayed = delayed
        self.sent_at: list[float] = []
        self.worst_lateness = 0.0
        self.waiting = np.zeros(0, np.int16)
        self.noise = np.random.default_rng(1)
        self.started = 0.0

    def say(self, samples: Samples) -> int:
        """Say this after all that waits. Returns its place, in samples of what is sent."""
        place = len(self.sent_at) * FRAME + self.waiting.size
        self.waiting = np.concatenate([self.waiting, samples])
        return place

    def quiet(self, seconds: float) -> Samples:
        return self.noise.normal(0, NOISE, round(seconds * RATE)).astype(np.int16)

    async def next_frame(self) -> Samples:
        """The next 20 ms, when they have been spoken."""
        if not self.sent_at:
            self.started = time.perf_counter()
        due = self.started + len(self.sent_at) * FRAME / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        now = time.perf_counter()
        self.worst_lateness = max(self.worst_lateness, now - due)
        frame, self.waiting = self.waiting[:FRAME], self.waiting[FRAME:]
        self.sent_at.append(now)
        return np.concatenate([frame, self.quiet((FRAME - frame.size) / RATE)])

    def time_of(self, place: int) -> float:
        """When the sample at this place was handed to the socket."""
        return self.sent_at[(place + self.delayed) // FRAME]

    async def said(self, place: int) -> None:
        """Wait until everything before this place has been sent."""
        while (missing := place + self.delayed + FRAME - len(self.sent_at) * FRAME) > 0:  # noqa: ASYNC110
            await asyncio.sleep(missing / RATE)


class Microphone(MediaStreamTrack):
    """A voice as Opus packets: mono, 32 kb/s, as browsers send it. `sent` is what a decoder makes of them."""

    kind = "audio"

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.voice = voice
        self.encoder = av.CodecContext.create("libopus", "w")
        self.encoder.sample_rate, self.encoder.format, self.encoder.layout = RATE, "s16", "mono"
        self.encoder.bit_rate, self.encoder.options = 32000, {"application": "voip"}
        self.decode = opus_decoder()
        self.sent: list[Samples] = []
        self.frames = 0

    async def recv(self) -> "av.Packet[Any]":
        samples = await self.voice.next_frame()
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self.frames * FRAME
        [encoded] = self.encoder.encode(frame)
        self.sent.append(self.decode(bytes(encoded)))
        packet = av.Packet(bytes(encoded))
        packet.pts, packet.time_base = self.frames * FRAME, fractions.Fraction(1, RATE)
        self.frames += 1
        return packet


def opus_decoder() -> Any:
    codec = av.CodecContext.create("libopus", "r")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE

    def decode(payload: bytes) -> Samples:
        frames = codec.decode(av.Packet(payload))
        return frames[0].to_ndarray()[0] if frames else np.zeros(0, np.int16)

    return decode


class Listener:
    """Keeps what was heard."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []

    def hear(self, at: float, samples: Samples) -> None:
        self.heard.append(Heard(at, samples))

    def replies(self) -> list[tones.Reply]:
        return tones.replies(self.heard)


class WebRTCSpeaker(Listener):
    """A sample is heard when its packet arrives, plus its place in the packet: there is no jitter buffer."""

    def __init__(self, webrtc_id: str = "") -> None:
        super().__init__()
        self.webrtc_id = webrtc_id or uuid.uuid4().hex
        self.voice = Voice(LOOK_AHEAD)
        self.microphone = Microphone(self.voice)
        self.decode = opus_decoder()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connected = asyncio.Event()
        self.messages: list[dict[str, Any]] = []

    async def open(self, url: str) -> None:
        connection = self.connection
        channel = connection.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        channel.on("message", lambda message: self.messages.append(json.loads(message)))
        connection.on("connectionstatechange", self.on_state)
        connection.addTrack(self.microphone)
        # Ahead of aiortc's own jitter buffer and decoder thread.
        connection.getReceivers()[0]._handle_rtp_packet = self.on_packet  # type: ignore[method-assign]
        await connection.setLocalDescription(await connection.createOffer())
        offer = {"sdp": connection.localDescription.sdp, "type": "offer", "webrtc_id": self.webrtc_id}
        answer = await asyncio.to_thread(post_json, url, offer)
        await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await asyncio.wait_for(self.connected.wait(), 15)

    def on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected.set()

    async def on_packet(self, packet: RtpPacket, *_args: Any, **_kwargs: Any) -> None:
        now = time.perf_counter()
        self.hear(now, self.decode(packet.payload))

    async def close(self) -> None:
        await self.connection.close()


class SocketSpeaker(Listener):
    """Speaks 20 ms of mu-law in JSON at a time; has a player, which plays in real time and honours `clear`."""

    def __init__(self) -> None:
        super().__init__()
        self.voice = Voice()
        self.played_until = 0.0
        self.tasks: list[asyncio.Task[None]] = []

    async def open(self, url: str) -> None:
        self.socket: ClientConnection = await connect(url.replace("http", "ws", 1))
        await self.socket.send(json.dumps({"event": "start", "websocket_id": uuid.uuid4().hex}))
        self.tasks = [asyncio.create_task(self.speak()), asyncio.create_task(self.listen())]

    async def speak(self) -> None:
        while True:
            payload = base64.b64encode(mulaw.encode(await self.voice.next_frame())).decode()
            await self.socket.send(json.dumps({"event": "media", "media": {"payload": payload}}))

    async def listen(self) -> None:
        async for message in self.socket:
            body = json.loads(message)
            if body.get("event") == "media":
                self.play(time.perf_counter(), mulaw.decode(base64.b64decode(body["media"]["payload"])))
            elif body.get("event") == "clear":
                self.clear(time.perf_counter())

    def play(self, now: float, samples: Samples) -> None:
        """Queue samples at tones.RATE, which is what both servers send."""
        start = max(now, self.played_until)
        self.played_until = start + samples.size / tones.RATE
        self.hear(start, np.repeat(samples, tones.HEARD_RATE // tones.RATE))

    def clear(self, now: float) -> None:
        """Forget what has not been played."""
        while self.heard and self.heard[-1].at >= now:
            self.heard.pop()
        if self.heard:
            at, samples = self.heard[-1].at, self.heard[-1].samples
            self.heard[-1] = Heard(at, samples[: round((now - at) * tones.HEARD_RATE)])
        self.played_until = min(self.played_until, now)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.socket.close()
