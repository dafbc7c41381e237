"""What the providers that are asked over HTTPS share: the request, its time limit, and words for each way it fails."""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, ClassVar

from turn.ice_servers import IceServer, has_relay
from turn.providers.base import (
    Credentials,
    Misconfigured,
    OutOfOrder,
    Provider,
    RateLimited,
    Refused,
    TooSlow,
    TurnError,
    Unreadable,
    WrongKey,
)

LONGEST_ANSWER = 64 * 1024
"""Bytes. Real ones have under 2000."""


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytearray = field(default_factory=bytearray, repr=False)

    def take(self, part: bytes) -> None:
        self.body += part
        if len(self.body) > LONGEST_ANSWER:
            raise Unreadable("does not end its answer.")


@dataclass(frozen=True, kw_only=True)
class HTTPProvider(Provider):
    """timeout: seconds until there must be an answer

    Its credentials tell nothing of the visitor, so all visitors share them: opening pages is no way to use up the
    account's rate limit. A field that holds a secret has ``repr=False``.
    """

    shared_by = "everybody"
    title: ClassVar[str]
    """How people call it."""
    key: ClassVar[str]
    """What to check when it refuses the key."""

    timeout: float = 3.0

    @abstractmethod
    def request(self, ttl: int) -> dict[str, Any]:
        """The arguments of ``httpx.request``: method, url, headers, and params, json or data."""

    @abstractmethod
    def understand(self, answer: Any, ttl: int) -> tuple[list[IceServer], int]:
        """The ICE servers in the decoded JSON, and the seconds they live. Raises ValueError, KeyError or TypeError."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(value, str) and not (
                value and value.isascii() and value.isprintable() and value == value.strip()
            ):
                problem = (
                    "has characters that no key or address has. Copy it again"
                    if value
                    else f"is missing. Set {self.key}"
                )
                raise Misconfigured(f"{option.name} {problem}.")
        if not self.timeout > 0:
            raise Misconfigured("timeout must be a number of seconds.")

    async def fetch(self, user: str, ttl: int, client: Any = None) -> Credentials:
        """client: an httpx.AsyncClient to use; it is not closed."""
        asked_at = time.time()
        authorities = await asyncio.to_thread(_authorities)  # the first time takes as long as some frames
        with self._in_words():
            async with asyncio.timeout(self.timeout):
                if client is not None:
                    answer = await self._ask(client, ttl)
                else:
                    async with _httpx().AsyncClient(verify=authorities) as client:
                        answer = await self._ask(client, ttl)
        return self._credentials(answer, ttl, asked_at)

    async def _ask(self, client: Any, ttl: int) -> Answer:
        async with client.stream(**self.request(ttl), timeout=self.timeout) as response:
            answer = Answer(response.status_code, response.headers)
            async for part in response.aiter_bytes():
                answer.take(part)
        return answer

    def fetch_sync(self, user: str, ttl: int, client: Any = None) -> Credentials:
        """client: an httpx.Client to use; it is not closed."""
        asked_at = time.time()
        with self._in_words():
            if client is not None:
                answer = self._ask_sync(client, ttl)
            else:
                with _httpx().Client(verify=_authorities()) as client:
                    answer = self._ask_sync(client, ttl)
        return self._credentials(answer, ttl, asked_at)

    def _ask_sync(self, client: Any, ttl: int) -> Answer:
        deadline = time.monotonic() + self.timeout
        with client.stream(**self.request(ttl), timeout=self.timeout) as response:
            answer = Answer(response.status_code, response.headers)
            for part in response.iter_bytes():
                answer.take(part)
                if time.monotonic() > deadline:
                    raise TimeoutError
        return answer

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Nothing of the original error is kept: its frames hold the key."""
        httpx = _httpx()
        try:
            yield
        except Unreadable as error:
            raise Unreadable(f"{self.title} {error}") from None
        except (TimeoutError, httpx.TimeoutException):
            raise TooSlow(
                f"{self.title} gave no answer within {self.timeout:g} s. Is it reachable from here?"
            ) from None
        except httpx.DecodingError:
            raise Unreadable(f"{self.title}'s answer is compressed in a way that cannot be undone.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise OutOfOrder(f"{self.title} cannot be reached: {self._without_secrets(said)}.") from None

    def _credentials(self, answer: Answer, ttl: int, asked_at: float) -> Credentials:
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        try:
            servers, lives = self.understand(json.loads(answer.body), ttl)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Unreadable(f"{self.title} sent what holds no ICE servers. Does base_url name its API?") from None
        if not has_relay(servers):
            raise Unreadable(f"{self.title} sent no TURN server.")
        return Credentials(servers, asked_at + lives)

    def _refusal(self, answer: Answer) -> TurnError:
        said = " ".join(answer.body.decode(errors="replace").split())[:200]
        told = f"It said ({answer.status}): {self._without_secrets(said) or 'nothing'}"
        if answer.status in (401, 403):
            return WrongKey(f"{self.title} does not accept the key. Check {self.key}. {told}")
        if answer.status == 429:
            wait = _seconds(answer.headers.get("Retry-After", ""))
            until = f" Ask again in {wait:g} s." if wait is not None else ""
            return RateLimited(f"{self.title} is asked too often, or the quota is used up.{until} {told}", wait)
        if answer.status >= 500:
            return OutOfOrder(f"{self.title} is out of order. {told}")
        return Refused(f"{self.title} refused the request. Check {self.key}, base_url and TTL. {told}")

    def _without_secrets(self, text: str) -> str:
        for option in fields(self):
            if not option.repr:
                text = text.replace(str(getattr(self, option.name)), "…")
        return text


def _seconds(retry_after: str) -> float | None:
    """A Retry-After in seconds from now; it may be a date instead (RFC 9110, section 10.2.3)."""
    if retry_after.isdecimal() and len(retry_after) < 10:
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None


def _httpx() -> Any:
    import httpx

    return httpx


@cache
def _authorities() -> Any:
    """Reading them takes longer than all the rest of a connection."""
    return _httpx().create_ssl_context()
