"""Which hops are nothing but the room, so that no model need be asked about them."""

from __future__ import annotations

SURE = 0.1
"""Speech probability below which a hop tells how loud the room is."""
SETTLED = 16
"""Hops without speech after which the room is known."""
FOLLOW = 0.05
"""Share of a new hop in the floor: it follows a fan that is switched on within a second."""
ABOVE = 1.41
"""A hop louder than this times the floor (3 dB) may be speech."""


class NoiseFloor:
    """Follows the loudness of a room. Levels are RMS values in any unit."""

    def __init__(self) -> None:
        self._floor = 0.0
        self._quiet_hops = 0

    def covers(self, level: float) -> bool:
        """Tell whether a hop of this level is the room alone; it then counts as part of it."""
        if self._quiet_hops < SETTLED or level > self._floor * ABOVE:
            return False
        self._floor += FOLLOW * (level - self._floor)
        return True

    def learn(self, level: float, probability: float) -> None:
        """Take a hop that the model has judged."""
        if probability >= SURE:
            self._quiet_hops = 0
            return
        self._quiet_hops += 1
        share = max(FOLLOW, 1 / self._quiet_hops)
        self._floor += share * (level - self._floor)
