from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.test import AsyncClient

from streams.live.manager import manager
from streams.media.session import Reason
from streams.models import Stream
from streams.registry import registry
from tests.loopback.peer import Peer, Post

MakeStream = Callable[..., Awaitable[Stream]]
MakePeer = Callable[..., Peer]


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
    """Make a stream of a handler that only this test has."""
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))

    async def make(handler: Any, **fields: Any) -> Stream:
        slug = f"test-{uuid.uuid4().hex[:8]}"
        mode = fields.pop("mode", "send-receive")
        registry.register(slug, handler, mode=mode)
        return await Stream.objects.acreate(slug=slug, title=slug, handler=slug, **fields)

    return make


@pytest.fixture
async def peer() -> AsyncIterator[MakePeer]:
    peers: list[Peer] = []

    def make(webrtc_id: str = "") -> Peer:
        peers.append(Peer(webrtc_id))
        return peers[-1]

    yield make
    for each in peers:
        await each.close()


@pytest.fixture(autouse=True)
async def no_session_left() -> AsyncIterator[None]:
    """Close what a test left open, and start the next one undrained."""
    yield
    await manager.close_all(Reason.SERVER_SHUTDOWN, 5)
    assert len(manager) == 0
    manager._draining = False
