"""How many and how long, on every transport."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import AsyncClient

from streams.live.manager import manager
from streams.media import CloseStream, VideoStreamHandler
from streams.media.messages import message
from streams.media.outputs import PictureOut
from streams.media.session import Reason
from tests.loopback.conftest import MakePeer, MakeSocket, MakeStream, poster, sessions_gone
from tests.loopback.test_inputs_outputs import Caller
from tests.loopback.test_life import Unstartable, Watched, vanish
from tests.loopback.test_offers import offer_with

FULL = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}
IN_USE = {"status": "failed", "meta": {"error": "connection_already_exists"}}
UNKNOWN = {"status": "failed", "meta": {"error": "unknown_connection"}}
CLOSED = {"status": "failed", "meta": {"error": "connection_closed"}}
BAD_CANDIDATE = {"status": "failed", "meta": {"error": "invalid_candidate_format"}}


async def test_fastrtcs_failure_bodies_word_for_word(stream: MakeStream, socket: MakeSocket) -> None:
    """Its clients compare them, and cannot read any status but 200."""
    slug = (await stream(Watched(), concurrency_limit=1)).slug
    first, second = await Caller(slug).offer(), Caller(slug, "another")
    offer = {"type": "offer", "sdp": await offer_with()}
    responses = [
        (await second.post("webrtc/offer", {**offer, "webrtc_id": "mine"}), IN_USE),
        (await second.post("webrtc/offer", {**offer, "webrtc_id": "another"}), FULL),
        (await second.post("webrtc/offer", {"type": "ice-candidate", "webrtc_id": "nobody"}), UNKNOWN),
        (
            await first.post(
                "webrtc/offer", {"type": "ice-candidate", "webrtc_id": "mine", "candidate": {"candidate": "rubbish"}}
            ),
            BAD_CANDIDATE,
        ),
    ]
    for response, body in responses:
        assert (response.status_code, response.json()) == (200, body)
    client = socket(slug)
    client.start()
    assert await client.failure() == FULL
    assert await client.closed() == 1000


async def test_an_offer_whose_session_is_closed_meanwhile(stream: MakeStream, monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.media.transports.webrtc import WebRTCTransport

    slug = (await stream(Watched())).slug
    begun = asyncio.Event()

    async def never(self: Any, sdp: str, session: Any) -> str:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(WebRTCTransport, "answer", never)
    caller = Caller(slug)
    offering = asyncio.ensure_future(
        caller.post("webrtc/offer", {"type": "offer", "sdp": await offer_with(), "webrtc_id": "mine"})
    )
    await begun.wait()
    await caller.session.close(Reason.SERVER_SHUTDOWN)
    response = await offering
    assert (response.status_code, response.json()) == (200, CLOSED)


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_a_warning_comes_before_the_time_limit(
    stream: MakeStream, socket: MakeSocket, peer: MakePeer, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr("streams.media.session.COUNTDOWN", 1.0)
    slug = (await stream(Watched(), time_limit=1.3, concurrency_limit=1)).slug
    if transport == "webrtc":
        client: Any = peer()
        await client.connect(poster(slug))
    else:
        client = socket(slug)
        client.start()
    await client.message("end_stream")
    assert client.messages == [
        message("warning", "The conversation ends in 1 seconds."),
        message("end_stream", Reason.TIME_LIMIT.value),
    ]
    await sessions_gone()
    await peer().connect(poster(slug))


async def test_no_limit_is_none(stream: MakeStream, socket: MakeSocket) -> None:
    slug = (await stream(Watched(), time_limit=None, concurrency_limit=None)).slug
    clients = [socket(slug) for _ in range(12)]
    for client in clients:
        client.start(encoding="mulaw")
    await asyncio.gather(*(client.event("started") for client in clients))
    assert manager.count(slug) == 12


async def test_limits_are_of_one_stream(stream: MakeStream, socket: MakeSocket) -> None:
    first, second = [(await stream(Watched(), concurrency_limit=1)).slug for _ in range(2)]
    for slug in (first, second):
        client = socket(slug)
        client.start(encoding="mulaw")
        await client.event("started")


ENDS = [
    "client closes",
    "client vanishes",
    "never connects",
    "through the api",
    "time limit",
    "bad offer",
    "wrong media",
    "handler cannot start",
    "close stream",
]


@pytest.mark.parametrize("how", ENDS)
async def test_the_slot_is_free_after_every_end(
    stream: MakeStream, peer: MakePeer, settings: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def closing(picture: object) -> PictureOut:
        return CloseStream("Enough")

    handler = {"handler cannot start": Unstartable(), "close stream": VideoStreamHandler(closing)}.get(how, Watched())
    film = how == "close stream"
    made = await stream(
        handler,
        modality="video" if film else "audio",
        concurrency_limit=1,
        time_limit=1 if how == "time limit" else None,
    )
    client = peer(audio=None, video="sendrecv") if film else peer()
    if how == "never connects":
        settings.STREAMS_CONNECT_TIMEOUT = 0.1
        await poster(made.slug)(await client.offer())
    elif how in ("bad offer", "wrong media"):
        sdp = "v=0" if how == "bad offer" else (await peer(audio=None, video="sendrecv").offer())["sdp"]
        refused = await poster(made.slug)({"type": "offer", "webrtc_id": "bad", "sdp": sdp})
        assert refused["status"] == "failed"
    else:
        settings.STREAMS_MEDIA_TIMEOUT = 0.5
        monkeypatch.setattr("streams.media.transports.webrtc.WATCH_SECONDS", 0.1)
        answer = await client.connect(poster(made.slug))
        if how == "client closes":
            await client.close()
        elif how == "client vanishes":
            vanish(client.pc)
        elif how == "through the api":
            await AsyncClient().post(
                f"/api/streams/{made.slug}/close",
                {"webrtc_id": client.webrtc_id},
                content_type="application/json",
                headers={"Authorization": f"Bearer {answer['token']}"},
            )
    await sessions_gone()
    settings.STREAMS_CONNECT_TIMEOUT = 30.0
    again = await poster(made.slug)({"type": "offer", "sdp": await offer_with(), "webrtc_id": "next"})
    assert again["type"] == "answer"
