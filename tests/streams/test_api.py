"""Who may do what over HTTP: access, ownership, CSRF."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import AsyncClient, Client
from django.views.debug import get_default_exception_reporter_filter

from streams.live.manager import manager
from streams.media.session import Reason
from streams.models import Stream
from streams.registry import registry
from tests.loopback.test_offers import offer_with
from turn.providers.conformance import RELAY_PASSWORD, Reply, StandIn

pytestmark = pytest.mark.django_db(transaction=True)

OFFER = "/api/streams/echo/webrtc/offer"


@pytest.fixture(autouse=True)
async def sessions_closed() -> Any:
    yield
    await manager.close_all(Reason.SERVER_SHUTDOWN, 5)
    manager._draining = False


async def post(client: AsyncClient, path: str, body: dict[str, Any], token: str = "", csrf: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if csrf:
        headers["X-CSRFToken"] = csrf
    return await client.post(path, body, content_type="application/json", headers=headers)


async def offer(client: AsyncClient, webrtc_id: str = "one", **kwargs: str) -> Any:
    return await post(client, OFFER, {"type": "offer", "sdp": await offer_with(), "webrtc_id": webrtc_id}, **kwargs)


async def visitor(username: str = "", *, csrf_checks: bool = False, **fields: Any) -> AsyncClient:
    """A browser that has opened the page, signed in if a name is given."""
    client = AsyncClient(enforce_csrf_checks=csrf_checks)
    if username:
        user = await User.objects.acreate(username=username, **fields)
        await client.aforce_login(user)
    await client.get("/streams/echo/")
    return client


async def set_access(access: str) -> None:
    await Stream.objects.filter(slug="echo").aupdate(access=access)


@pytest.mark.parametrize(
    ("access", "who", "status", "error"),
    [
        ("public", "nobody", 200, None),
        ("login", "nobody", 401, "login_required"),
        ("login", "user", 200, None),
        ("login", "inactive", 401, "login_required"),
        ("staff", "nobody", 401, "login_required"),
        ("staff", "user", 403, "forbidden"),
        ("staff", "staff", 200, None),
        ("group", "nobody", 401, "login_required"),
        ("group", "user", 403, "forbidden"),
        ("group", "member", 200, None),
        ("group", "staff", 403, "forbidden"),
    ],
)
async def test_access_is_asked_on_every_route(access: str, who: str, status: int, error: str | None) -> None:
    await set_access(access)
    group = await Group.objects.acreate(name="callers")
    await group.permissions.aadd(await Permission.objects.aget(codename="use_stream"))
    await (await Stream.objects.aget(slug="echo")).groups.aadd(group)
    client = AsyncClient()
    if who != "nobody":
        user = await User.objects.acreate(username=who, is_staff=who == "staff")
        if who == "member":
            await user.groups.aadd(group)
        await client.aforce_login(user)
        if who == "inactive":
            await User.objects.filter(pk=user.pk).aupdate(is_active=False)
    configuration = await client.get("/api/streams/echo/rtc_configuration")
    answered = await offer(client)
    closed = await post(client, "/api/streams/echo/close", {"webrtc_id": "nothing"})
    candidate = await post(client, OFFER, {"type": "ice-candidate", "webrtc_id": "nothing"})
    if error is None:
        assert configuration.json() == {"iceServers": [], "relay": "none"}
        assert answered.json()["type"] == "answer"
        assert closed.json()["meta"]["error"] == candidate.json()["meta"]["error"] == "unknown_connection"
    else:
        for response in (configuration, answered, closed, candidate):
            assert (response.status_code, response.json()["meta"]["error"]) == (status, error)
            assert response.json()["meta"]["detail"]
        assert len(manager) == 0


@pytest.mark.parametrize("owner", ["user", "session", "token"])
async def test_a_session_belongs_to_whoever_opened_it(owner: str) -> None:
    mine = {"user": await visitor("mine"), "session": await visitor(), "token": AsyncClient()}[owner]
    answer = (await offer(mine)).json()
    token = answer.get("token", "")
    assert bool(token) is (owner == "token")
    thieves = [(AsyncClient(), ""), (AsyncClient(), "x" * 43), (await visitor("other"), ""), (await visitor(), "")]
    for thief, stolen in thieves:
        for path, body in ((OFFER, {"type": "ice-candidate"}), ("/api/streams/echo/close", {})):
            response = await post(thief, path, {"webrtc_id": "one", **body}, token=stolen)
            assert response.json() == {"status": "failed", "meta": {"error": "unknown_connection"}}
    assert len(manager) == 1
    elsewhere = await post(mine, "/api/streams/echo-live/close", {"webrtc_id": "one"}, token=token)
    assert elsewhere.json()["meta"]["error"] == "unknown_connection"
    ended = await post(mine, "/api/streams/echo/close", {"webrtc_id": "one"}, token=token)
    assert (ended.json(), len(manager)) == ({"status": "success"}, 0)


@pytest.mark.parametrize("username", ["", "ada"])
async def test_cookies_count_only_with_the_csrf_token(username: str) -> None:
    client = await visitor(username, csrf_checks=True)
    for path, body in ((OFFER, {"type": "offer", "sdp": ""}), ("/api/streams/echo/close", {})):
        refused = await post(client, path, {"webrtc_id": "one", **body})
        assert (refused.status_code, refused.json()["meta"]["error"]) == (403, "csrf_failed")
        forged = await post(client, path, {"webrtc_id": "one", **body}, csrf="x" * 32)
        assert forged.status_code == 403
    assert (await offer(client, csrf=client.cookies["csrftoken"].value)).status_code == 200


async def test_callers_without_cookies_need_no_csrf_token() -> None:
    assert (await offer(AsyncClient(enforce_csrf_checks=True))).json()["token"]


async def test_a_streams_problems_are_said() -> None:
    client = AsyncClient()
    await Stream.objects.filter(slug="echo").aupdate(enabled=False)
    assert (await offer(client)).json()["meta"]["error"] == "stream_disabled"
    await Stream.objects.filter(slug="echo").aupdate(enabled=True, handler="gone")
    response = await offer(client)
    assert (response.status_code, response.json()["meta"]["error"]) == (503, "handler_missing")
    missing = await client.get("/api/streams/nowhere/rtc_configuration")
    assert (missing.status_code, missing.json()["meta"]["error"]) == (404, "unknown_stream")


CONFIGURATION = "/api/streams/echo/rtc_configuration"


@pytest.fixture
def coturn(settings: Any) -> None:
    entry = {"BACKEND": "turn.providers.coturn.Coturn", "OPTIONS": {"urls": "turn:a", "secret": "secret-of-nobody"}}
    settings.TURN_PROVIDERS = {"default": entry, "office": {**entry, "TTL": 60}}


async def test_relay_credentials_are_each_visitors_own_and_tell_nobody_who(coturn: None) -> None:
    ada, stranger = await visitor("ada-l", email="ada@example.org"), await visitor()
    names = []
    for client in (ada, stranger, AsyncClient(), AsyncClient()):
        response = await client.get(CONFIGURATION)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.json()["relay"] == "ready"
        assert 14_000 < response.json()["expires_in"] <= 14_400
        (server,) = response.json()["iceServers"]
        names.append(server["username"].partition(":")[2])
        session = client.cookies.get("sessionid")
        assert "ada-l" not in server["username"]
        assert session is None or session.value not in response.content.decode()
    assert names[0] == f"user-{(await User.objects.aget(username='ada-l')).pk}"
    assert names[1].startswith("session-")
    assert len(set(names)) == 4
    again = (await stranger.get(CONFIGURATION)).json()["iceServers"][0]["username"]
    assert again.partition(":")[2] == names[1]


async def test_a_streams_provider_is_the_administrators_choice(coturn: None) -> None:
    await Stream.objects.filter(slug="echo").aupdate(turn_provider="office")
    assert (await AsyncClient().get(CONFIGURATION)).json()["expires_in"] <= 60


async def test_no_log_has_a_secret_of_the_relay_and_a_failing_provider_refuses_nobody(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    relay = {"urls": ["turn:a"], "username": "bc91", "credential": RELAY_PASSWORD}
    caplog.set_level(logging.DEBUG)
    with StandIn().running() as service:
        service.reply = Reply(201, json.dumps({"iceServers": [relay]}).encode())
        options = {"key_id": "key", "token": "secret-of-nobody", "base_url": service.url}
        entry = {"BACKEND": "turn.providers.cloudflare.Cloudflare", "OPTIONS": options}
        settings.TURN_PROVIDERS = {"default": entry, "office": entry}
        for client in (await visitor("ada"), await visitor(), AsyncClient()):
            told = (await client.get(CONFIGURATION)).json()
            assert (told["iceServers"], told["relay"]) == ([relay], "ready")
        assert len(service.requests) == 1, "all visitors share it"
        service.reply = Reply(401, b"secret-of-nobody is wrong")
        await Stream.objects.filter(slug="echo").aupdate(turn_provider="office")
        for _ in range(2):
            response = await AsyncClient().get(CONFIGURATION)
            assert (response.status_code, response.json()) == (200, {"iceServers": [], "relay": "unavailable"})
        assert len(service.requests) == 2, "nobody waits for it again"
    assert "Cloudflare does not accept the key. Check CLOUDFLARE_TURN_KEY_ID" in caplog.text
    assert RELAY_PASSWORD not in caplog.text
    assert "secret-of-nobody" not in caplog.text
    assert "secret-of-nobody" not in str(get_default_exception_reporter_filter().get_safe_settings())


@pytest.mark.parametrize("how", ["async", "sync", "lambda"])
async def test_a_streams_code_may_give_the_configuration(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    given = {"iceServers": [{"urls": "stun:a"}], "iceTransportPolicy": "all"}
    threads = []

    async def ask() -> Any:
        return given

    def ask_sync() -> Any:
        threads.append(threading.current_thread())
        return given

    function = {"async": ask, "sync": ask_sync, "lambda": lambda: ask()}[how]
    echo = registry.get("echo")
    assert echo is not None
    own = dataclasses.replace(echo, rtc_configuration=function, server_rtc_configuration=function)
    monkeypatch.setitem(registry._registry, "echo", own)
    assert (await AsyncClient().get(CONFIGURATION)).json() == {**given, "relay": "none"}
    assert (await offer(AsyncClient())).json()["type"] == "answer"
    assert (len(threads), threading.current_thread() in threads) == (2 if how == "sync" else 0, False)


async def test_a_full_worker_says_so(settings: Any) -> None:
    settings.STREAMS_MAX_SESSIONS = 1
    await offer(AsyncClient())
    response = await offer(AsyncClient(), "two")
    assert (response.status_code, response.json()["meta"]["error"]) == (503, "server_full")


def test_the_api_documents_itself_offline(client: Client) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {
        "/api/streams/{slug}/webrtc/offer",
        "/api/streams/{slug}/rtc_configuration",
        "/api/streams/{slug}/close",
    } <= set(paths)
    page = client.get("/api/docs").content.decode()
    assert "/static/ninja/" in page
    assert "https://" not in page
