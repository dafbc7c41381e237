"""Which incoming audio is still worth hearing: a live handler is kept at the live edge."""

from __future__ import annotations

from collections import deque

STEADY = 0.01
"""Seconds between two arrivals above which the sender is in real time, not catching up (half a frame)."""
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
        self._last_arrival = float("-inf")
        self._fastest: deque[tuple[float, float]] = deque()
        self._lateness: deque[float] = deque(maxlen=250)
        self._tolerance = TOLERANCE

    def admits(self, media_time: float, now: float) -> bool:
        """Tell whether the frame of ``media_time`` seconds, arriving at ``now``, is to be heard."""
        pause = now - self._last_arrival
        self._last_arrival = now
        late = self._late(now - media_time, now)
        if late > self._tolerance:
            self._catching_up = True
        elif self._catching_up and pause >= STEADY:
            self._catching_up = False
        self.dropped += self._catching_up
        return not self._catching_up

    def _late(self, transit: float, now: float) -> float:
        """Lateness against the smallest transit of the window (a monotonic queue)."""
        fastest = self._fastest
        while fastest and fastest[-1][1] >= transit:
            fastest.pop()
        fastest.append((now, transit))
        while fastest[0][0] < now - WINDOW:
            fastest.popleft()
        late = transit - fastest[0][1]
        self._lateness.append(late)
        if len(self._lateness) % 50 == 0:
            usual = sorted(self._lateness)[int(len(self._lateness) * 0.95)]
            self._tolerance = min(max(TOLERANCE, usual + 0.02), MAX_TOLERANCE)
        return late
