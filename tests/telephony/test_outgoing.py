"""Calls that the site places: ordered by REST, told of by webhooks, and answered by a person of the simulator."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from streams.live.manager import manager
from streams.media import AsyncStreamHandler, get_current_context
from streams.models import Stream
from telephony import twilio_account
from telephony.models import Call, PhoneNumber
from telephony.services import CallNotPlaced, place_call
from telephony.simulator import Caller
from tests.loopback.conftest import MakeStream, sessions_gone
from tests.telephony import conftest
from tests.telephony.conftest import AUTH_TOKEN, SITE
from tests.telephony.exchange import ACCOUNT, OWN_NUMBER, PERSON, Exchange, error
from tests.telephony.test_calls import Echo, said

Status = Call.Status


@pytest.fixture
async def exchange(stream: MakeStream, settings: Any) -> AsyncIterator[Exchange]:
    async with Exchange(AUTH_TOKEN, conftest.post, conftest.open_socket).running() as exchange:
        settings.TWILIO_ACCOUNT_SID, settings.TWILIO_API_URL = ACCOUNT, exchange.url
        settings.TELEPHONY_PUBLIC_URL = SITE
        yield exchange


@pytest.fixture
async def echo(stream: MakeStream) -> Stream:
    return await owning(await stream(Echo()))


async def owning(stream: Stream, **fields: Any) -> Stream:
    await PhoneNumber.objects.acreate(number=OWN_NUMBER, stream=stream, **fields)
    return stream


async def over(exchange: Exchange, call: Call) -> Call:
    """The record of a call when the provider has told all of it, and nothing is left of it."""
    async with asyncio.timeout(20):
        await asyncio.gather(*exchange.calls)
    await sessions_gone()
    await call.arefresh_from_db()
    return call


# -- whoever answers


async def test_who_is_called_talks_with_the_stream(exchange: Exchange, echo: Stream) -> None:
    async def talk(person: Caller) -> None:
        person.say(said())
        await person.hears(0.3)

    exchange.talk = talk
    call = await place_call(echo, PERSON)
    assert (call.direction, call.caller, call.called, call.stream_id) == ("out", OWN_NUMBER, PERSON, echo.pk)
    call = await over(exchange, call)
    (person,) = exchange.people
    assert person.loud_seconds() >= 0.3
    assert call.call_id == person.provider.call_id
    assert (call.status, call.answered_by) == (Status.ENDED, "")
    assert call.billed_seconds == math.ceil(person.line_seconds)
    assert call.seconds == pytest.approx(person.line_seconds, abs=1)


async def test_a_number_that_answers_nobody_may_still_call(exchange: Exchange, stream: MakeStream) -> None:
    echo = await owning(await stream(Echo()), enabled=False, language="de-DE")
    call = await over(exchange, await place_call(echo, PERSON, OWN_NUMBER))
    number = await PhoneNumber.objects.aget()
    assert call.phone_number_id == number.pk


async def test_what_the_handler_knows_of_a_call_it_makes(exchange: Exchange, stream: MakeStream) -> None:
    known: dict[str, str] = {}

    class Curious(AsyncStreamHandler):
        def copy(self) -> Curious:
            return Curious()

        async def start_up(self) -> None:
            known.update(get_current_context().caller)

        async def receive(self, frame: Any) -> None: ...

        async def emit(self) -> Any: ...

    own = await owning(await stream(Curious()))
    call = await place_call(own, PERSON, machine="talk", parameters={"name": "Ada", "from": "nowhere"})
    call = await over(exchange, call)
    assert exchange.orders[0]["MachineDetection"] == "DetectMessageEnd"
    assert known.pop("stream_id")
    assert known == {
        "name": "Ada",
        "direction": "out",
        "from": OWN_NUMBER,
        "to": PERSON,
        "call_id": call.call_id,
        "answered_by": "human",
    }


async def test_it_is_told_of_each_step(exchange: Exchange, echo: Stream) -> None:
    await place_call(echo, PERSON)
    assert exchange.orders[0]["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    assert "MachineDetection" not in exchange.orders[0]
    await asyncio.gather(*exchange.calls)


async def test_steps_that_are_told_late_change_nothing(exchange: Exchange, echo: Stream) -> None:
    exchange.outcome = "answered first"
    call = await over(exchange, await place_call(echo, PERSON))
    assert call.status == Status.ENDED
    await exchange._tell(exchange.people[0].provider, exchange.orders[0], "ringing")  # type: ignore[arg-type]
    await call.arefresh_from_db()
    assert call.status == Status.ENDED


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("busy", Status.BUSY),
        ("no-answer", Status.NO_ANSWER),
        ("failed", Status.FAILED),
        ("canceled", Status.FAILED),
    ],
)
async def test_nobody_picks_up(exchange: Exchange, echo: Stream, outcome: str, status: str) -> None:
    exchange.outcome = outcome
    call = await over(exchange, await place_call(echo, PERSON))
    assert (call.status, call.answered_at, call.seconds) == (status, None, None)
    assert call.ended_at is not None
    assert call.call_id.startswith("CA")


# -- answering machines


@pytest.mark.parametrize("machine", ["machine_start", "fax"])
async def test_a_machine_is_hung_up_on_where_it_was_asked_for(exchange: Exchange, echo: Stream, machine: str) -> None:
    exchange.answered_by = machine
    call = await over(exchange, await place_call(echo, PERSON, machine="hang_up"))
    assert exchange.orders[0]["MachineDetection"] == "Enable"
    (person,) = exchange.people
    assert (person.outcome, person.answered, person.told) == ("hung up by the site", False, [])
    assert (call.status, call.answered_by) == (Status.ENDED, machine)
    assert "machine" in call.end_reason


@pytest.mark.parametrize(
    ("asked", "answers"), [("hang_up", "human"), ("hang_up", "unknown"), ("talk", "machine_end_beep")]
)
async def test_whoever_may_be_talked_to_is(exchange: Exchange, echo: Stream, asked: str, answers: str) -> None:
    exchange.answered_by = answers
    call = await over(exchange, await place_call(echo, PERSON, machine=asked))
    assert exchange.people[0].answered
    assert (call.status, call.answered_by) == (Status.ENDED, answers)


# -- the same admission as for callers


async def test_a_stream_that_is_full_when_somebody_answers(exchange: Exchange, stream: MakeStream) -> None:
    own = await owning(await stream(Echo(), concurrency_limit=1), words_when_full="All busy. " * 30)
    talking, done = asyncio.Event(), asyncio.Event()

    async def talk(person: Caller) -> None:
        talking.set()
        await done.wait()

    exchange.talk = talk
    await place_call(own, PERSON)
    await talking.wait()
    second = await place_call(own, PERSON)
    await exchange.calls[1]
    assert exchange.people[1].told == ["All busy. " * 30]
    await second.arefresh_from_db()
    assert (second.status, second.end_reason) == (Status.REFUSED, "All busy. " * 20)
    done.set()


async def test_a_stream_that_was_switched_off_meanwhile(exchange: Exchange, echo: Stream) -> None:
    ringing, off = asyncio.Event(), asyncio.Event()
    tell = exchange._tell

    async def slowly(side: Any, order: Any, status: str, **more: str) -> None:
        if status == "in-progress":
            ringing.set()
            await off.wait()
        await tell(side, order, status, **more)

    exchange._tell = slowly  # type: ignore[method-assign]
    call = await place_call(echo, PERSON)
    await ringing.wait()
    await Stream.objects.filter(pk=echo.pk).aupdate(enabled=False)
    off.set()
    call = await over(exchange, call)
    assert exchange.people[0].told == [PhoneNumber().words_when_closed]
    assert call.status == Status.REFUSED


# -- webhooks that are not the provider's, or not for this call


async def test_an_answer_counts_once(exchange: Exchange, echo: Stream) -> None:
    await over(exchange, await place_call(echo, PERSON))
    person, order = exchange.people[0], exchange.orders[0]
    again = exchange._person(person.provider, order)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="403"):
        await again.call()
    assert len(manager) == 0


@pytest.mark.parametrize("name", ["answered", "status"])
async def test_unsigned_webhooks_change_nothing(exchange: Exchange, echo: Stream, name: str) -> None:
    call = await Call.objects.acreate(provider="twilio", direction="out", status=Status.QUEUED, stream=echo)
    status, _ = await conftest.post(f"{SITE}/telephony/twilio/{name}/{call.pk}", b"CallStatus=completed", {})
    assert status == 403
    await call.arefresh_from_db()
    assert call.status == Status.QUEUED


async def test_an_incoming_call_is_not_answered_as_an_outgoing_one(exchange: Exchange, echo: Stream) -> None:
    await over(exchange, await place_call(echo, PERSON))
    incoming = await Call.objects.acreate(provider="twilio", call_id="CA1", stream=echo)
    order = {**exchange.orders[0], "Url": f"{SITE}/telephony/twilio/answered/{incoming.pk}"}
    person = exchange._person(exchange.people[0].provider, order)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="403"):
        await person.call()


# -- orders that are not carried out


@pytest.mark.parametrize(
    ("to", "options", "words"),
    [
        ("030 123", {}, "is no telephone number"),
        (PERSON, {"from_": "+4930123123"}, "not yet verified.*21210"),
        ("+4990000000", {}, "'To' number .4990000000 is not a valid phone number.*errors/21211"),
        (PERSON, {"machine": "shout"}, "'shout'"),
        (PERSON, {"provider": "telnyx"}, "Only Twilio"),
    ],
)
async def test_orders_that_make_no_sense(
    exchange: Exchange, echo: Stream, to: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CallNotPlaced, match=words):
        await place_call(echo, to, **options)
    assert exchange.calls == []
    assert [call.status async for call in Call.objects.all()] in ([], [Status.FAILED])


async def test_a_site_that_cannot_call_says_what_it_lacks(
    exchange: Exchange, echo: Stream, stream: MakeStream, settings: Any
) -> None:
    with pytest.raises(CallNotPlaced, match="no phone number of its own"):
        await place_call(await stream(Echo()), PERSON)
    with pytest.raises(CallNotPlaced, match="switched off"):
        await place_call(await stream(Echo(), enabled=False), PERSON, OWN_NUMBER)
    with pytest.raises(CallNotPlaced, match="Only audio"):
        await place_call(await stream(lambda picture: picture, modality="video"), PERSON, OWN_NUMBER)
    settings.TELEPHONY_PUBLIC_URL = ""
    with pytest.raises(CallNotPlaced, match="Set TELEPHONY_PUBLIC_URL"):
        await place_call(echo, PERSON)
    settings.TELEPHONY_PUBLIC_URL, settings.TWILIO_ACCOUNT_SID = SITE, ""
    with pytest.raises(CallNotPlaced, match="Set TWILIO_ACCOUNT_SID"):
        await place_call(echo, PERSON)
    assert not await Call.objects.aexists()


TROUBLE = {
    "another secret": (None, Status.FAILED, "does not accept"),
    "too often": (error(429, 20429, "Too Many Requests"), Status.FAILED, "asked too often"),
    "broken": (web.Response(status=503, text="<h1>Sorry</h1>"), Status.QUEUED, "fault of its own.*503"),
    "no answer": (web.Response(text="<h1>Hello</h1>"), Status.QUEUED, "cannot be understood"),
    "slow": (None, Status.QUEUED, "has not answered"),
    "nobody there": (None, Status.FAILED, "cannot be reached"),
}


@pytest.mark.parametrize("how", TROUBLE)
async def test_trouble_at_the_provider_is_told(
    exchange: Exchange, echo: Stream, settings: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Where it is not known whether the call comes, its record stays open: a webhook may tell."""
    response, status, words = TROUBLE[how]

    async def trouble() -> web.Response:
        if response is None:
            await asyncio.Event().wait()
        assert response is not None
        return response

    match how:
        case "another secret":
            settings.TWILIO_AUTH_TOKEN = "another"
        case "nobody there":
            settings.TWILIO_API_URL = "http://127.0.0.1:9"
        case "slow":
            monkeypatch.setattr(twilio_account, "REST_SECONDS", 0.1)
            exchange.trouble = trouble
        case _:
            exchange.trouble = trouble
    with pytest.raises(CallNotPlaced, match=words) as told:
        await place_call(echo, PERSON)
    assert told.value.call is not None
    await told.value.call.arefresh_from_db()
    assert told.value.call.status == status
    assert AUTH_TOKEN not in str(told.value)
