"""Puts received RTP packets in order, and gives up quickly on those that are lost.

aiortc's own buffer waits for four packets before it starts, stalls 300 ms on the first loss and stays 200 ms late for
the rest of the call. This one hands out a packet the moment it is next in order.
"""

from __future__ import annotations

from dataclasses import dataclass

HOLD_SECONDS = 0.015
"""How long later packets wait for a missing one: less than a frame, so that they still play in their own time."""
RESTART = 200
"""A jump of more packets than this is a new stream, not loss."""


@dataclass(frozen=True)
class Packet:
    sequence: int
    """16 bits, as on the wire."""
    timestamp: int
    """32 bits, as on the wire."""
    payload: bytes
    payload_type: int = 0


@dataclass
class JitterStats:
    lost: int = 0
    late: int = 0
    """Arrived after it was given up."""
    duplicate: int = 0


class JitterBuffer:
    """Pure: the caller tells the time. ``add`` and ``expire`` return the packets that may be played now, in order."""

    def __init__(self) -> None:
        self.stats = JitterStats()
        self.deadline: float | None = None
        """When ``expire`` must be called, because packets are held; None while nothing is."""
        self._next: int | None = None
        self._held: dict[int, tuple[Packet, float]] = {}

    def add(self, packet: Packet, now: float) -> list[Packet]:
        if self._next is None:
            self._next = packet.sequence
        ahead = (packet.sequence - self._next) & 0xFFFF
        if ahead >= 0x8000 and 0x10000 - ahead <= RESTART:
            self.stats.late += 1
            return []
        if ahead > RESTART:
            self._held.clear()
            self._next = packet.sequence
        elif packet.sequence in self._held:
            self.stats.duplicate += 1
            return []
        self._held[packet.sequence] = packet, now
        ready = self._in_order()
        self._set_deadline()
        return ready

    def expire(self, now: float) -> list[Packet]:
        """Give up waiting, if ``deadline`` has passed."""
        ready: list[Packet] = []
        while self.deadline is not None and now >= self.deadline:
            ready += self._skip()
            self._set_deadline()
        return ready

    def _in_order(self) -> list[Packet]:
        ready: list[Packet] = []
        while self._next is not None and (held := self._held.pop(self._next, None)) is not None:
            ready.append(held[0])
            self._next = (self._next + 1) & 0xFFFF
        return ready

    def _skip(self) -> list[Packet]:
        """Give up the missing packets before the first one held."""
        if not self._held or self._next is None:
            return []
        origin = self._next
        self._next = min(self._held, key=lambda sequence: (sequence - origin) & 0xFFFF)
        self.stats.lost += (self._next - origin) & 0xFFFF
        return self._in_order()

    def _set_deadline(self) -> None:
        self.deadline = min((arrived for _, arrived in self._held.values()), default=float("inf")) + HOLD_SECONDS
        if not self._held:
            self.deadline = None
