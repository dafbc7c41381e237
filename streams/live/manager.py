"""The sessions that are alive in this worker, counted and found by id."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from streams.live.outbox import Outbox
from streams.media.errors import (
    ConcurrencyLimitReached,
    ConnectionAlreadyExists,
    ServerFull,
    ShuttingDown,
    UnknownConnection,
)
from streams.media.outputs import AdditionalOutputs
from streams.media.session import Reason, Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSession:
    session: Session
    stream: str
    owner: str
    """Whoever opened it; nobody else may do anything with it."""
    outbox: Outbox


class SessionManager:
    """Admission and lookup. All calls come from the event loop; none awaits between checking and adding."""

    def __init__(self) -> None:
        self._live: dict[str, LiveSession] = {}
        self._draining = False
        self._opened = asyncio.Event()

    def __len__(self) -> int:
        return len(self._live)

    def count(self, stream: str) -> int:
        return sum(live.stream == stream for live in self._live.values())

    def check_admission(self, webrtc_id: str, stream: str, limit: int | None, worker_limit: int) -> None:
        """Raise the StreamsError that says why no session can be opened now."""
        if self._draining:
            raise ShuttingDown
        if webrtc_id in self._live:
            raise ConnectionAlreadyExists
        if limit is not None and self.count(stream) >= limit:
            raise ConcurrencyLimitReached(limit=limit)
        if len(self._live) >= worker_limit:
            raise ServerFull

    def add(self, session: Session, stream: str, owner: str) -> None:
        """Take the slot. It is free again when the session calls ``discard``."""
        self._live[session.id] = LiveSession(session, stream, owner, Outbox())
        self._opened.set()
        self._opened = asyncio.Event()

    def discard(self, session: Session, reason: Reason) -> None:
        live = self._live.pop(session.id, None)
        if live is not None:
            live.outbox.close()

    def publish(self, session: Session, outputs: AdditionalOutputs) -> None:
        """Keep what a handler has published for readers. Raises NotSerializable."""
        live = self._live.get(session.id)
        if live is not None:
            live.outbox.publish(outputs)

    def get(self, webrtc_id: str, stream: str, owner: str) -> LiveSession:
        """Find a session of this owner. Raises UnknownConnection, also when it is somebody else's."""
        live = self._live.get(webrtc_id)
        if live is None or live.stream != stream or live.owner != owner:
            raise UnknownConnection
        return live

    async def opening(self, webrtc_id: str, timeout: float) -> None:
        """Wait, ``timeout`` seconds at most, for a session that its client is just opening."""
        try:
            async with asyncio.timeout(timeout):
                while webrtc_id not in self._live:
                    await self._opened.wait()
        except TimeoutError:
            return

    def trusted(self, webrtc_id: str) -> LiveSession:
        """Find a session for code of this site, which asks for no owner. Raises UnknownConnection."""
        if webrtc_id not in self._live:
            raise UnknownConnection
        return self._live[webrtc_id]

    async def close_all(self, reason: Reason, timeout: float) -> None:
        """Admit nobody any more and close every session, within ``timeout`` seconds."""
        self._draining = True
        closing = [live.session.close(reason) for live in self._live.values()]
        if closing:
            _, late = await asyncio.wait(closing, timeout=timeout)
            logger.info("Closed %d sessions, %d did not close in time", len(closing), len(late))


manager = SessionManager()
