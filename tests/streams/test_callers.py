"""Who a call counts as: by cookie, by token, by neither; over HTTP and over WebSockets."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncClient

from streams.callers import socket_caller
from streams.live.manager import manager
from streams.media.session import Reason
from streams.models import Stream
from streams.session_records import written
from tests.loopback.test_offers import offer_with

pytestmark = pytest.mark.django_db(transaction=True)

OURS = {"Origin": "http://testserver"}
FOREIGN = {"Origin": "http://elsewhere.test"}
API = "/api/streams/camera-filter/"
CANDIDATE = {"candidate": "candidate:0 1 UDP 2122252543 127.0.0.1 50000 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
UNKNOWN = {"status": "failed", "meta": {"error": "unknown_connection"}}


@pytest.fixture(autouse=True)
async def sessions_closed() -> Any:
    yield
    await manager.close_all(Reason.SERVER_SHUTDOWN, 5)
    manager._draining = False
    await written()


def browser() -> AsyncClient:
    return AsyncClient(enforce_csrf_checks=True)


async def post(client: AsyncClient, path: str, body: dict[str, Any], **headers: str) -> Any:
    body = {"webrtc_id": "one", **body}
    return await client.post(API + path, body, content_type="application/json", headers=headers)


async def offer(client: AsyncClient, **headers: str) -> Any:
    return await post(client, "webrtc/offer", {"type": "offer", "sdp": await offer_with()}, **headers)


# -- browsers whose page is ours and has set no cookie: front ends written for FastRTC


async def test_a_first_offer_brings_the_cookie_and_no_token() -> None:
    client = browser()
    response = await offer(client, **OURS)
    assert response.status_code == 200
    assert "token" not in response.json()
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert await SessionStore().aexists(cookie.value)


async def test_the_cookie_and_our_origin_are_enough_for_everything_else() -> None:
    client = browser()
    await offer(client, **OURS)
    hook = await post(client, "input_hook", {"strength": 0.25}, **OURS)
    assert (hook.status_code, hook.json()) == (200, {"status": "success"})
    assert manager._live["one"].session.handler.latest_args[1] == 0.25
    candidate = await post(client, "webrtc/offer", {"type": "ice-candidate", "candidate": CANDIDATE}, **OURS)
    assert candidate.json() == {"status": "success"}
    assert (await post(client, "trigger", {"text": "hi"}, **OURS)).json() == {"status": "success"}
    outputs = await client.get(API + "outputs?webrtc_id=one")
    assert outputs["Content-Type"] == "text/event-stream"
    assert (await post(client, "close", {}, **OURS)).json() == {"status": "success"}
    assert len(manager) == 0


async def test_a_second_offer_is_the_same_visitor() -> None:
    client = browser()
    await offer(client, **OURS)
    key = client.cookies["sessionid"].value
    await post(client, "close", {}, **OURS)
    assert "token" not in (await offer(client, **OURS)).json()
    assert client.cookies["sessionid"].value == key


@pytest.mark.parametrize("path", ["input_hook", "trigger", "close", "webrtc/offer"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        FOREIGN,
        {"Origin": "null"},
        {"Origin": "http://testserver.elsewhere.test"},
        {"Origin": "http://testserver:81"},
        {"Origin": "http://user@testserver"},
        {"Referer": "http://testserver/"},
    ],
    ids=str,
)
async def test_the_cookie_counts_for_nothing_from_elsewhere(path: str, headers: dict[str, str]) -> None:
    client = browser()
    await offer(client, **OURS)
    response = await post(client, path, {"type": "ice-candidate", "strength": 0.25}, **headers)
    assert (response.status_code, response.json()["meta"]["error"]) == (403, "csrf_failed")
    assert len(manager) == 1
    assert manager._live["one"].session.handler.latest_args[1] == 0.5


async def test_a_trusted_origin_is_ours(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://front.test"]
    client = browser()
    assert (await offer(client, Origin="https://front.test")).status_code == 200
    assert "sessionid" in client.cookies
    refused = await post(client, "close", {}, Origin="http://front.test")
    assert refused.status_code == 403


async def test_another_visitors_cookie_opens_nothing() -> None:
    client, thief = browser(), browser()
    await offer(client, **OURS)
    await offer(thief, **OURS)
    for path in ("input_hook", "trigger", "close"):
        assert (await post(thief, path, {}, **OURS)).json() == UNKNOWN
    assert (await thief.get(API + "outputs?webrtc_id=one")).json() == UNKNOWN
    assert (await browser().get(API + "outputs?webrtc_id=one")).json() == UNKNOWN


async def test_a_foreign_page_without_a_cookie_gets_a_token_and_no_cookie() -> None:
    """As a program does. It can do no more than anybody."""
    for headers in (FOREIGN, {}):
        client = browser()
        response = await offer(client, **headers)
        token = response.json()["token"]
        assert "sessionid" not in client.cookies
        assert (await post(client, "close", {}, **headers)).json() == UNKNOWN
        assert (await post(client, "close", {}, Authorization=f"Bearer {token}", **headers)).json()["status"]
        assert len(manager) == 0


async def test_only_an_offer_makes_a_session() -> None:
    client = browser()
    for path in ("input_hook", "trigger", "close"):
        assert (await post(client, path, {}, **OURS)).json() == UNKNOWN
    assert (await post(client, "webrtc/offer", {"type": "ice-candidate"}, **OURS)).json() == UNKNOWN
    assert "sessionid" not in client.cookies


# -- users


async def test_signed_in_users_always_need_the_csrf_token() -> None:
    client = browser()
    user = await User.objects.acreate(username="ada")
    await client.aforce_login(user)
    for headers in ({}, OURS, FOREIGN):
        refused = await offer(client, **headers)
        assert (refused.status_code, refused.json()["meta"]["error"]) == (403, "csrf_failed")
    assert len(manager) == 0
    await client.get("/streams/camera-filter/")
    token = {"X-CSRFToken": client.cookies["csrftoken"].value}
    assert (await offer(client, **OURS, **token)).status_code == 200
    assert manager._live["one"].owner == f"user:{user.pk}"
    assert (await post(client, "close", {}, **OURS)).status_code == 403
    assert (await post(client, "close", {}, **OURS, **token)).json() == {"status": "success"}


async def test_signing_out_takes_the_session_away() -> None:
    client = browser()
    user = await User.objects.acreate(username="ada")
    await client.aforce_login(user)
    await client.get("/streams/camera-filter/")
    await offer(client, **{"X-CSRFToken": client.cookies["csrftoken"].value})
    await client.alogout()
    assert (await client.get(API + "outputs?webrtc_id=one")).json() == UNKNOWN


# -- WebSockets


async def scope(*, session: str | None = None, user: Any = None, **headers: str) -> dict[str, Any]:
    return {
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "session": SessionStore(session),
        "user": user or AnonymousUser(),
    }


HOST = {"host": "testserver"}


@pytest.mark.parametrize("origin", ["http://testserver", "https://testserver"])
async def test_a_sockets_cookies_count_from_our_own_pages(origin: str) -> None:
    user = await User.objects.acreate(username="ada")
    assert (await socket_caller(await scope(session="k" * 32, origin=origin, **HOST)))[0].owner == f"session:{'k' * 32}"
    caller, headers = await socket_caller(await scope(session="k" * 32, user=user, origin=origin, **HOST))
    assert headers == {}
    assert (caller.owner, caller.user) == (f"user:{user.pk}", user)


@pytest.mark.parametrize("origin", ["http://elsewhere.test", "null", "", "http://testserver.elsewhere.test"])
async def test_a_sockets_cookies_count_for_nothing_from_elsewhere(origin: str) -> None:
    user = await User.objects.acreate(username="ada")
    headers = {"origin": origin, **HOST} if origin else HOST
    (first, cookie), (second, _) = [
        await socket_caller(await scope(session="k" * 32, user=user, **headers)) for _ in range(2)
    ]
    assert cookie == {}
    assert first.user.is_anonymous
    assert first.owner.startswith("token:")
    assert first.owner != second.owner


async def test_strangers_sockets_belong_to_nobody_else() -> None:
    (first, cookie), (second, _) = [
        await socket_caller(await scope(origin="http://testserver", **HOST)) for _ in range(2)
    ]
    assert first.owner != second.owner
    assert "HttpOnly" in cookie["Set-Cookie"]
    assert "SameSite=Lax" in cookie["Set-Cookie"]
    key = cookie["Set-Cookie"].split(";")[0].removeprefix("sessionid=")
    assert first.owner == f"session:{key}"
    assert await SessionStore().aexists(key)


async def test_a_socket_from_elsewhere_does_not_get_into_a_stream_for_users() -> None:
    from rtcproject.asgi import application
    from tests.loopback.peer import SocketPeer

    await Stream.objects.filter(slug="echo").aupdate(access="login")
    client = AsyncClient()
    await client.aforce_login(await User.objects.acreate(username="ada"))
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    for origin, error in (("http://elsewhere.test", "login_required"), ("http://testserver", None)):
        socket = SocketPeer(application, "echo", 24000, {"origin": origin, "cookie": cookie, **HOST})
        socket.start(encoding="mulaw")
        if error:
            assert (await socket.failure())["meta"]["error"] == error
        else:
            await socket.event("started")
        await socket.close()
