"""manage.py fastphone beside the real site, with a stand-in for FastRTC's service of temporary numbers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from aiohttp import web
from django.core.management import CommandError, call_command
from django.test import AsyncClient
from django.utils import timezone

from streams.models import Stream
from telephony import services
from telephony.fastphone import FastPhoneService
from telephony.management.commands.fastphone import stopped
from telephony.models import Call, FastPhone
from telephony.providers import ProviderError
from telephony.simulator import Caller, CallFailed, TwilioSide
from tests.site.server import TOP, Site

TOKEN = "hf_token"
GIVEN = {"code": 123456, "phone": "+1-877-713-4471", "time_remaining": 599.7, "reset_date": "2026-12-01"}


class Service:
    """As FastRTC's client knows it: /register and /unregister, JSON, the token without a word before it."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: Callable[[], web.Response] = lambda: web.json_response(GIVEN)
        self.asked: list[tuple[str, Any]] = []

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != TOKEN:
            return web.json_response({"detail": "Invalid token"}, status=401)
        self.asked.append((request.path, await request.json()))
        return self.answer() if request.path == "/register" else web.Response()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_post("/{what:(un)?register}", service._take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


@asynccontextmanager
async def fastphone(site: Site, service: Service) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.site.settings",
        "VAR_DIR": str(site.log.parent),
        "HF_TOKEN": TOKEN,
        "FASTPHONE_URL": service.url,
    }
    command = [sys.executable, "manage.py", "fastphone", "echo-live", "--public-url", site.url]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=TOP, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def caller(site: Site, **kwargs: Any) -> Caller:
    """Who has keyed in the code. The service's Twilio account is not ours."""
    return Caller(site.url, "/telephone/incoming", TwilioSide("the service's secret"), **kwargs)


async def talk(site: Site, **kwargs: Any) -> Caller:
    friend = caller(site, **kwargs)
    call = asyncio.create_task(friend.call())
    await friend.picked_up()
    friend.hang_up()
    await call
    return friend


async def knock(site: Site) -> Caller:
    """Let the service send a call straight to the socket, as it may, until it is heard or the site closes it."""
    friend = caller(site)
    address = site.url.replace("http", "ws", 1) + "/telephone/handler"
    document = ElementTree.fromstring(f'<Response><Connect><Stream url="{address}"/></Connect></Response>')
    call = asyncio.create_task(friend._follow(document))
    await friend.picked_up()
    friend.say(np.full(8000, 3000, np.int16))
    hearing = asyncio.create_task(friend.hears(0.1))
    await asyncio.wait({call, hearing}, return_when=asyncio.FIRST_COMPLETED)
    hearing.cancel()
    friend.hang_up()
    await call
    return friend


async def test_a_temporary_number_leads_to_the_stream_until_it_is_given_back(site: Site, service: Service) -> None:
    async with fastphone(site, service) as process:
        assert process.stdout
        lines = [(await asyncio.wait_for(process.stdout.readline(), 20)).decode() for _ in range(2)]
        assert lines[0] == "Call +1-877-713-4471 and key in 123456: “Live echo” answers.\n"
        assert lines[1].startswith("9:59 minutes are left until 2026-12-01.")
        host = site.url.partition("://")[2]
        assert service.asked == [("/register", {"url": host})]
        friend = await talk(site)
        assert friend.answered
        assert (await knock(site)).loud_seconds()
        process.send_signal(signal.SIGTERM)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (0, b"")
    assert b"given back" in output
    assert service.asked[1:] == [("/unregister", {"url": host, "code": "123456"})]
    with pytest.raises(CallFailed, match="404"):
        await caller(site).call()
    assert not (await knock(site)).loud_seconds()


async def test_a_command_that_died_leaves_no_door_open(transactional_db: None) -> None:
    stream = await Stream.objects.aget(slug="echo")
    door = await FastPhone.objects.acreate(stream=stream, public_url="https://a.example")
    assert await FastPhone.open() == door
    await FastPhone.objects.aupdate(seen_at=timezone.now() - timedelta(seconds=70))
    assert await FastPhone.open() is None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_both_ways_to_stop_it_are_polite(how: signal.Signals) -> None:
    before = signal.getsignal(how)
    with stopped() as stop:
        os.kill(os.getpid(), how)
        assert stop.wait(5)
    assert signal.getsignal(how) is before


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web.Response(status=202), "free minutes of this token are used up"),
        (web.Response(status=500), "status 500"),
        (web.Response(text="<h1>Hello</h1>"), "cannot be understood"),
        (web.json_response({"code": 1}), "cannot be understood"),
    ],
    ids=["no minutes", "broken", "no JSON", "half"],
)
async def test_no_number_is_had(service: Service, answer: web.Response, words: str) -> None:
    service.answer = lambda: answer
    with pytest.raises(ProviderError, match=words):
        await asyncio.to_thread(FastPhoneService(service.url, TOKEN, "host").register)


async def test_another_token_or_nobody_there(service: Service) -> None:
    with pytest.raises(ProviderError, match="does not accept the token"):
        await asyncio.to_thread(FastPhoneService(service.url, "another", "host").register)
    with pytest.raises(ProviderError, match="cannot be reached"):
        await asyncio.to_thread(FastPhoneService("http://127.0.0.1:9", TOKEN, "host").register)


async def test_a_token_out_of_a_file(service: Service) -> None:
    assert await asyncio.to_thread(FastPhoneService(service.url, f"{TOKEN}\n", "host").register)
    with pytest.raises(ProviderError, match="Copy it again") as refusal:
        FastPhoneService(service.url, "hf_\N{EM DASH}secret", "host")
    assert "secret" not in str(refusal.value)


async def test_who_only_knocks_does_not_fill_the_records(
    transactional_db: None, async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_AT_DOOR", 2)
    await FastPhone.objects.acreate(stream=await Stream.objects.aget(slug="echo"), public_url="https://a.example")

    async def knocked(call_id: str) -> int:
        asked = {"CallSid": call_id, "From": "+4930111", "To": "+4930222", "CallStatus": "ringing"}
        return (await async_client.post("/telephone/incoming", asked)).status_code

    assert [await knocked(call_id) for call_id in ("", "CA1", "CA2", "CA3")] == [503, 200, 200, 503]
    assert await Call.objects.acount() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "--public-url", "https://a.example", "--token", "t"], "no stream 'nothing'"),
        (["echo", "--token", "t"], "--public-url https://"),
        (["echo", "--public-url", "https://a.example", "--token", ""], "HF_TOKEN"),
        (["echo", "--public-url", "https://a.example", "--token", "t", "--service", "http://127.0.0.1:9"], "reached"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("fastphone", *arguments)
