"""Credentials kept until half their life is over, in this process only: they are secrets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from turn.providers.base import TurnError

SIZE = 1000
"""Credentials kept; the oldest make way."""
SHORTEST_FAILURE, LONGEST_FAILURE = 15.0, 300.0
"""Seconds for which a provider that failed is not asked again, so that visitors need not wait for it."""


Key = tuple[Hashable, str, asyncio.AbstractEventLoop]


class Expiring(Protocol):
    @property
    def expires_at(self) -> float | None: ...  # Unix time; None: unknown, so it is not kept


T = TypeVar("T", bound=Expiring)


@dataclass(frozen=True)
class _Kept(Generic[T]):
    credentials: T
    half_life: float  # Unix time


@dataclass(frozen=True)
class _Failed:
    error: TurnError
    until: float  # Unix time


class CredentialCache(Generic[T]):
    """``source`` names the provider, ``user`` whom the credentials are for."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept[T]] = {}
        self._failed: dict[Hashable, _Failed] = {}
        self._fetching: dict[Key, asyncio.Task[T]] = {}
        self._guard = threading.Lock()

    async def get(self, source: Hashable, user: str, fetch: Callable[[], Awaitable[T]]) -> T:
        """Return kept credentials, else those that ``fetch`` gets, once for all who ask meanwhile. Raises TurnError.

        When it fails, the kept ones do for as long as they live.
        """
        if kept := self._without_asking(source, user):
            return kept
        key = (source, user, asyncio.get_running_loop())
        if key not in self._fetching:
            self._fetching[key] = asyncio.create_task(self._fetch(key, fetch))
        return await asyncio.shield(self._fetching[key])

    async def _fetch(self, key: Key, fetch: Callable[[], Awaitable[T]]) -> T:
        source, user, _ = key
        try:
            return self._keep(source, user, await fetch())
        except TurnError as error:
            return self._instead(source, user, error)
        finally:
            self._fetching.pop(key, None)

    def get_sync(self, source: Hashable, user: str, fetch: Callable[[], T]) -> T:
        """The same for code without an event loop; threads that ask at once may each fetch."""
        if kept := self._without_asking(source, user):
            return kept
        try:
            return self._keep(source, user, fetch())
        except TurnError as error:
            return self._instead(source, user, error)

    def clear(self) -> None:
        with self._guard:
            self._kept.clear()
            self._failed.clear()
            self._fetching.clear()

    def _without_asking(self, source: Hashable, user: str) -> T | None:
        """What is kept, when it is young or there is nobody to ask; raises the error of a moment ago."""
        now = self._clock()
        kept, failed = self._kept.get((source, user)), self._failed.get(source)
        if kept and now < kept.half_life:
            return kept.credentials
        if failed is None or failed.until <= now:
            return None
        if kept and _lives(kept, now):
            return kept.credentials
        raise failed.error.with_traceback(None)  # else it would grow by each who is told

    def _keep(self, source: Hashable, user: str, credentials: T) -> T:
        now = self._clock()
        with self._guard:
            self._kept.pop((source, user), None)
            if credentials.expires_at is not None:
                self._kept[source, user] = _Kept(credentials, now + (credentials.expires_at - now) / 2)
            while len(self._kept) > SIZE:
                del self._kept[next(iter(self._kept))]
        return credentials

    def _instead(self, source: Hashable, user: str, error: TurnError) -> T:
        now = self._clock()
        wait = min(max(error.retry_after or 0.0, SHORTEST_FAILURE), LONGEST_FAILURE)
        with self._guard:
            self._failed[source] = _Failed(error, now + wait)
            kept = self._kept.get((source, user))
        if kept and _lives(kept, now):
            return kept.credentials
        raise error


def _lives(kept: _Kept[T], now: float) -> bool:
    return kept.credentials.expires_at is None or now < kept.credentials.expires_at
