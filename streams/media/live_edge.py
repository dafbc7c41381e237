"""Which incoming audio is still worth hearing: a live handler is kept at the live edge."""

from __future__ import annotations

from collections import deque

STEADY = 0.75
"""Arriving more than this share of its own length after the one before, a frame is in real time, not catching up."""
GAIN = 0.01
"""Seconds by which a frame must beat the fastest transit to show that those before it were late."""
TOLERANCE = 0.06
"""Seconds a frame may be late on a quiet network."""
MAX_TOLERANCE = 0.2
WINDOW = 5.0
"""Seconds over which the fastest transit is remembered, so that clock drift and new routes are followed."""


class LiveEdge:
    """Decides from arrival times alone. No clock, no I/O.

    A frame's *transit* is its arrival time minus its media time; the smallest recent transit is on time. A sender that
    was held up sends what it had in a burst: those frames would make everything after them late for ever, so they are
    dropped until frames arrive at a steady pace again. Lateness that is usual on this network is tolerated.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._catching_up = True
        self._last: tuple[float, float] | None = None
        self._fastest: deque[tuple[float, float]] = deque()
        self._lateness: deque[float] = deque(maxlen=250)
        self._seen = 0
        self._tolerance = TOLERANCE

    def admits(self, media_time: float, now: float) -> bool:
        """Tell whether the frame of ``media_time`` seconds, arriving at ``now``, is to be heard."""
        steady = self._is_steady(media_time, now)
        gain, late = self._compare(now - media_time, now)
        if late > self._tolerance or (gain > GAIN and not steady):
            self._catching_up = True
        elif steady:
            self._catching_up = False
        self.dropped += self._catching_up
        return not self._catching_up

    def _is_steady(self, media_time: float, now: float) -> bool:
        last, self._last = self._last, (media_time, now)
        return last is not None and now - last[1] >= STEADY * (media_time - last[0])

    def _compare(self, transit: float, now: float) -> tuple[float, float]:
        """How much faster, and how much slower, than the smallest transit of the window (a monotonic queue)."""
        fastest = self._fastest
        gain = fastest[0][1] - transit if fastest else 0.0
        while fastest and fastest[-1][1] >= transit:
            fastest.pop()
        fastest.append((now, transit))
        while fastest[0][0] < now - WINDOW:
            fastest.popleft()
        late = transit - fastest[0][1]
        self._lateness.append(late)
        self._seen += 1
        if self._seen % 50 == 0:
            usual = sorted(self._lateness)[int(len(self._lateness) * 0.95)]
            self._tolerance = min(max(TOLERANCE, usual + 0.02), MAX_TOLERANCE)
        return gain, late
