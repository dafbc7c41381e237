from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.test import AsyncClient

from streams.live.manager import manager
from streams.media.session import Reason
from streams.models import Stream
from streams.registry import registry
from streams.session_records import written
from tests.loopback.peer import Peer, Post, SocketPeer

MakeStream = Callable[..., Awaitable[Stream]]
MakePeer = Callable[..., Peer]
MakeSocket = Callable[..., SocketPeer]


def poster(slug: str, client: AsyncClient | None = None, **headers: str) -> Post:
    """Post offers to a stream's route, as a client without cookies unless ``client`` has some."""
    client = client or AsyncClient()

    async def post(body: dict[str, Any]) -> dict[str, Any]:
        response = await client.post(
            f"/api/streams/{slug}/webrtc/offer", body, content_type="application/json", headers=headers
        )
        result: dict[str, Any] = response.json()
        return result

    return post


@pytest.fixture
async def stream(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> MakeStream:
    """Make a stream of a handler that only this test has. What a Stream has no field for is for its registration."""
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    columns = {field.name for field in Stream._meta.get_fields()}

    async def make(handler: Any, **fields: Any) -> Stream:
        slug = f"test-{uuid.uuid4().hex[:8]}"
        registry.register(slug, handler, **{name: fields[name] for name in fields.keys() - columns})
        own = {name: fields[name] for name in fields.keys() & columns}
        return await Stream.objects.acreate(slug=slug, title=slug, handler=slug, **own)

    return make


@pytest.fixture
async def peer() -> AsyncIterator[MakePeer]:
    peers: list[Peer] = []

    def make(*args: Any, **kwargs: Any) -> Peer:
        peers.append(Peer(*args, **kwargs))
        return peers[-1]

    yield make
    for each in peers:
        await each.close()


@pytest.fixture
async def socket() -> AsyncIterator[MakeSocket]:
    """Open WebSockets to the site's ASGI application."""
    from rtcproject.asgi import application

    sockets: list[SocketPeer] = []

    def make(slug: str, rate: int = 24000, **headers: str) -> SocketPeer:
        sockets.append(SocketPeer(application, slug, rate, headers))
        return sockets[-1]

    yield make
    for each in sockets:
        await each.close()


@pytest.fixture(autouse=True)
async def no_session_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Close what a test left open, while its database is there, and start the next one undrained."""
    if "transactional_db" in request.fixturenames:
        request.getfixturevalue("transactional_db")
    yield
    await manager.close_all(Reason.SERVER_SHUTDOWN, 5)
    assert len(manager) == 0
    manager._draining = False
    await written()


async def sessions_gone() -> None:
    """The clients have gone; wait for the server to notice."""
    async with asyncio.timeout(10):
        while len(manager):  # noqa: ASYNC110 - the manager announces nothing
            await asyncio.sleep(0.02)
