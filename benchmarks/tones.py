"""Replies that can be told apart: each is a tone of the next pitch. Needs numpy alone: all servers import it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Samples = np.ndarray[Any, np.dtype[np.int16]]

RATE = 24000  # of what is played
HEARD_RATE = 48000  # of what is heard
PITCHES = range(600, 2200, 200)  # Hz; 20 ms are whole periods of each, so that they do not leak into each other
AMPLITUDE = 8000
LOUD = 1500
PIECE = RATE // 10
SHORT_SECONDS, LONG_SECONDS = 0.4, 10.0
RESUMED_SECONDS = 3  # the same pitch again within this time is the same reply going on
GAP_SECONDS = 0.05
KEPT_BACK_SECONDS = 0.08  # what an encoder has kept of a reply may come with the next: it does not go on for that
PURE = 0.6  # share of a frame's energy that is its pitch

_pitches = itertools.cycle(PITCHES)


def reply(seconds: float) -> Iterator[tuple[int, Samples]]:
    """Ten pieces for each second, as a speech synthesiser gives them: at once."""
    pitch = next(_pitches)
    wave = (AMPLITUDE * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.int16)
    for start in range(0, wave.size, PIECE):
        yield RATE, wave[start : start + PIECE]


@dataclass(frozen=True)
class Heard:
    """A piece of mono sound at HEARD_RATE, and when its first sample came out."""

    at: float
    samples: Samples


@dataclass
class Reply:
    pitch: int
    start: float
    end: float


def pitch_of(samples: Samples) -> int | None:
    """The pitch that makes up the sound, or None where none does: silence, noise, a reply's edge."""
    wave = samples.astype(np.float64)
    energy = 2 * np.abs(_waves(wave.size) @ wave) ** 2 / max(wave.size, 1)
    best = int(np.argmax(energy))
    return PITCHES[best] if energy[best] > PURE * np.sum(wave**2) > 0 else None


@lru_cache
def _waves(size: int) -> np.ndarray[Any, np.dtype[np.complex128]]:
    return np.exp(-2j * np.pi * np.outer(np.array(PITCHES), np.arange(size)) / HEARD_RATE)


def replies(pieces: Sequence[Heard]) -> list[Reply]:
    """The replies in what was heard, from their first loud sample to their last."""
    found: list[Reply] = []
    for part in _parts(pieces):
        if found and found[-1].pitch == part.pitch and part.start - found[-1].end < RESUMED_SECONDS:
            if part.end - part.start > KEPT_BACK_SECONDS:
                found[-1].end = part.end
        else:
            found.append(part)
    return found


def _parts(pieces: Sequence[Heard]) -> list[Reply]:
    """Stretches of one pitch without a gap."""
    parts: list[Reply] = []
    edge: float | None = None  # loud, but too short a part of its piece to have a pitch
    for piece in pieces:
        loud = np.flatnonzero(np.abs(piece.samples.astype(np.int32)) > LOUD)
        if not loud.size:
            edge = None
            continue
        first, last = (piece.at + float(loud[place]) / HEARD_RATE for place in (0, -1))
        pitch = pitch_of(piece.samples)
        going_on = bool(parts) and first - parts[-1].end < GAP_SECONDS
        if going_on and pitch in (None, parts[-1].pitch):
            parts[-1].end = last
        elif pitch is None:
            edge = first if edge is None else edge
        else:
            parts.append(Reply(pitch, first if edge is None else edge, last))
            edge = None
    return parts
