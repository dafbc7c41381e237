"""Opus, mono, through libopus. RFC 6716; RTP timestamps always count at 48 kHz (RFC 7587)."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from streams.media.audio import Samples

CLOCK_RATE = 48000
FRAME_TICKS = 960
"""RTP ticks of 20 ms."""
ENCODER_RATES = (8000, 12000, 16000, 24000, 48000)
SILENCE = b"\xf8\xff\xfe"
"""20 ms of digital silence: CELT, full band, mono."""

_BIT_RATE = 32000
_COMPLEXITY = "3"


class OpusDecoder:
    """Decodes to mono int16 at 48 kHz, whatever the sender's channels."""

    rate = CLOCK_RATE

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = CLOCK_RATE

    def decode(self, payload: bytes) -> Samples:
        """Raises av.FFmpegError for a payload that is not Opus."""
        frames = self._codec.decode(av.Packet(payload))
        return frames[0].to_ndarray()[0] if frames else np.zeros(0, np.int16)


class OpusEncoder:
    """Encodes frames of 20 ms at ``rate``, one of ENCODER_RATES, so that nothing is resampled up for the wire."""

    def __init__(self, rate: int) -> None:
        self._codec = av.CodecContext.create("libopus", "w")
        self._codec.bit_rate = _BIT_RATE
        self._codec.format = "s16"
        self._codec.layout = "mono"
        self._codec.sample_rate = rate
        self._codec.time_base = Fraction(1, rate)
        self._codec.options = {"application": "voip", "compression_level": _COMPLEXITY, "frame_duration": "20"}
        self._rate = rate
        self._pts = 0

    def encode(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None, :], format="s16", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._pts
        self._pts += samples.size
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
