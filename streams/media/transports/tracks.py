"""Our ends of aiortc's audio: in without its decoder thread, out as ready Opus packets.

The private names of aiortc that are touched here, each with a test in tests/media/transports/test_aiortc_contract.py:
RTCRtpReceiver._handle_rtp_packet, ._handle_disconnect, .__stop_decoder, .__codecs, .__remote_streams;
rtcrtpreceiver.StreamStatistics; codecs.depayload, codecs.get_decoder; jitterbuffer.JitterFrame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.codecs import depayload, get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RTCRtpReceiver, StreamStatistics
from aiortc.rtp import RtpPacket

from streams.media.audio import FRAME_SECONDS, Samples
from streams.media.playout import Playout
from streams.media.transports.jitter import JitterBuffer, Packet
from streams.media.transports.opus import CLOCK_RATE, FRAME_TICKS, SILENCE, OpusDecoder, OpusEncoder

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, CLOCK_RATE)
PAUSE = 3
"""Frame times without audio after which it has paused. Until then nothing is sent, and the client conceals the gap."""
HANGOVER = 10
"""Frames of silence sent then, which flush the client's jitter buffer."""
KEEPALIVE = 20
"""Frame times between silent packets afterwards: 400 ms, as Opus DTX does (RFC 7587 §3.1.3)."""
MAX_GAP_SECONDS = 1.0
"""Silence put in at most for packets that were lost or not sent."""

OpusPacket: TypeAlias = "av.Packet[Any]"

Sink = Callable[[Samples, int, float, bool], None]
"""Called with mono samples, their rate in Hz, the media time of the first in seconds, and whether they are filler."""


class Decoder(Protocol):
    rate: int

    def decode(self, payload: bytes) -> Samples: ...


class AiortcDecoder:
    """Whatever else aiortc can decode to mono: PCMU, PCMA, G722."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._decoder = get_decoder(codec)
        self.rate = 16000 if codec.name == "G722" else 8000

    def decode(self, payload: bytes) -> Samples:
        frames: list[Any] = self._decoder.decode(JitterFrame(data=payload, timestamp=0))
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])


class AudioReceiver(RTCRtpReceiver):
    """aiortc's audio receiver with our jitter buffer; decodes in the loop, which is cheaper than a thread hop."""

    @classmethod
    def adopt(cls, receiver: RTCRtpReceiver, sink: Sink) -> AudioReceiver:
        """Turn a receiver that aiortc has made, and not started, into one of ours."""
        receiver.__class__ = cls
        assert isinstance(receiver, AudioReceiver)
        receiver._sink = sink
        receiver._jitter = JitterBuffer()
        receiver._decoders = {}
        receiver._timer = None
        receiver._expected = None
        receiver._clock = 0
        return receiver

    _sink: Sink
    _jitter: JitterBuffer
    _decoders: dict[int, Decoder]
    _timer: asyncio.TimerHandle | None
    _expected: int | None
    """RTP timestamp after the last frame."""
    _clock: int
    """Media time of ``_expected`` in ticks, unwrapped."""

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        await super().receive(parameters)
        self._RTCRtpReceiver__stop_decoder()  # type: ignore[attr-defined]

    async def stop(self) -> None:
        self._cancel_timer()
        await super().stop()

    def _handle_disconnect(self) -> None:
        self._cancel_timer()
        super()._handle_disconnect()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            return
        statistics = self._remote_streams.get(packet.ssrc)
        if statistics is None:
            statistics = self._remote_streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        statistics.add(packet)
        if packet.payload:
            now = asyncio.get_running_loop().time()
            received = Packet(packet.sequence_number, packet.timestamp, packet.payload, packet.payload_type)
            self._deliver(self._jitter.add(received, now))

    @property
    def _codecs(self) -> dict[int, RTCRtpCodecParameters]:
        return self._RTCRtpReceiver__codecs  # type: ignore[no-any-return, attr-defined]

    @property
    def _remote_streams(self) -> dict[int, Any]:
        return self._RTCRtpReceiver__remote_streams  # type: ignore[no-any-return, attr-defined]

    def _deliver(self, packets: list[Packet]) -> None:
        for packet in packets:
            try:
                self._play(packet)
            except (av.FFmpegError, ValueError) as error:
                logger.debug("Undecodable audio packet dropped: %s", error)
        self._schedule()

    def _schedule(self) -> None:
        deadline = self._jitter.deadline
        if deadline is None:
            self._cancel_timer()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._deliver(self._jitter.expire(asyncio.get_running_loop().time()))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _play(self, packet: Packet) -> None:
        codec = self._codecs[packet.payload_type]
        decoder = self._decoders.get(packet.payload_type)
        if decoder is None:
            decoder = OpusDecoder() if codec.name == "opus" else AiortcDecoder(codec)
            self._decoders[packet.payload_type] = decoder
        samples = decoder.decode(depayload(codec, packet.payload))
        self._fill_gap(packet.timestamp, codec.clockRate, decoder.rate)
        self._sink(samples, decoder.rate, self._clock / codec.clockRate, False)
        ticks = samples.size * codec.clockRate // decoder.rate
        self._clock += ticks
        self._expected = (packet.timestamp + ticks) & 0xFFFFFFFF

    def _fill_gap(self, timestamp: int, clock_rate: int, rate: int) -> None:
        """Keep the utterance's time: silence takes the place of what was lost, or not sent (DTX)."""
        if self._expected is None:
            return
        gap = (timestamp - self._expected) & 0xFFFFFFFF
        if gap == 0 or gap >= 0x80000000:
            return
        if gap <= MAX_GAP_SECONDS * clock_rate:
            self._sink(np.zeros(gap * rate // clock_rate, np.int16), rate, self._clock / clock_rate, True)
        self._clock += gap


class AudioSender(MediaStreamTrack):
    """Reads the playout buffer at 20 ms a frame and hands aiortc finished Opus packets.

    Nothing is sent through a long silence but a packet each 400 ms; RTP timestamps follow the media clock through it.
    Without Opus on the other side, ``opus=False`` sends plain frames and aiortc encodes them.
    """

    kind = "audio"

    def __init__(self, playout: Playout) -> None:
        super().__init__()
        self.opus = True
        self._playout = playout
        self._encoder: OpusEncoder | None = None
        self._start = 0.0
        self._origin: float | None = None
        """When slot 0 of the 20 ms grid was due."""
        self._slot = -1
        self._silent = HANGOVER + 1

    async def recv(self) -> OpusPacket | av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._origin is None:
            self._origin = self._start = loop.time()
        while self.readyState == "live":
            silence_at = self._due(self._slot + self._slots_to_silence())
            if not await self._playout.wait(silence_at - loop.time()):
                return self._silence(loop.time())
            slot = self._next_slot(loop.time())
            early = self._due(slot) - loop.time()
            if early > 0.001:
                await asyncio.sleep(early)
            frame = self._playout.read()
            if frame is not None:  # it may have been cleared meanwhile
                self._slot, self._silent = slot, 0
                return self._packed(frame)
        raise MediaStreamError

    def _slots_to_silence(self) -> int:
        if self._silent == 0:
            return PAUSE
        return 1 if self._silent <= HANGOVER else KEEPALIVE

    def _due(self, slot: int) -> float:
        assert self._origin is not None
        return self._origin + slot * FRAME_SECONDS

    def _next_slot(self, now: float) -> int:
        """Find the slot of a frame that is ready now; slots that nobody filled in time are left out.

        After silence the grid moves, by 10 ms at most, to the moment at which the first frame came, so that a live
        source is neither held back nor cut by an unlucky phase.
        """
        assert self._origin is not None
        slots = (now - self._origin) / FRAME_SECONDS
        if self._silent and (slot := round((now - self._start) / FRAME_SECONDS)) > self._slot:
            self._origin = now - slot * FRAME_SECONDS
            return slot
        return max(self._slot + 1, int(slots))

    def _silence(self, now: float) -> OpusPacket | av.AudioFrame:
        assert self._origin is not None
        self._slot = max(self._slot + 1, round((now - self._origin) / FRAME_SECONDS))
        self._silent += 1
        return self._packed(None)

    def _packed(self, frame: Samples | None) -> OpusPacket | av.AudioFrame:
        if not self.opus:
            return self._plain(frame)
        packet: OpusPacket = av.Packet(SILENCE if frame is None else self._encode(frame))
        packet.pts = self._slot * FRAME_TICKS
        packet.time_base = TIME_BASE
        return packet

    def _encode(self, frame: Samples) -> bytes:
        if self._encoder is None:
            self._encoder = OpusEncoder(self._playout.rate)
        return self._encoder.encode(frame)

    def _plain(self, frame: Samples | None) -> av.AudioFrame:
        samples = np.zeros(self._playout.frame_samples, np.int16) if frame is None else np.ascontiguousarray(frame)
        plain = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        plain.sample_rate = self._playout.rate
        plain.pts = self._slot * self._playout.frame_samples
        plain.time_base = Fraction(1, self._playout.rate)
        return plain
