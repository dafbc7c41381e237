"""How sessions end: closed by either side, failed, vanished, out of time, server shutdown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import AsyncClient

from streams.live.manager import manager
from streams.media import AsyncStreamHandler
from streams.media.audio import Audio
from streams.media.outputs import Emitted
from streams.media.session import Reason, Session, State
from streams.media.transports import webrtc
from tests.loopback.conftest import MakePeer, MakeStream, poster


class Watched(AsyncStreamHandler):
    """Counts its start-ups and shutdowns."""

    started = 0
    shut = 0

    def copy(self) -> Watched:
        return Watched()

    async def receive(self, frame: Audio) -> None:
        pass

    async def emit(self) -> Emitted:
        return None

    async def start_up(self) -> None:
        Watched.started += 1

    async def shutdown(self) -> None:
        Watched.shut += 1


@pytest.fixture
async def slug(stream: MakeStream) -> str:
    Watched.started = Watched.shut = 0
    return (await stream(Watched(), concurrency_limit=1)).slug


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Reason]:
    """The reasons for which sessions ended."""
    reasons: asyncio.Queue[Reason] = asyncio.Queue()
    discard = manager.discard

    def record(session: Session, reason: Reason) -> None:
        discard(session, reason)
        reasons.put_nowait(reason)

    monkeypatch.setattr(manager, "discard", record)
    return reasons


async def next_reason(ended: asyncio.Queue[Reason]) -> Reason:
    async with asyncio.timeout(20):
        return await ended.get()


async def test_the_client_closes(slug: str, peer: MakePeer, ended: asyncio.Queue[Reason]) -> None:
    client = peer()
    await client.connect(poster(slug))
    await client.close()
    assert await next_reason(ended) is Reason.CLIENT_CLOSED
    assert (Watched.started, Watched.shut, len(manager)) == (1, 1, 0)


async def test_the_client_closes_through_the_api(slug: str, peer: MakePeer, ended: asyncio.Queue[Reason]) -> None:
    client = peer()
    answer = await client.connect(poster(slug))
    response = await AsyncClient().post(
        f"/api/streams/{slug}/close",
        {"webrtc_id": client.webrtc_id},
        content_type="application/json",
        headers={"Authorization": f"Bearer {answer['token']}"},
    )
    assert response.json() == {"status": "success"}
    assert len(manager) == 0
    async with asyncio.timeout(5):
        await client.closed.wait()
    assert Watched.shut == 1


async def test_a_vanished_client_is_noticed(
    slug: str, peer: MakePeer, ended: asyncio.Queue[Reason], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STREAMS_MEDIA_TIMEOUT = 1.0
    monkeypatch.setattr(webrtc, "WATCH_SECONDS", 0.2)
    client = peer()
    await client.connect(poster(slug))
    vanish(client.pc)
    assert await next_reason(ended) is Reason.VANISHED
    assert (Watched.shut, len(manager)) == (1, 0)


def vanish(pc: Any) -> None:
    """As if its process had been killed: nothing leaves it any more."""
    for transceiver in pc.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            protocol.transport.sendto = lambda data, address=None: None


async def test_a_silent_but_connected_client_is_kept(
    slug: str, peer: MakePeer, ended: asyncio.Queue[Reason], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends no media, only RTCP, is still there."""
    settings.STREAMS_MEDIA_TIMEOUT = 2.5
    monkeypatch.setattr(webrtc, "WATCH_SECONDS", 0.2)
    client = peer()
    await client.connect(poster(slug))
    client.pc.getSenders()[0]._enabled = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(4):
            await ended.get()
    assert len(manager) == 1


async def test_a_client_that_never_connects_is_given_up(
    slug: str, peer: MakePeer, ended: asyncio.Queue[Reason], settings: Any
) -> None:
    settings.STREAMS_CONNECT_TIMEOUT = 0.2
    await poster(slug)(await peer().offer())
    assert len(manager) == 1
    assert await next_reason(ended) is Reason.CONNECT_TIMEOUT
    assert (Watched.started, Watched.shut, len(manager)) == (0, 1, 0)


async def test_the_time_limit_ends_the_session_in_words(
    stream: MakeStream, peer: MakePeer, ended: asyncio.Queue[Reason]
) -> None:
    client = peer()
    await client.connect(poster((await stream(Watched(), time_limit=1)).slug))
    assert (await client.message("end_stream"))["data"] == Reason.TIME_LIMIT.value
    assert await next_reason(ended) is Reason.TIME_LIMIT
    async with asyncio.timeout(5):
        await client.closed.wait()


async def test_the_server_shuts_down(slug: str, peer: MakePeer, ended: asyncio.Queue[Reason]) -> None:
    client = peer()
    await client.connect(poster(slug))
    await client.message_channel_open()
    await manager.close_all(Reason.SERVER_SHUTDOWN, 4)
    assert (await client.message("end_stream"))["data"] == Reason.SERVER_SHUTDOWN.value
    async with asyncio.timeout(5):
        await client.closed.wait()
    assert (Watched.shut, len(manager)) == (1, 0)
    refused = await poster(slug)(await peer().offer())
    assert refused["meta"]["error"] == "shutting_down"


class Unstartable(Watched):
    def copy(self) -> Unstartable:
        return Unstartable()

    async def start_up(self) -> None:
        raise RuntimeError("no key")


async def test_a_handler_that_cannot_start_says_so_and_frees_the_slot(
    stream: MakeStream, peer: MakePeer, ended: asyncio.Queue[Reason]
) -> None:
    client = peer()
    await client.connect(poster((await stream(Unstartable())).slug))
    assert "no key" not in (await client.message("error"))["data"]
    assert await next_reason(ended) is Reason.HANDLER_FAILED
    assert len(manager) == 0


async def test_closing_twice_is_one_closing(slug: str, peer: MakePeer) -> None:
    client = peer("twice")
    await client.connect(poster(slug))
    session = next(iter(manager._live.values())).session
    assert session.close(Reason.TIME_LIMIT) is session.close(Reason.CLIENT_CLOSED)
    await session.close(Reason.VANISHED)
    assert session.state is State.CLOSED
    assert Watched.shut == 1
