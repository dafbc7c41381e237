"""The use-cases, and the only place where Django and the live sessions meet."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from django.conf import settings

from streams.live.manager import manager
from streams.media.context import Context
from streams.media.errors import ConnectionClosed, OfferError, OfferTooLarge, StreamsError
from streams.media.handlers import StreamHandlerBase
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Hooks, Reason, Session, SessionConfig
from streams.media.transports.webrtc import WebRTCConfig, WebRTCTransport
from streams.media.weights import WeightsMissing
from streams.models import Stream, Visitor
from streams.registry import registry
from turn.services import ice_servers, server_ice_servers

logger = logging.getLogger(__name__)

MAX_SDP = 64 * 1024
"""Characters. A browser's offer with every codec and a dozen candidates has under 10 000."""


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


def rtc_configuration(stream: Stream) -> dict[str, object]:
    """What a client passes to RTCPeerConnection."""
    return {"iceServers": ice_servers()}


async def answer_offer(stream: Stream, caller: Caller, webrtc_id: str, sdp: str | None) -> str:
    """Open a session for an SDP offer and return the SDP answer. A refused offer leaves nothing behind."""
    if not sdp:
        raise OfferError("The offer has no sdp. Send the browser's localDescription.")
    if len(sdp) > MAX_SDP:
        raise OfferTooLarge
    session, transport = _open_session(stream, caller, webrtc_id)
    try:
        return str(await session.run(transport.answer(sdp, session)))
    except BaseException as error:
        cancelled_by_close = session.state.value.startswith("clos")
        await session.close(Reason.OFFER_FAILED)
        if isinstance(error, asyncio.CancelledError) and cancelled_by_close:
            raise ConnectionClosed from error
        raise


def _open_session(stream: Stream, caller: Caller, webrtc_id: str) -> tuple[Session, WebRTCTransport]:
    """Take a slot. Nothing is awaited between the check and the taking."""
    manager.check_admission(webrtc_id, stream.slug, stream.concurrency_limit, settings.STREAMS_MAX_SESSIONS)
    registration = stream.registration
    if registration is None or not isinstance(registration.handler, StreamHandlerBase):
        raise HandlerMissing
    transport = WebRTCTransport(
        WebRTCConfig(
            ice_servers=server_ice_servers(),
            media_timeout=settings.STREAMS_MEDIA_TIMEOUT,
            mode=registration.mode,
        )
    )
    session = Session(
        registration.handler.copy(),
        transport,
        Context(webrtc_id, stream.slug, transport.name, caller.user, stream.options_for_handler()),
        config=SessionConfig(settings.STREAMS_CONNECT_TIMEOUT, stream.time_limit, settings.DEBUG),
        hooks=Hooks(on_closed=manager.discard),
    )
    manager.add(session, stream.slug, caller.owner)
    session.connecting()
    return session, transport


async def add_candidate(stream: Stream, caller: Caller, webrtc_id: str, candidate: dict[str, object] | None) -> None:
    session = manager.get(webrtc_id, stream.slug, caller.owner)
    assert isinstance(session.transport, WebRTCTransport)
    await session.transport.add_candidate(candidate)


async def close_session(stream: Stream, caller: Caller, webrtc_id: str) -> None:
    await manager.get(webrtc_id, stream.slug, caller.owner).close(Reason.CLIENT_CLOSED)


def warm_up() -> None:
    """Load what the registered handlers need, so that the first visitor does not wait for it."""
    try:
        for registration in registry:
            if isinstance(registration.handler, ReplyOnPause):
                registration.handler.warm_up()
    except WeightsMissing as error:
        logger.warning("%s", error)
