"""Whole calls to the site in this process: signed webhook, TwiML, socket, and what comes after."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from streams.live.manager import manager
from streams.media import (
    AdditionalOutputs,
    AsyncStreamHandler,
    CloseStream,
    ReplyOnPause,
    wait_for_item,
)
from streams.media.audio import Audio, Samples, resample
from streams.media.outputs import Emitted
from streams.media.session import Reason
from streams.models import SessionRecord, Stream
from streams.session_records import written
from telephony import records
from telephony.media_streams import FRAME, RATE
from telephony.models import Call, PhoneNumber
from telephony.simulator import Caller, CallFailed, Jumble, TwilioSide
from tests import speech
from tests.listening import find
from tests.loopback.conftest import MakeStream, sessions_gone
from tests.loopback.test_modalities import tone
from tests.loopback.test_offers import own_threads
from tests.telephony.conftest import AUTH_TOKEN, AsgiSocket, MakeCaller, unique_number

ENDED = (Call.Status.REFUSED, Call.Status.FAILED, Call.Status.ENDED)


def said(number: int = 4) -> Samples:
    source, samples = speech.sentence(number)
    return resample(samples, source, RATE)


class Echo(AsyncStreamHandler):
    """Sends each frame straight back."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
        self.frames: asyncio.Queue[Audio] = asyncio.Queue(50)

    def copy(self) -> Echo:
        return Echo()

    async def receive(self, frame: Audio) -> None:
        await self.frames.put(frame)

    async def emit(self) -> Emitted:
        return await wait_for_item(self.frames)


def long_reply(audio: Audio) -> Iterator[Audio]:
    for _ in range(100):
        yield tone(0.1)


def parrot(audio: Audio) -> Iterator[Audio]:
    yield audio


@asynccontextmanager
async def calling(caller: Caller) -> AsyncIterator[asyncio.Task[str]]:
    """A call that is being made while the block goes on; afterwards the caller hangs up."""
    call = asyncio.create_task(caller.call())
    try:
        yield call
    finally:
        caller.hang_up()
        async with asyncio.timeout(20):
            await call


async def over(status: str = Call.Status.ENDED) -> Call:
    """The only call there is, when nothing is left of it. Its record comes last."""
    await sessions_gone()
    async with asyncio.timeout(10):
        while (call := await Call.objects.aget()).status not in ENDED:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    assert call.status == status
    assert call.ended_at is not None
    return call


# -- talking


async def test_an_echo_at_the_line(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Echo())).slug)
    async with calling(friend):
        await friend.picked_up()
        friend.say(said())
        await friend.until(lambda: friend.line_seconds > said().size / RATE + 0.5)
    pieces = [said()[at : at + 1600] for at in range(1600, 8000, 1600)]
    assert max(find(piece, friend.heard)[1] for piece in pieces) > 0.95, "a busy machine may cost a live echo a frame"
    assert friend.sizes == {FRAME}
    assert friend.outcome == "hung up by the caller"
    call = await over()
    assert call.seconds is not None
    assert 1 < call.seconds < 10


async def test_a_reply_at_another_rate_is_heard_as_it_is(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(ReplyOnPause(parrot, input_sample_rate=16000, output_sample_rate=24000))).slug)
    async with calling(friend):
        await friend.picked_up()
        friend.say(said())
        await friend.hears(0.5)
        await friend.quiet(0.5)
    assert find(said()[1600:6400], friend.heard)[1] > 0.9


async def test_speaking_over_a_reply_stops_it(stream: MakeStream, caller: MakeCaller) -> None:
    """As heard at the caller's ear: from the first sound of the voice, until nothing of the reply is heard."""
    friend = caller((await stream(ReplyOnPause(long_reply))).slug)
    async with calling(friend):
        await friend.picked_up()
        friend.say(said())
        await friend.hears(1.0)
        began = friend.say(said(5))
        await friend.until(lambda: bool(friend.cleared))
        await friend.until(lambda: not friend.talking)
        await friend.quiet(0.4)
    voice = np.flatnonzero(np.abs(friend.said[round(began * RATE) :]) > 500)[0] / RATE
    heard = friend.heard[round((began + voice) * RATE) : round((began + voice + 0.8) * RATE)]
    stopped = (np.flatnonzero(np.abs(heard) > 500)[-1] + 1) / RATE
    assert stopped <= 0.25
    assert friend.dropped > 0


async def test_a_bad_network_is_not_heard_by_who_wants_every_frame(stream: MakeStream, caller: MakeCaller) -> None:
    slug = (await stream(ReplyOnPause(parrot, input_sample_rate=RATE, output_sample_rate=RATE))).slug
    friend = caller(slug, network=Jumble(twice=7, swap=5))
    async with calling(friend):
        await friend.picked_up()
        friend.say(said())
        await friend.hears(0.5)
        await friend.quiet(0.5)
    assert find(said()[1600:6400], friend.heard)[1] > 0.9


async def test_what_the_handler_knows_of_the_call(stream: MakeStream, caller: MakeCaller) -> None:
    from streams.media import get_current_context

    known: dict[str, Any] = {}

    class Curious(Echo):
        def copy(self) -> Curious:
            return Curious()

        async def start_up(self) -> None:
            context = get_current_context()
            known.update(context.caller, transport=context.transport, phone_mode=self.phone_mode)

    friend = caller((await stream(Curious())).slug, number="+4930555", called="+4930666")
    async with calling(friend):
        await friend.picked_up()
        await friend.until(lambda: bool(known))
    assert known == {
        "direction": "in",
        "from": "+4930555",
        "to": "+4930666",
        "call_id": friend.provider.call_id,
        "stream_id": friend.provider.stream_id,
        "transport": "telephone",
        "phone_mode": True,
    }


async def test_what_a_reply_publishes_is_what_the_next_one_is_given(stream: MakeStream, caller: MakeCaller) -> None:
    """FastRTC's documented rule: nobody sends inputs, so the outputs come back as the arguments."""
    given: list[tuple[Any, ...]] = []

    def greet() -> Iterator[Emitted]:
        yield AdditionalOutputs(["greeted"], 0)

    def count(audio: Audio, history: list[str] | None = None, turns: int = -1) -> Iterator[Emitted]:
        given.append((history, turns))
        yield AdditionalOutputs("overtaken", 99)
        yield tone(0.1), AdditionalOutputs([*(history or []), "heard"], turns + 1)

    friend = caller((await stream(ReplyOnPause(count, greet))).slug)
    async with calling(friend):
        await friend.picked_up()
        for turn in (1, 2):
            friend.say(said())
            await friend.until(lambda turn=turn: len(given) == turn)  # type: ignore[misc]
            await friend.hears(0.1 * turn)
    assert given == [(["greeted"], 0), (["greeted", "heard"], 1)]


# -- ends


async def test_the_last_word_is_heard_before_the_site_hangs_up(stream: MakeStream, caller: MakeCaller) -> None:
    def goodbye(audio: Audio) -> Iterator[Emitted]:
        yield tone(0.6)
        yield CloseStream("Bye then")

    friend = caller((await stream(ReplyOnPause(goodbye))).slug)
    call = asyncio.create_task(friend.call())
    await friend.picked_up()
    friend.say(said())
    assert await asyncio.wait_for(call, 20) == "hung up by the site"
    assert friend.loud_seconds() == pytest.approx(0.6, abs=0.05)
    assert friend.dropped == 0
    assert friend.told == []
    await over()


async def test_a_time_limit_ends_the_call(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Echo(), time_limit=1)).slug)
    assert await asyncio.wait_for(friend.call(), 20) == "hung up by the site"
    call = await over()
    assert call.end_reason == Reason.TIME_LIMIT.value
    await written()
    record = await SessionRecord.objects.aget(session_id=call.session_id)
    assert (record.transport, record.outcome, record.end_reason) == ("telephone", "ended", "time_limit")


@pytest.mark.parametrize("stage", ["greeting", "connected", "started", "talking", "in a reply"])
async def test_hanging_up_leaves_nothing(
    stream: MakeStream, caller: MakeCaller, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    if stage in ("greeting", "connected"):
        monkeypatch.setattr(records, "TOKEN_SECONDS", 0.1)  # after which a call counts as given up
    slug = (await stream(ReplyOnPause(long_reply), concurrency_limit=1)).slug
    threads, tasks = own_threads(), asyncio.all_tasks()
    friend = caller(slug)
    if stage in ("greeting", "connected", "started"):
        assert await friend.call(hang_up_at=stage) == "hung up by the caller"
    else:
        async with calling(friend):
            await friend.picked_up()
            friend.say(said())
            await (friend.hears(0.3) if stage == "in a reply" else friend.until(lambda: friend.line_seconds > 0.5))
    if stage in ("greeting", "connected"):
        await over(Call.Status.FAILED)
    else:
        await over()
    async with asyncio.timeout(5):
        while own_threads() > threads or asyncio.all_tasks() - tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    again = caller(slug)
    async with calling(again):
        await again.picked_up()


async def test_a_socket_that_dies_ends_the_call(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Echo())).slug)
    call = asyncio.create_task(friend.call())
    await friend.picked_up()
    await friend.until(lambda: friend.line_seconds > 0.2)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await over()


async def test_a_call_whose_server_died_is_told_so_and_closed(stream: MakeStream, caller: MakeCaller) -> None:
    """The provider asks what comes next, and another worker answers."""
    friend = caller((await stream(Echo())).slug)
    await friend.call(hang_up_at="greeting")
    await Call.objects.aupdate(status=Call.Status.TALKING)
    call = await Call.objects.aget()
    friend.path, friend.outcome, friend._hung_up, friend._stage = f"/telephony/twilio/after/{call.pk}", "", False, None
    await friend.call()
    assert friend.told == [PhoneNumber().words_when_failed]
    call = await over(Call.Status.FAILED)
    assert call.end_reason == "The line to the server broke."


async def test_a_call_that_talks_shows_that_it_does(
    stream: MakeStream, caller: MakeCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BEAT_SECONDS", 0.05)
    friend = caller((await stream(Echo())).slug)
    async with calling(friend):
        await friend.picked_up()
        seen = (await Call.objects.aget()).seen_at
        async with asyncio.timeout(10):
            while (await Call.objects.aget()).seen_at == seen:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
    await over()


async def test_the_server_stops(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Echo())).slug)
    call = asyncio.create_task(friend.call())
    await friend.until(lambda: len(manager) == 1)
    await manager.close_all(Reason.SERVER_SHUTDOWN, 4)
    assert await asyncio.wait_for(call, 20) == "hung up by the site"
    assert (await over()).end_reason == Reason.SERVER_SHUTDOWN.value


# -- who is not let in


async def test_five_callers_at_a_limit_of_two(stream: MakeStream, caller: MakeCaller) -> None:
    answering = await stream(Echo(), concurrency_limit=2)
    busy = await PhoneNumber.objects.acreate(
        number=unique_number(), stream=answering, words_when_full="Two are talking.", greeting="Hello."
    )
    callers = [caller(called=busy.number) for _ in range(5)]
    calls = [asyncio.create_task(each.call()) for each in callers]
    await asyncio.wait(calls, timeout=3)
    talking = [each for each, call in zip(callers, calls, strict=True) if not call.done()]
    assert len(talking) == 2
    for each in talking:
        each.hang_up()
    await asyncio.gather(*calls)
    turned_away = [each for each in callers if each not in talking]
    assert [each.told[-1] for each in turned_away] == ["Two are talking."] * 3
    assert [each.outcome for each in turned_away] == ["hung up by the site"] * 3
    await sessions_gone()
    statuses = [call.status async for call in Call.objects.all()]
    assert sorted(statuses) == ["ended", "ended", "refused", "refused", "refused"]


async def test_who_calls_when_all_lines_are_busy_is_told_at_once(stream: MakeStream, caller: MakeCaller) -> None:
    answering = await stream(Echo(), concurrency_limit=1)
    first, second = caller(answering.slug), caller(answering.slug)
    async with calling(first):
        await first.picked_up()
        assert await second.call() == "hung up by the site"
    assert not second.answered
    assert second.told == [PhoneNumber().words_when_full]


@pytest.mark.parametrize("how", ["unknown number", "disabled number", "disabled stream", "handler gone"])
async def test_nobody_answers(stream: MakeStream, caller: MakeCaller, how: str) -> None:
    answering: Stream = await stream(Echo(), enabled=how != "disabled stream")
    if how == "handler gone":
        answering.handler = "gone"
        await answering.asave()
    number = await PhoneNumber.objects.acreate(
        number=unique_number(), stream=answering, enabled=how != "disabled number", words_when_closed="Closed."
    )
    friend = caller(called=unique_number() if how == "unknown number" else number.number)
    assert await friend.call() == "hung up by the site"
    assert friend.told == ["Nobody answers here at the moment. Goodbye." if how == "unknown number" else "Closed."]
    assert not friend.answered


async def test_a_stream_for_members_has_no_open_webhook(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Echo(), access="login")).slug)
    assert await friend.call() == "hung up by the site"
    assert not friend.answered


async def test_a_handler_that_cannot_be_made_says_so(stream: MakeStream, caller: MakeCaller) -> None:
    class Broken(Echo):
        def copy(self) -> Broken:
            raise RuntimeError("no key")

    friend = caller((await stream(Broken())).slug)
    with contextlib.suppress(RuntimeError):  # servers log it
        await friend.call()
    assert len(manager) == 0
    await over(Call.Status.FAILED)


# -- sockets that belong to no call


async def ring(caller: Caller) -> dict[str, str]:
    """Call, and hang up before the socket. Returns what its start would have given."""
    parameters: dict[str, str] = {}

    async def spy(verb: Any) -> None:
        parameters.update({each.get("name"): each.get("value") for each in verb.find("Stream")})
        caller.hang_up()

    caller._connect = spy  # type: ignore[method-assign]
    await caller.call()
    return parameters


async def knock(*messages: str) -> int:
    """Open a socket, say this, and return the code with which it is closed."""
    socket = AsgiSocket("/telephony/twilio/media")
    for text in messages:
        await socket.send(text)
    return await socket.closed()


@pytest.mark.parametrize("how", ["none", "wrong", "of another call", "used", "old", "of another provider", "no text"])
async def test_a_socket_without_its_own_fresh_token_opens_nothing(
    stream: MakeStream, caller: MakeCaller, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    slug = (await stream(Echo())).slug
    friend = caller(slug)
    parameters: dict[str, Any] = await ring(friend)
    side = TwilioSide(AUTH_TOKEN)
    side.call_id = friend.provider.call_id
    match how:
        case "none":
            parameters = {}
        case "wrong":
            parameters = {"token": parameters["token"][::-1]}
        case "of another call":
            side.call_id = "CA" + "1" * 32
        case "old":
            await Call.objects.aupdate(seen_at=timezone.now() - timedelta(minutes=2))
        case "used":
            await knock(side.start(parameters, "", ""), side.stop())
            await sessions_gone()
        case "of another provider":
            await Call.objects.aupdate(provider="telnyx")
        case "no text":
            parameters = {"token": "\ud800"}
    caplog.set_level(logging.WARNING, "telephony")
    caplog.clear()
    assert await knock(side.connected(), side.start(parameters, "", "")) == 4008
    assert len(manager) == 0
    assert len([record for record in caplog.records if record.name.startswith("telephony")]) == 1
    assert all(parameters.get("token", "nothing") not in record.getMessage() for record in caplog.records)


async def test_a_socket_that_talks_nonsense_is_closed(caller: MakeCaller, transactional_db: None) -> None:
    assert await knock(*["nonsense"] * 100) == 4008
    assert await knock(*[json.dumps({"event": "media"})] * 100) == 4008


async def test_a_socket_that_says_nothing_is_closed(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    from telephony import consumers

    monkeypatch.setattr(consumers, "START_SECONDS", 0.1)
    assert await knock(TwilioSide(AUTH_TOKEN).connected()) == 4008


async def test_nothing_before_the_start_is_heard(stream: MakeStream, caller: MakeCaller) -> None:
    slug = (await stream(Echo())).slug
    friend = caller(slug)
    parameters = await ring(friend)
    side = TwilioSide(AUTH_TOKEN)
    side.call_id = friend.provider.call_id
    media = {"track": "inbound", "chunk": "1", "payload": "/w=="}
    before = [side.message("media", media=media), side.digit("1"), side.message("mark", mark={"name": "1"})]
    assert await knock(*before, side.start(parameters, "", ""), side.stop()) in (1000, 1001)
    await over()


async def test_failures_of_the_caller_are_told(caller: MakeCaller, transactional_db: None) -> None:
    friend = caller("there-is-none")
    assert await friend.call() == "hung up by the site"
    with pytest.raises(CallFailed):
        friend.path = "/nowhere"
        friend.outcome = ""
        await friend.call()


# -- keys, and another telephone


class Menu(Echo):
    """1 transfers, 2 says goodbye, 3 raises, and all are counted."""

    pressed: list[str] = []

    def copy(self) -> Menu:
        return Menu()

    def on_dtmf(self, key: str) -> None:
        Menu.pressed.append(key)
        if key == "3":
            raise RuntimeError("on purpose")
        if key in "12":
            words = {"1": CloseStream("One moment", transfer_to="+4930777"), "2": CloseStream("Bye")}[key]
            self.goodbye = asyncio.ensure_future(self.port.play(words))


async def test_a_key_reaches_the_handler(stream: MakeStream, caller: MakeCaller) -> None:
    Menu.pressed = []
    friend = caller((await stream(Menu())).slug)
    async with calling(friend):
        await friend.picked_up()
        for key in "#3*":
            friend.press(key)
        await friend.until(lambda: len(Menu.pressed) == 3)
    assert Menu.pressed == ["#", "3", "*"]
    await over()


async def test_a_transfer_goes_on_at_another_telephone(stream: MakeStream, caller: MakeCaller) -> None:
    friend = caller((await stream(Menu())).slug)
    call = asyncio.create_task(friend.call())
    await friend.picked_up()
    friend.press("1")
    assert await asyncio.wait_for(call, 20) == "transferred to +4930777"
    assert (await over()).transfer_to == "+4930777"


async def test_a_reply_may_end_with_a_transfer(stream: MakeStream, caller: MakeCaller) -> None:
    def reply(audio: Audio) -> Iterator[Emitted]:
        yield tone(0.4), CloseStream("One moment", transfer_to="+4930888")

    friend = caller((await stream(ReplyOnPause(reply))).slug, provider="telnyx")
    call = asyncio.create_task(friend.call())
    await friend.picked_up()
    friend.say(said())
    assert await asyncio.wait_for(call, 20) == "transferred to +4930888"
    assert friend.loud_seconds() == pytest.approx(0.4, abs=0.05), "after the last word"
