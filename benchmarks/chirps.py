"""The signal the delay is measured with: one 20 ms chirp every 400 ms, found again by cross-correlation."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATE = 48000
PERIOD = int(0.4 * RATE)
LENGTH = int(0.02 * RATE)
# Neighbours differ, so a chirp is told from those around it as long as it is less than SEARCH late.
SWEEPS = ((600, 1600), (3800, 2400), (1600, 600), (2400, 3800), (600, 3600), (3600, 600))
SEARCH = PERIOD * (len(SWEEPS) - 1)
MIN_CORRELATION = 0.5


@dataclass(frozen=True)
class Chirp:
    sent: float  # seconds of signal before it
    delay_ms: float


def sweep(kind: int) -> np.ndarray:
    low, high = SWEEPS[kind % len(SWEEPS)]
    t = np.arange(LENGTH) / RATE
    phase = 2 * np.pi * (low * t + (high - low) * t**2 * RATE / (2 * LENGTH))
    return 0.5 * np.sin(phase) * np.hanning(LENGTH)


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 10 ** (-60 / 20), int(seconds * RATE))


def quiet_room(seconds: float) -> np.ndarray:
    return (noise(seconds).clip(-1, 1) * 32767).astype("<i2")


def signal(seconds: float, period: int = PERIOD) -> np.ndarray:
    samples = noise(seconds)
    for kind, start in enumerate(range(0, len(samples) - LENGTH, period)):
        samples[start : start + LENGTH] += sweep(kind)
    return (samples.clip(-1, 1) * 32767).astype("<i2")


def find(heard: np.ndarray, chirp: np.ndarray) -> tuple[int, float]:
    """Where in `heard` the chirp is, and how much alike it is there (0 to 1)."""
    size = 1 << (len(heard) + len(chirp)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(chirp, size))
    correlation = np.abs(np.fft.irfft(spectrum, size)[: len(heard) - len(chirp) + 1])
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    norm = np.sqrt((energy[len(chirp) :] - energy[: -len(chirp)]).clip(1e-6) * np.sum(chirp**2))
    likeness = correlation / norm * (norm > 0.05 * norm.max())
    at = int(np.argmax(likeness))
    return at, float(likeness[at])


def measure(out: Path, period: int = PERIOD) -> tuple[list[Chirp], int]:
    """The chirps one session of the client heard, and how many it missed.

    Both times are the client's own clock: when it gave the 10 ms chunk away and when it was given it, each plus the
    place of the chirp in its chunk.
    """
    notes = json.loads(out.with_suffix(".json").read_text())
    pushed_at, heard_at, starts = (np.array(notes[key]) for key in ("pushedAt", "heardAt", "starts"))
    heard = np.fromfile(out.with_suffix(".s16"), "<i2") / 32768
    chirps, missed = [], 0
    for kind, sent in enumerate(range(0, len(pushed_at) * notes["chunk"] - LENGTH, period)):
        sent_at = pushed_at[sent // notes["chunk"]] + sent % notes["chunk"] / RATE
        chunk = int(np.searchsorted(heard_at, sent_at))
        if chunk >= len(starts):
            break
        window = heard[starts[chunk] : starts[chunk] + SEARCH]
        if len(window) < SEARCH // 2:
            break  # what is not heard may still be on its way
        at, likeness = find(window, sweep(kind))
        if likeness < MIN_CORRELATION:
            missed += 1
            continue
        position = starts[chunk] + at
        chunk = int(np.searchsorted(starts, position, side="right")) - 1
        received_at = heard_at[chunk] + (position - starts[chunk]) / RATE
        chirps.append(Chirp(sent / RATE, float(received_at - sent_at) * 1000))
    return chirps, missed
