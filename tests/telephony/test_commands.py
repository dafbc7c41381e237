"""manage.py call and connect_number, with Twilio's REST on a port of this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from streams.models import Stream
from telephony.models import Call, PhoneNumber
from tests.telephony import conftest
from tests.telephony.conftest import AUTH_TOKEN, SITE
from tests.telephony.exchange import ACCOUNT, OWN_NUMBER, PERSON, Exchange

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running() -> Iterator[Exchange]:
    """The exchange in a thread of its own. It does not call back."""

    async def nowhere(url: str, form: bytes, headers: Any) -> tuple[int, str]:
        await asyncio.Event().wait()
        raise AssertionError

    exchange = Exchange(AUTH_TOKEN, nowhere, conftest.open_socket)
    started, loop = threading.Event(), asyncio.new_event_loop()
    finished: asyncio.Event = asyncio.Event()

    async def serve() -> None:
        async with exchange.running():
            started.set()
            await finished.wait()
            for call in exchange.calls:
                call.cancel()
            await asyncio.gather(*exchange.calls, return_exceptions=True)
            exchange.calls.clear()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    yield exchange
    loop.call_soon_threadsafe(finished.set)
    thread.join()
    loop.close()


@pytest.fixture
def exchange(running: Exchange, settings: Any) -> Exchange:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_API_URL = ACCOUNT, running.url
    settings.TELEPHONY_PUBLIC_URL = SITE
    running.orders.clear()
    running.numbers = {OWN_NUMBER: {"sid": "PN1", "phone_number": OWN_NUMBER}}
    running.forgetful = False
    return running


def run(*arguments: str) -> tuple[str, str]:
    output, errors = StringIO(), StringIO()
    call_command(*arguments, stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


# -- call


def test_somebody_is_called(exchange: Exchange) -> None:
    PhoneNumber.objects.create(number=OWN_NUMBER, stream=Stream.objects.get(slug="echo"))
    output, _ = run("call", PERSON, "--stream", "echo", "--machine", "talk", "--with", "name=Ada")
    call = Call.objects.get()
    assert f"call {call.pk} in the admin" in output
    assert (call.parameters, call.machine, call.status) == ({"name": "Ada"}, "talk", "queued")
    assert call.call_id.startswith("CA")
    (order,) = exchange.orders
    assert (order["To"], order["From"], order["MachineDetection"]) == (PERSON, OWN_NUMBER, "DetectMessageEnd")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([PERSON, "--stream", "nothing"], "no stream 'nothing'"),
        (["030", "--stream", "echo", "--from", OWN_NUMBER], "030 is no telephone number"),
        ([PERSON, "--stream", "echo"], "no phone number of its own"),
        ([PERSON, "--stream", "echo", "--from", "+4930999999"], "not yet verified"),
        ([PERSON, "--stream", "echo", "--with", "name"], "name=value"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(exchange: Exchange, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("call", *arguments)


# -- connect_number


def connect(*arguments: str) -> tuple[str, str]:
    return run("connect_number", OWN_NUMBER, "echo", *arguments)


def test_a_number_is_connected_and_read_back(exchange: Exchange) -> None:
    longer = f"{OWN_NUMBER}9"
    exchange.numbers = {longer: {"sid": "PN2", "phone_number": longer}, **exchange.numbers}
    output, errors = connect("--public-url", "https://voice.invalid/")
    assert exchange.numbers[OWN_NUMBER]["voice_url"] == "https://voice.invalid/telephony/twilio/incoming"
    assert exchange.numbers[OWN_NUMBER]["status_callback"] == "https://voice.invalid/telephony/twilio/status"
    assert exchange.numbers[OWN_NUMBER]["voice_method"] == "POST"
    assert "voice_url" not in exchange.numbers[longer]
    number = PhoneNumber.objects.get()
    assert (number.number, number.stream.slug, number.enabled) == (OWN_NUMBER, "echo", True)
    assert "confirmed" in output
    assert "until now" not in output
    assert "TELEPHONY_PUBLIC_URL=https://voice.invalid" in errors
    assert "cannot be reached" in errors


def test_another_stream_takes_the_number_over(exchange: Exchange) -> None:
    exchange.numbers[OWN_NUMBER]["voice_url"] = "https://demo.twilio.com/welcome"
    PhoneNumber.objects.create(number=OWN_NUMBER, stream=Stream.objects.get(slug="assistant"), greeting="Hello.")
    output, _ = connect()
    number = PhoneNumber.objects.get()
    assert (number.stream.slug, number.greeting) == ("echo", "Hello.")
    assert "went to https://demo.twilio.com/welcome until now" in output


@pytest.mark.parametrize("field", ["trunk_sid", "voice_application_sid"])
def test_what_decides_in_our_place_is_told(exchange: Exchange, field: str) -> None:
    exchange.numbers[OWN_NUMBER][field] = "XX1"
    with pytest.raises(CommandError, match=r"\(XX1\).*Take that away"):
        connect()
    assert "voice_url" not in exchange.numbers[OWN_NUMBER]


def test_a_change_that_was_not_made_is_noticed(exchange: Exchange) -> None:
    exchange.forgetful = True
    with pytest.raises(CommandError, match="has not taken it"):
        connect()
    assert not PhoneNumber.objects.exists()


def test_what_is_wrong_with_a_number_is_told(exchange: Exchange, settings: Any) -> None:
    with pytest.raises(CommandError, match="none of the numbers"):
        run("connect_number", "+4930111222", "echo")
    with pytest.raises(CommandError, match="no telephone number"):
        run("connect_number", "030", "echo")
    with pytest.raises(CommandError, match="no stream"):
        run("connect_number", OWN_NUMBER, "nothing")
    with pytest.raises(CommandError, match="--public-url https://"):
        connect("--public-url", "voice.example.org")
    settings.TWILIO_AUTH_TOKEN = "another"
    with pytest.raises(CommandError, match="does not accept"):
        connect()


# -- what the system checks say


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"TWILIO_AUTH_TOKEN": "", "TELNYX_PUBLIC_KEY": ""}, ["telephony.W001"]),
        ({"TWILIO_ACCOUNT_SID": ""}, ["telephony.W003"]),
        ({"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": ""}, []),
        ({"TELEPHONY_PUBLIC_URL": ""}, ["telephony.W002"]),
        ({"TELEPHONY_PUBLIC_URL": "", "DEBUG": True}, []),
        ({"TELEPHONY_PUBLIC_URL": "voice.example.org"}, ["telephony.E001"]),
        ({"TELEPHONY_PUBLIC_URL": "https://other.example.org"}, ["telephony.W004"]),
        ({"TELEPHONY_PUBLIC_URL": "https://voice.example.org"}, []),
    ],
)
def test_checks_say_what_is_missing(settings: Any, values: dict[str, Any], found: list[str]) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TELEPHONY_PUBLIC_URL = ACCOUNT, "https://voice.example.org"
    settings.ALLOWED_HOSTS, settings.DEBUG = ["voice.example.org"], False
    for name, value in values.items():
        setattr(settings, name, value)
    assert checks() == []
    PhoneNumber.objects.create(number=OWN_NUMBER, stream=Stream.objects.get(slug="echo"))
    assert checks() == found


def checks() -> list[str]:
    return [str(message.id) for message in run_checks(databases=["default"]) if "telephony" in str(message.id)]
