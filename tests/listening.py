"""Finds a sound in another, however much silence is around it."""

from __future__ import annotations

import numpy as np

from streams.media.audio import Samples


def find(needle: Samples, haystack: Samples) -> tuple[int, float]:
    """Where ``needle`` is in ``haystack``, and how alike they are there: 1.0 is the same waveform."""
    a, b = haystack.astype(np.float64), needle.astype(np.float64)
    size = 1 << (a.size + b.size).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: a.size - b.size + 1]
    energy = np.concatenate([[0.0], np.cumsum(a**2)])
    window = energy[b.size :] - energy[: a.size - b.size + 1]
    scores = correlation / np.sqrt(np.maximum(window, 1.0) * max(float((b**2).sum()), 1.0))
    offset = int(scores.argmax())
    return offset, float(scores[offset])
