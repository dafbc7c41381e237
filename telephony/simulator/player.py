"""What becomes of the audio that a site sends: the provider plays it at the line's pace, and knows how late it was."""

from __future__ import annotations

from collections import deque

import numpy as np

from streams.media.audio import Chunker, Samples
from telephony.media_streams import FRAME, RATE

PAUSE = 1.0
"""Seconds without audio that are no lateness but a pause."""


class Player:
    """Plays FRAME samples a tick, silence when there is nothing, and tells which marks have been reached."""

    def __init__(self) -> None:
        self._chunker = Chunker()
        self._written = 0
        self._played = 0
        self._marks: deque[tuple[int, str]] = deque()

    @property
    def waiting(self) -> float:
        """Seconds that have come and not been played."""
        return len(self._chunker) / RATE

    def write(self, samples: Samples) -> None:
        self._chunker.push(samples)
        self._written += samples.size

    def mark(self, name: str) -> list[str]:
        """Returns the marks that are reached by now: this one, if nothing waits to be played."""
        self._marks.append((self._written, name))
        return self._reached()

    def clear(self) -> list[str]:
        """Drop what waits. Its marks come back, as if it had been played."""
        self._chunker = Chunker()
        self._played = self._written
        return self._reached()

    def tick(self) -> tuple[Samples, list[str]]:
        """The next 20 ms, and the marks reached at their end."""
        taken = self._chunker.take(min(FRAME, len(self._chunker)))
        assert taken is not None
        self._played += taken.size
        return np.pad(taken, (0, FRAME - taken.size)), self._reached()

    def _reached(self) -> list[str]:
        names = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return names


class Lateness:
    """How late audio comes, had each run of it been played from the moment when its first frame came."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        """Of each message with audio; 0 for one in time."""
        self._due: float | None = None

    def arrived(self, now: float, duration: float) -> None:
        if self._due is None or now - self._due > PAUSE:
            self._due = now
        self.seconds.append(max(now - self._due, 0.0))
        self._due += duration

    def cleared(self) -> None:
        self._due = None
