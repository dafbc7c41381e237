"""What reaches a session from its stream's row, and what the application is told; over WebSockets, in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser, User

from streams.live.manager import manager
from streams.media import AsyncStreamHandler, ReplyOnPause, ReplyTiming
from streams.media.session import Reason, Session
from streams.media.transports.websocket import Start
from streams.models import Stream, Visitor
from streams.registry import Registry
from streams.services import Caller, open_websocket
from streams.session_records import written
from streams.signals import reply_finished

pytestmark = pytest.mark.django_db(transaction=True)


def beep(*audio: Any) -> Iterator[Any]:
    yield 24000, np.full((1, 2400), 5000, np.int16)


def drone() -> Iterator[Any]:
    for _ in range(600):
        yield from beep()


class Mute(AsyncStreamHandler):
    def copy(self) -> Mute:
        return Mute()

    async def receive(self, frame: Any) -> None:
        return

    async def emit(self) -> None:
        return


@pytest.fixture
async def stream(handlers: Registry) -> AsyncIterator[Stream]:
    handlers.register("beeper", ReplyOnPause(beep, startup_fn=beep))
    handlers.register("drone", ReplyOnPause(beep, startup_fn=drone))
    handlers.register("mute", Mute())
    yield await Stream.objects.acreate(slug="beeper", title="Beeper", handler="beeper")
    await manager.close_all(Reason.SERVER_SHUTDOWN, 5)
    manager._draining = False
    await written()


async def ignore(*args: Any) -> None:
    return


def opened(stream: Stream, webrtc_id: str, user: Visitor | None = None, send: Any = ignore) -> Session:
    caller = Caller(user or AnonymousUser(), "owner")
    return open_websocket(stream, caller, Start(webrtc_id), send, ignore).session


def handler_of(session: Session) -> ReplyOnPause:
    assert isinstance(session.handler, ReplyOnPause)
    return session.handler


def values_of(handler: Any) -> tuple[float, float, float, bool]:
    options, interruption = handler.algo_options, handler.interruption
    return handler.model_options.threshold, interruption.min_speech, options.longest_wait, handler.can_interrupt


async def test_new_turn_taking_counts_for_new_sessions_and_running_ones_keep_theirs(stream: Stream) -> None:
    before = opened(stream, "before")
    stream.turn_taking = {"threshold": 0.7, "min_speech": 0.5, "longest_wait": 1.5, "can_interrupt": False}
    await stream.asave()
    after = opened(await Stream.objects.aget(slug="beeper"), "after")

    assert stream.registration is not None
    in_code = ReplyOnPause(beep)
    for handler in (handler_of(before), stream.registration.prototype):
        assert values_of(handler) == values_of(in_code)
    assert values_of(handler_of(after)) == (0.7, 0.5, 1.5, False)


@pytest.mark.parametrize("stored", [{"threshold": "loud", "min_speech": 0.5}, ["nonsense"], "nonsense"])
async def test_bad_turn_taking_does_not_break_a_stream(
    stream: Stream, stored: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stream.turn_taking = stored
    with caplog.at_level(logging.WARNING):
        handler = handler_of(opened(stream, "one"))
    expected = {"min_speech": 0.5} if isinstance(stored, dict) else {}
    assert values_of(handler) == values_of(ReplyOnPause(beep).with_turn_taking(expected))
    assert "Turn taking" in caplog.text


async def test_a_handler_that_takes_no_turns_has_no_turn_taking(stream: Stream) -> None:
    stream.handler, stream.turn_taking = "mute", {"threshold": 0.7}
    assert isinstance(opened(stream, "one").handler, Mute)


# -- the application is told --------------------------------------------------------------------------------------


@pytest.fixture
def listen() -> Iterator[Callable[..., None]]:
    receivers: list[Any] = []

    def listen(receiver: Any) -> None:
        reply_finished.connect(receiver)
        receivers.append(receiver)

    yield listen
    for receiver in receivers:
        reply_finished.disconnect(receiver)


async def test_the_application_is_told_of_each_reply(stream: Stream, listen: Callable[..., None]) -> None:
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receiver(**about: Any) -> None:
        told.put_nowait(about)

    listen(receiver)
    user = await User.objects.acreate(username="ada")
    session = opened(stream, "one", user)
    about = await asyncio.wait_for(told.get(), 30)
    assert (about["stream"], about["webrtc_id"], about["user"], about["sender"]) == ("beeper", "one", user, Stream)
    timing = about["timing"]
    assert isinstance(timing, ReplyTiming)
    assert (timing.number, timing.interrupted, timing.generated_seconds) == (1, False, 0.1)
    assert timing.ended is not None
    session.trigger_response("Hello")
    assert (await asyncio.wait_for(told.get(), 30))["timing"].number == 2


async def test_a_receiver_that_raises_is_logged_and_harms_nobody(
    stream: Stream, listen: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers: list[int] = []

    def clumsy(**about: Any) -> None:
        raise ZeroDivisionError("of the application")

    async def clumsy_too(**about: Any) -> None:
        raise ZeroDivisionError("of the application")

    def writes(timing: ReplyTiming, **about: Any) -> None:
        """In Django's thread for synchronous code, where the ORM works."""
        numbers.append(Stream.objects.filter(slug=about["stream"]).count() * timing.number)
        loop.call_soon_threadsafe(told.set)

    for receiver in (clumsy, clumsy_too, writes):
        listen(receiver)
    session = opened(stream, "one")
    await asyncio.wait_for(told.wait(), 30)
    told.clear()
    session.trigger_response("Hello")
    await asyncio.wait_for(told.wait(), 30)
    assert numbers == [1, 2]
    assert caplog.text.count("ZeroDivisionError: of the application") >= 2


async def test_the_end_of_a_session_is_the_end_of_its_reply(stream: Stream, listen: Callable[..., None]) -> None:
    told: asyncio.Queue[ReplyTiming] = asyncio.Queue()

    async def receiver(timing: ReplyTiming, **about: Any) -> None:
        told.put_nowait(timing)

    async def heard(message: str | bytes) -> None:
        if "media" in str(message):
            playing.set()

    listen(receiver)
    stream.handler, playing = "drone", asyncio.Event()
    session = opened(stream, "one", send=heard)
    await asyncio.wait_for(playing.wait(), 30)
    await session.close(Reason.CLIENT_CLOSED)
    timing = await asyncio.wait_for(told.get(), 30)
    assert timing.interrupted is False
    assert timing.ended is not None
    assert 0 < timing.heard_seconds < timing.generated_seconds
