"""G.711 mu-law, by tables. Python's own audioop is gone since 3.13."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Samples

BIAS = 0x84
CLIP = 32635


def _decoding_table() -> Samples:
    codes = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (codes.astype(np.int32) >> 4) & 7, codes.astype(np.int32) & 0x0F
    magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _encoding_table() -> NDArray[np.uint8]:
    """As Python's audioop did, and so FastRTC: 14 bits, rounded down, before the magnitude is taken."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(samples), CLIP >> 2) + (BIAS >> 2)
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    return np.asarray(~(sign | (exponent << 4) | mantissa) & 0xFF, np.uint8)


_DECODED = _decoding_table()
_ENCODED = _encoding_table()


def decode(data: bytes) -> Samples:
    """One byte a sample → int16."""
    return _DECODED.take(np.frombuffer(data, np.uint8))


def encode(samples: Samples) -> bytes:
    """int16 → one byte a sample."""
    return _ENCODED.take(np.ascontiguousarray(samples).view(np.uint16)).tobytes()
