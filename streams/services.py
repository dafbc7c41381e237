"""The use-cases, and the only place where Django and the live sessions meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils.crypto import salted_hmac

from streams.live.manager import LiveSession, manager
from streams.live.outbox import Gap, Output
from streams.media.context import Context
from streams.media.errors import ConnectionClosed, OfferError, OfferTooLarge, StreamsError
from streams.media.handlers import Handler
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Hooks, Reason, Session, SessionConfig, State
from streams.media.timing import ReplyTiming
from streams.media.transport import Transport
from streams.media.transports.webrtc import WebRTCConfig, WebRTCTransport
from streams.media.transports.websocket import Start, WebSocketTransport
from streams.media.weights import WeightsMissing
from streams.models import Stream, Visitor
from streams.registry import Registration, registry
from streams.signals import reply_finished
from streams.turn_taking import usable
from turn.services import Configuration, client_configuration, server_configuration

logger = logging.getLogger(__name__)

MAX_SDP = 64 * 1024
"""Characters. A browser's offer with every codec and a dozen candidates has under 10 000."""
OPENING_SECONDS = 3.0
MAX_TEXT = 10_000
"""Characters of one typed text."""

_telling: set[asyncio.Task[Any]] = set()


class UnknownStream(StreamsError):
    code = "unknown_stream"
    status = 404
    detail = "There is no such stream."


class LoginRequired(StreamsError):
    code = "login_required"
    status = 401
    detail = "Sign in to use this stream."


class Forbidden(StreamsError):
    code = "forbidden"
    status = 403
    detail = "You have no access to this stream. Ask an administrator for it."


class StreamDisabled(StreamsError):
    code = "stream_disabled"
    status = 403
    detail = "This stream is switched off at the moment."


class HandlerMissing(StreamsError):
    code = "handler_missing"
    status = 503
    detail = "This stream is out of order: what answered here is gone."


class NoInputs(StreamsError):
    code = "no_inputs"
    status = 400
    detail = "This stream takes no inputs."


class InvalidInput(StreamsError):
    code = "invalid_input"
    status = 422


class NoWebSocket(StreamsError):
    code = "unsupported_media"
    status = 400
    detail = "Only audio goes over a WebSocket. Connect with WebRTC to this stream."


class NoTelephone(StreamsError):
    code = "unsupported_media"
    status = 400
    detail = "Only audio streams can be called."


@dataclass(frozen=True)
class Caller:
    """Who calls. ``owner`` is what a session is bound to: a user, a Django session or a token."""

    user: Visitor
    owner: str


async def find_stream(slug: str, user: Visitor) -> Stream:
    """Return a stream that this visitor may use now. Raises the StreamsError that says why not."""
    stream = await Stream.objects.filter(slug=slug).afirst()
    if stream is None:
        raise UnknownStream
    if not await stream.aallows(user):
        raise Forbidden if user.is_authenticated else LoginRequired
    if not stream.enabled:
        raise StreamDisabled
    if stream.registration is None:
        raise HandlerMissing
    return stream


async def rtc_configuration(stream: Stream, caller: Caller) -> Configuration:
    """What a client passes to RTCPeerConnection."""
    given = stream.registration.client_ice if stream.registration else None
    return await client_configuration(_opaque(caller), stream.turn_provider, given)


def _opaque(caller: Caller) -> str:
    """A name for a relay's log, which tells who somebody is only to this site."""
    kind, _, key = caller.owner.partition(":")
    if kind == "user":
        return f"user-{key}"
    return f"{kind}-{salted_hmac('turn', key).hexdigest()[:16]}" if key else ""


# -- sessions -----------------------------------------------------------------------------------------------------


async def answer_offer(stream: Stream, caller: Caller, webrtc_id: str, sdp: str | None) -> str:
    """Open a session for an SDP offer and return the SDP answer. A refused offer leaves nothing behind."""
    if not sdp:
        raise OfferError("The offer has no sdp. Send the browser's localDescription.")
    if len(sdp) > MAX_SDP:
        raise OfferTooLarge
    _check_admission(stream, webrtc_id)  # before anybody is asked for credentials
    ours = await server_configuration(stream.registration.server_ice if stream.registration else None)
    registration = _check_admission(stream, webrtc_id)
    transport = WebRTCTransport(
        WebRTCConfig(
            ice_servers=ours.ice_servers,
            relay_only=ours.ice_transport_policy == "relay",
            media_timeout=settings.STREAMS_MEDIA_TIMEOUT,
            allow_extra_tracks=registration.allow_extra_tracks,
            video_bitrate=registration.video_bitrate,
        )
    )
    session = _open_session(stream, registration, caller, webrtc_id, transport)
    try:
        return str(await session.run(transport.answer(sdp, session)))
    except BaseException as error:
        closed_meanwhile = session.state in (State.CLOSING, State.CLOSED)
        await session.close(Reason.OFFER_FAILED)
        if isinstance(error, asyncio.CancelledError) and closed_meanwhile:
            raise ConnectionClosed from error
        raise


def open_websocket(
    stream: Stream,
    caller: Caller,
    start: Start,
    send: Callable[[str | bytes], Awaitable[None]],
    hang_up: Callable[[], Awaitable[None]],
) -> WebSocketTransport:
    """Open a session on a WebSocket that has been accepted."""
    registration = _check_admission(stream, start.websocket_id)
    if registration.modality != "audio":
        raise NoWebSocket
    transport = WebSocketTransport(start, send, hang_up)
    transport.start(_open_session(stream, registration, caller, start.websocket_id, transport))
    return transport


def check_room(stream: Stream) -> None:
    """Raise the StreamsError that says why no call can come in now."""
    _check_admission(stream, "")


def open_call(
    stream: Stream,
    call_id: str,
    transport: Transport,
    about: Mapping[str, str],
    on_closed: Callable[[Session, Reason], None],
) -> Session:
    """Open a session for a telephone call. ``about`` is what handlers find as their context's ``caller``."""
    registration = _check_admission(stream, call_id)
    if registration.modality != "audio":
        raise NoTelephone
    caller = Caller(AnonymousUser(), f"call:{call_id}")
    session = _open_session(stream, registration, caller, call_id, transport, about, on_closed)
    session.handler.phone_mode = True
    return session


def _check_admission(stream: Stream, webrtc_id: str) -> Registration:
    """Nothing may be awaited between this and ``_open_session``."""
    manager.check_admission(webrtc_id, stream.slug, stream.concurrency_limit, settings.STREAMS_MAX_SESSIONS)
    if stream.registration is None:
        raise HandlerMissing
    return stream.registration


def _open_session(
    stream: Stream,
    registration: Registration,
    caller: Caller,
    webrtc_id: str,
    transport: Transport,
    about: Mapping[str, str] | None = None,
    on_closed: Callable[[Session, Reason], None] = lambda session, reason: None,
) -> Session:
    """Take a slot and give it a session."""
    context = Context(webrtc_id, stream.slug, transport.name, caller.user, stream.options_for_handler(), about or {})

    def closed(session: Session, reason: Reason) -> None:
        manager.discard(session, reason)
        on_closed(session, reason)

    session = Session(
        _handler(stream, registration),
        transport,
        context,
        config=SessionConfig(settings.STREAMS_CONNECT_TIMEOUT, stream.time_limit, settings.DEBUG, registration.mode),
        hooks=Hooks(on_closed=closed, on_outputs=manager.publish, on_reply=partial(_tell_of_reply, context)),
        inputs=registration.initial_inputs(),
    )
    manager.add(session, stream.slug, caller.owner)
    session.connecting()
    return session


def _handler(stream: Stream, registration: Registration) -> Handler:
    """A fresh handler, which takes turns as the stream says."""
    prototype = registration.prototype
    if isinstance(prototype, ReplyOnPause) and stream.turn_taking:
        return prototype.with_turn_taking(usable(stream.turn_taking, prototype))
    return prototype.copy()


def _tell_of_reply(context: Context, session: Session, timing: ReplyTiming) -> None:
    about = {"stream": context.stream, "webrtc_id": context.webrtc_id, "user": context.user, "timing": timing}
    telling = session.loop.create_task(reply_finished.asend_robust(Stream, **about))
    _telling.add(telling)  # else nobody holds it; and the session may be closing, so it is none of its tasks
    telling.add_done_callback(_telling.discard)


async def add_candidate(stream: Stream, caller: Caller, webrtc_id: str, candidate: dict[str, object] | None) -> None:
    transport = _live(stream, caller, webrtc_id).session.transport
    if isinstance(transport, WebRTCTransport):
        await transport.add_candidate(candidate)


async def close_session(stream: Stream, caller: Caller, webrtc_id: str) -> None:
    await _live(stream, caller, webrtc_id).session.close(Reason.CLIENT_CLOSED)


def _live(stream: Stream, caller: Caller, webrtc_id: str) -> LiveSession:
    return manager.get(webrtc_id, stream.slug, caller.owner)


# -- inputs and outputs -------------------------------------------------------------------------------------------


def send_input(stream: Stream, caller: Caller, webrtc_id: str, values: dict[str, Any] | list[Any]) -> None:
    """Validate inputs with the stream's form and hand them to the handler. Fields left out keep their value."""
    session = _live(stream, caller, webrtc_id).session
    form_class = stream.registration.inputs if stream.registration else None
    if form_class is None:
        raise NoInputs
    names = list(form_class().fields)
    if isinstance(values, list) and len(values) > len(names):
        raise InvalidInput(f"There are {len(names)} inputs, not {len(values)}.", fields={})
    given = values if isinstance(values, dict) else dict(zip(names, values, strict=False))
    form = form_class(data={**dict(zip(names, session.handler.latest_args[1:], strict=False)), **given})
    if not form.is_valid():
        fields = {name: [str(problem) for problem in problems] for name, problems in form.errors.items()}
        of_all = " ".join(fields.get(NON_FIELD_ERRORS, []))
        sentences = [f"{name}: {' '.join(told)}" for name, told in fields.items() if name != NON_FIELD_ERRORS]
        raise InvalidInput("; ".join([*sentences, *([of_all] if of_all else [])]), fields=fields)
    session.set_inputs([form.cleaned_data[name] for name in names])


def set_input(stream: Stream, caller: Caller, webrtc_id: str, *values: Any) -> None:
    """Hand the handler values from code, unvalidated."""
    _live(stream, caller, webrtc_id).session.set_inputs(values)


def trigger_response(stream: Stream, caller: Caller, webrtc_id: str, text: str = "") -> None:
    """Let the handler answer now: to a typed text, or to what was said so far (push-to-talk)."""
    _live(stream, caller, webrtc_id).session.trigger_response(text[:MAX_TEXT])


async def follow_outputs(
    stream: Stream, caller: Caller, webrtc_id: str, after: int = 0
) -> AsyncIterator[Output | Gap | None]:
    """Follow what the handler publishes, from the beginning or after an output's number.

    A front end may ask right after it has sent its socket's "start", and an EventSource does not ask twice: so a
    session that is not there yet is waited for.
    """
    await manager.opening(webrtc_id, OPENING_SECONDS)
    return _live(stream, caller, webrtc_id).outbox.follow(after)


def warm_up() -> None:
    """Load what the registered handlers need, so that the first visitor does not wait for it."""
    for registration in registry:
        if isinstance(registration.prototype, ReplyOnPause):
            try:
                registration.prototype.warm_up()
            except WeightsMissing as error:
                logger.warning("%s", error)
