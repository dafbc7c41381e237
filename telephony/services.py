"""The use-cases of the telephone: answering a call, opening its session, and what comes after."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from streams.media.errors import ConcurrencyLimitReached, ServerFull, StreamsError
from streams.media.session import Reason, Session
from streams.models import Stream
from streams.services import Caller, UnknownStream, check_room, find_stream, open_call
from telephony.media_streams import Codec, Started
from telephony.models import Call, PhoneNumber
from telephony.providers import BadSignature, CallInfo, Connection, Provider
from telephony.transport import TelephoneTransport

logger = logging.getLogger(__name__)

TOKEN_SECONDS = 60
"""How long after the webhook the socket may come."""
ANONYMOUS = Caller(AnonymousUser(), "")

_writing: set[asyncio.Task[None]] = set()


class CallRefused(Exception):
    """A socket that belongs to no call of ours. The text is for the log."""


def public_url(path: str, request: HttpRequest | None = None, *, socket: bool = False) -> str:
    """The address of a path as the provider sees it: behind a proxy that is a setting."""
    base = settings.TELEPHONY_PUBLIC_URL or (request.build_absolute_uri("/") if request is not None else "")
    parts = urlsplit(base)
    scheme = {"https": "wss", "http": "ws"}[parts.scheme] if socket else parts.scheme
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{path}"


def verify(provider: Provider, request: HttpRequest) -> bool:
    """Whether the provider has sent this webhook. What is wrong is logged, once."""
    try:
        provider.verify(request, public_url(request.get_full_path(), request))
    except BadSignature as error:
        logger.warning("Webhook of %s refused: %s", provider.name, error)
        return False
    return True


# -- a call comes in ----------------------------------------------------------------------------------------------


async def answer(provider: Provider, request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """Answer a verified webhook: connect the call to its stream, or say why not.

    Without ``slug`` the number that was called decides. A number that an administrator has given to a stream lets
    its callers in whatever the stream's access is; a stream called by its own address must be open to everybody.
    """
    info = provider.call(request)
    number = await PhoneNumber.objects.select_related("stream").filter(number=info.called).afirst()
    words = number or PhoneNumber(number=info.called)
    try:
        stream = await _stream_for(number, slug)
        check_room(stream)
    except (ConcurrencyLimitReached, ServerFull):
        return await _refuse(provider, info, number, words.words_when_full)
    except StreamsError as error:
        logger.info("Call %s refused: %s", info.id, error)
        return await _refuse(provider, info, number, words.words_when_closed)
    token = secrets.token_urlsafe(32)
    call = await _record(provider, info, number, stream=stream, token=_hashed(token), status=Call.Status.RINGING)
    if call is None:
        logger.warning("Call %s came twice: the second webhook is refused", info.id)
        return HttpResponse("This call has been answered already.", status=403, content_type="text/plain")
    asyncio.get_running_loop().call_later(TOKEN_SECONDS + 1, lambda: _write_down(forget_unanswered()))
    after = public_url(reverse("telephony-after", args=[provider.name, call.pk]), request)
    socket = public_url(f"/telephony/{provider.name}/media", request, socket=True)
    return provider.connect(Connection(socket, after, token, words.greeting, words.language))


async def _stream_for(number: PhoneNumber | None, slug: str | None) -> Stream:
    if slug is not None:
        return await find_stream(slug, ANONYMOUS.user)
    if number is None or not number.enabled:
        raise StreamsError("Nobody answers at this number.")
    stream = number.stream
    if not stream.is_available:
        raise StreamsError("The stream of this number is switched off.")
    return stream


async def _refuse(provider: Provider, info: CallInfo, number: PhoneNumber | None, words: str) -> HttpResponse:
    await _record(provider, info, number, status=Call.Status.REFUSED, end_reason=words, ended_at=timezone.now())
    return provider.say(words, number.language if number else "en-US")


async def _record(provider: Provider, info: CallInfo, number: PhoneNumber | None, **values: object) -> Call | None:
    try:
        return await Call.objects.acreate(
            provider=provider.name,
            call_id=info.id,
            caller=info.caller[:64],  # a SIP address may be longer
            called=info.called[:64],
            phone_number=number,
            **values,
        )
    except IntegrityError:
        return None


# -- its socket opens ---------------------------------------------------------------------------------------------


async def connect(
    provider: Provider,
    codec: Codec,
    started: Started,
    send: Callable[[str], Awaitable[None]],
    hang_up: Callable[[], Awaitable[None]],
) -> TelephoneTransport:
    """Open a session for a socket that brings the call's one-time token. Raises CallRefused and StreamsError."""
    call = await _claim(provider, started)

    async def end() -> None:
        """Written down first: the provider asks what comes next as soon as the socket has closed."""
        try:
            await _finish(call, Call.Status.ENDED, "", transport.transfer_to)
        finally:
            await hang_up()

    transport = TelephoneTransport(codec, send, end)
    about = {
        "from": call.caller,
        "to": call.called,
        "call_id": call.call_id,
        "stream_id": started.stream_id,
        **{name: value for name, value in started.parameters.items() if name != "token"},
    }
    try:
        if call.stream is None:
            raise UnknownStream
        session = open_call(call.stream, call.session_id, transport, about, on_closed=_closed(call))
    except StreamsError as error:
        status = Call.Status.REFUSED if isinstance(error, ConcurrencyLimitReached | ServerFull) else Call.Status.FAILED
        await _finish(call, status, str(error))
        raise
    except Exception:
        await _finish(call, Call.Status.FAILED, "The stream could not be started.")
        raise
    transport.start(session)
    return transport


async def _claim(provider: Provider, started: Started) -> Call:
    """The call that this token was made for; a token opens one socket, within a minute."""
    fresh = Call.objects.filter(
        provider=provider.name,
        token=_hashed(started.parameters.get("token", "")),
        status=Call.Status.RINGING,
        created_at__gte=timezone.now() - timedelta(seconds=TOKEN_SECONDS),
    )
    call = await fresh.select_related("stream", "phone_number").afirst()
    talking = {"status": Call.Status.TALKING, "answered_at": timezone.now(), "token": ""}
    if call is None or call.call_id != started.call_id or not await fresh.filter(pk=call.pk).aupdate(**talking):
        raise CallRefused("The media socket's token is missing, wrong, used or old.")
    return call


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _closed(call: Call) -> Callable[[Session, Reason], None]:
    def closed(session: Session, reason: Reason) -> None:
        assert isinstance(session.transport, TelephoneTransport)
        _write_down(_finish(call, Call.Status.ENDED, reason.value, session.transport.transfer_to))

    return closed


def _write_down(work: Coroutine[Any, Any, None]) -> None:
    """In a task that belongs to nobody: the session is closed, the request answered."""
    task = asyncio.get_running_loop().create_task(work)
    _writing.add(task)  # else nobody holds it
    task.add_done_callback(_writing.discard)


async def _finish(call: Call, status: str, reason: str, transfer_to: str = "") -> None:
    await Call.objects.filter(pk=call.pk).aupdate(
        status=status, end_reason=reason[:200], transfer_to=transfer_to, ended_at=timezone.now()
    )


# -- the socket has closed ----------------------------------------------------------------------------------------


async def after(provider: Provider, pk: int) -> HttpResponse:
    """What the provider is to do when a call's socket has closed: transfer it, say why it failed, or hang up."""
    call = await Call.objects.select_related("phone_number").filter(provider=provider.name, pk=pk).afirst()
    words = (call.phone_number if call else None) or PhoneNumber()
    if call is None:
        return provider.say("", words.language)
    if call.transfer_to:
        return provider.transfer(call.transfer_to)
    said = {
        Call.Status.REFUSED: words.words_when_full,
        Call.Status.FAILED: words.words_when_failed,
        Call.Status.RINGING: words.words_when_failed,  # the provider could not open the socket
    }
    return provider.say(said.get(Call.Status(call.status), ""), words.language)


async def forget_unanswered() -> None:
    """Close the records of calls whose socket never came."""
    old = timezone.now() - timedelta(seconds=TOKEN_SECONDS)
    await Call.objects.filter(status=Call.Status.RINGING, created_at__lt=old).aupdate(
        status=Call.Status.FAILED, end_reason="The caller hung up before the stream answered.", ended_at=timezone.now()
    )
