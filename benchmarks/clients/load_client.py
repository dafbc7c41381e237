"""Open N sessions that send ready packets and only count what comes back: cheap, so that the server is the limit.

python -m benchmarks.clients.load_client URL SESSIONS quiet|voice|video|FILE.s16 [INPUT_URL]

Prints "ready" when every session is connected, and a JSON object for each line it reads: what happened since the last.
Audio counts in packets, video in whole frames. FILE is mono int16 at 48 kHz, said again and again. INPUT_URL gets
{"webrtc_id"} of each session: FastRTC does not call a video function before it has been given inputs.
"""

import asyncio
import fractions
import json
import sys
import time
import uuid
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from benchmarks.clients.video_packets import FPS, HEIGHT, WIDTH, encode_video, size_of
from benchmarks.json_http import post_json

Samples = np.ndarray[Any, np.dtype[np.float64]]

RATE = 48000
FRAME = 960
VIDEO_CLOCK = 90000
LOOP_SECONDS = 10
BETWEEN_OFFERS = 0.25


def quiet_room() -> Samples:
    return np.random.default_rng(1).normal(0, 10 ** (-60 / 20), RATE * LOOP_SECONDS)


def voice() -> Samples:
    """Harmonics of 120 Hz that come and go four times a second: to Opus much like speech."""
    t = np.arange(RATE * LOOP_SECONDS) / RATE
    loudness = 0.15 * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))
    harmonics = np.sum([np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 25)], axis=0)
    return np.asarray(loudness * harmonics + quiet_room())


def sound(media: str) -> Samples:
    if media.endswith(".s16"):
        return np.fromfile(media, np.int16) / 32768
    return quiet_room() if media == "quiet" else voice()


def encode(samples: Samples) -> list[bytes]:
    """Mono, 32 kb/s, as browsers send a microphone."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.format, codec.layout, codec.bit_rate = RATE, "s16", "mono", 32000
    codec.options = {"application": "voip"}
    packets = []
    for start in range(0, len(samples), FRAME):
        pcm = (samples[start : start + FRAME].clip(-1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, start
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


class PacketTrack(MediaStreamTrack):
    def __init__(self, kind: str, packets: list[bytes]) -> None:
        self.kind = kind
        super().__init__()
        self.packets = packets
        self.clock, self.step = (RATE, FRAME) if kind == "audio" else (VIDEO_CLOCK, VIDEO_CLOCK // FPS)
        self.sent = 0
        self.started: float | None = None
        self.worst_lateness = 0.0

    async def recv(self) -> "av.Packet[Any]":
        if self.started is None:
            self.started = time.perf_counter()
        due = self.started + self.sent * self.step / self.clock
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        self.worst_lateness = max(self.worst_lateness, time.perf_counter() - due)
        packet = av.Packet(self.packets[self.sent % len(self.packets)])
        packet.pts, packet.time_base = self.sent * self.step, fractions.Fraction(1, self.clock)
        self.sent += 1
        return packet


class Session:
    def __init__(self, kind: str, packets: list[bytes]) -> None:
        self.track = PacketTrack(kind, packets)
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connected = asyncio.Event()
        self.answer_ms = 0.0
        self.received = 0
        self.outputs = 0
        self.sizes: set[tuple[int, int]] = set()

    async def open(self, url: str, input_url: str | None) -> None:
        connection, webrtc_id = self.connection, uuid.uuid4().hex
        channel = connection.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        channel.on("message", self.on_message)
        connection.on("connectionstatechange", self.on_state)
        connection.addTrack(self.track)
        # Decoding the echo would cost this process more than all the rest.
        count = self.count if self.track.kind == "audio" else self.count_frame
        connection.getReceivers()[0]._handle_rtp_packet = count  # type: ignore[method-assign]
        await connection.setLocalDescription(await connection.createOffer())
        offer = {"sdp": connection.localDescription.sdp, "type": "offer", "webrtc_id": webrtc_id}
        started = time.perf_counter()
        answer = await asyncio.to_thread(post_json, url, offer)
        self.answer_ms = (time.perf_counter() - started) * 1000
        await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await asyncio.wait_for(self.connected.wait(), 15)
        if input_url:
            await asyncio.to_thread(post_json, input_url, {"webrtc_id": webrtc_id})

    def on_state(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected.set()

    def on_message(self, message: str) -> None:
        self.outputs += json.loads(message)["type"] == "fetch_output"

    async def count(self, *_args: Any, **_kwargs: Any) -> None:
        self.received += 1

    async def count_frame(self, packet: RtpPacket, *_args: Any, **_kwargs: Any) -> None:
        self.received += packet.marker
        if size := size_of(packet.payload):
            self.sizes.add(size)


def report(sessions: list[Session], before: list[int], seconds: float) -> dict[str, Any]:
    sizes = set().union(*(session.sizes for session in sessions))
    if wrong := sizes - {(WIDTH, HEIGHT)}:
        raise RuntimeError(f"pictures of another size came back: {wrong}")
    back = [(session.received - count) / seconds for session, count in zip(sessions, before, strict=True)]
    return {
        "answer_ms": [round(session.answer_ms, 2) for session in sessions],
        "back_per_second": [round(number, 2) for number in back],
        "outputs": [session.outputs for session in sessions],
        "worst_send_lateness_ms": round(max(session.track.worst_lateness for session in sessions) * 1000, 1),
    }


async def run(url: str, count: int, media: str, input_url: str | None = None) -> None:
    if media == "video":
        kind, packets = "video", encode_video()
    else:
        kind, packets = "audio", encode(sound(media))
    sessions = [Session(kind, packets) for _ in range(count)]
    try:
        for session in sessions:
            await session.open(url, input_url)
            await asyncio.sleep(BETWEEN_OFFERS)
        print("ready", flush=True)
        before, started = [session.received for session in sessions], time.perf_counter()
        while await asyncio.to_thread(sys.stdin.readline):
            now = time.perf_counter()
            print(json.dumps(report(sessions, before, now - started)), flush=True)
            before, started = [session.received for session in sessions], now
    finally:
        await asyncio.gather(*(session.connection.close() for session in sessions))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
