"""Credentials are kept to half their life, asked for once by many, and outlive a failure of their provider."""

from __future__ import annotations

import asyncio

import pytest

from turn.cache import LONGEST_FAILURE, SHORTEST_FAILURE, SIZE, CredentialCache
from turn.providers.base import Credentials, OutOfOrder, RateLimited, TurnError


class Site:
    """A cache with a clock of its own, and a provider that counts."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.ttl: float | None = 100.0
        self.error: TurnError | None = None
        self.answering = asyncio.Event()
        self.answering.set()
        self.cache: CredentialCache[Credentials] = CredentialCache(lambda: self.now)

    def fetch_sync(self) -> Credentials:
        self.asked += 1
        if self.error:
            raise self.error
        server = {"urls": "turn:a", "username": str(self.asked), "credential": "c"}
        return Credentials([server], None if self.ttl is None else self.now + self.ttl)

    async def fetch(self) -> Credentials:
        await self.answering.wait()
        return self.fetch_sync()

    async def get(self, user: str = "ada", way: str = "async") -> str:
        """The number of the request that gave it."""
        if way == "sync":
            found = self.cache.get_sync("provider", user, self.fetch_sync)
        else:
            found = await self.cache.get("provider", user, self.fetch)
        return str(found.ice_servers[0]["username"])


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_kept_until_half_their_life_is_over(site: Site, way: str) -> None:
    assert await site.get(way=way) == "1"
    site.now += 49.9
    assert await site.get(way=way) == "1"
    site.now += 0.1
    assert await site.get(way=way) == "2"
    site.now += 10
    assert await site.get(way=way) == "2"


async def test_each_user_has_their_own(site: Site) -> None:
    assert [await site.get(user) for user in ("ada", "bob", "ada")] == ["1", "2", "1"]


async def test_what_does_not_say_how_long_it_lives_is_not_kept(site: Site) -> None:
    site.ttl = None
    assert [await site.get() for _ in range(2)] == ["1", "2"]


async def test_who_asks_meanwhile_waits_for_the_same_answer(site: Site) -> None:
    site.answering.clear()
    asking = [asyncio.create_task(site.get()) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()  # a visitor who leaves does not take it from the others
    await asyncio.sleep(0)
    site.answering.set()
    assert await asyncio.gather(*asking[1:]) == ["1"] * 4
    assert asking[0].cancelled()


async def test_who_asks_meanwhile_shares_the_failure_too(site: Site) -> None:
    site.error = OutOfOrder("down")
    results = await asyncio.gather(*(site.get() for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [OutOfOrder] * 5
    assert site.asked == 1


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_a_failing_provider_is_left_alone_for_a_while(site: Site, way: str) -> None:
    site.error = OutOfOrder("down")
    for _ in range(3):
        with pytest.raises(OutOfOrder, match="down"):
            await site.get(way=way)
    assert site.asked == 1
    site.error, site.now = None, site.now + SHORTEST_FAILURE
    assert await site.get(way=way) == "2"
    assert await site.get("bob", way=way) == "3"


@pytest.mark.parametrize(("retry_after", "seconds"), [(1.0, SHORTEST_FAILURE), (60.0, 60.0), (1e9, LONGEST_FAILURE)])
async def test_it_says_itself_for_how_long(site: Site, retry_after: float, seconds: float) -> None:
    site.error = RateLimited("slow down", retry_after)
    with pytest.raises(RateLimited):
        await site.get()
    site.error, site.now = None, site.now + seconds - 0.1
    with pytest.raises(RateLimited):
        await site.get("bob")
    site.now += 0.1
    assert await site.get("bob") == "2"


async def test_living_credentials_do_while_it_fails(site: Site) -> None:
    assert await site.get() == "1"
    site.error, site.now = OutOfOrder("down"), site.now + 60
    assert [await site.get() for _ in range(3)] == ["1"] * 3
    assert site.asked == 2
    site.now += 40
    with pytest.raises(OutOfOrder):
        await site.get()


async def test_it_stays_small(site: Site) -> None:
    for number in range(SIZE + 1):
        site.cache.get_sync("provider", str(number), site.fetch_sync)
    assert await site.get(str(SIZE), "sync") == str(SIZE + 1), "the newest is kept"
    assert await site.get("0", "sync") == str(SIZE + 2), "the oldest made way"
