"""The use-cases of the telephone: answering a call, placing one, opening its session, and what comes after."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from streams.media.errors import ConcurrencyLimitReached, ServerFull, StreamsError
from streams.media.session import Reason, Session
from streams.models import Stream
from streams.services import Caller, UnknownStream, check_room, find_stream, open_call
from telephony import records
from telephony.media_streams import Codec, Started
from telephony.models import E164, Call, FastPhone, PhoneNumber
from telephony.providers import (
    BadSignature,
    CallInfo,
    Connection,
    Order,
    Provider,
    ProviderError,
    ProviderSilent,
    Webhooks,
    get_provider,
)
from telephony.transport import TelephoneTransport

logger = logging.getLogger(__name__)

ANONYMOUS = Caller(AnonymousUser(), "")

MOST_AT_DOOR = 10
"""Calls of a temporary number that may wait for their sockets; none of them is signed."""

_DETECTION: Mapping[Call.Machine, Literal["", "start", "end"]] = {
    Call.Machine.UNASKED: "",
    Call.Machine.HANG_UP: "start",
    Call.Machine.TALK: "end",
}
_writing: set[asyncio.Task[None]] = set()


class CallRefused(Exception):
    """A socket that belongs to no call of ours. The text is for the log."""


class CallNotPlaced(Exception):
    """The provider has not confirmed a call; the text says why, to people. ``call``: the record, if there is one."""

    def __init__(self, text: str, call: Call | None = None) -> None:
        super().__init__(text)
        self.call = call


def public_url(request: HttpRequest | None = None) -> str:
    """This site's address as the provider sees it: behind a proxy that is a setting."""
    known: str = settings.TELEPHONY_PUBLIC_URL or (request.build_absolute_uri("/") if request is not None else "")
    return known.rstrip("/")


def webhooks_at(base: str, provider: str = "twilio") -> Webhooks:
    """What a number's provider is to call, of a site at this address."""
    incoming, status = (reverse(name, args=[provider]) for name in ("telephony-incoming", "telephony-status"))
    return Webhooks(f"{base}{incoming}", f"{base}{status}")


def verify(provider: Provider, request: HttpRequest) -> bool:
    """Whether the provider has sent this webhook. What is wrong is logged, once."""
    try:
        provider.verify(request, public_url(request) + request.get_full_path())
    except BadSignature as error:
        logger.warning("Webhook of %s refused: %s", provider.name, error)
        return False
    return True


# -- a call is answered -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Decision:
    """What a call is answered with: a stream, or words."""

    status: str
    stream: Stream | None = None
    words: str = ""
    reason: str = ""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def values(self) -> dict[str, object]:
        """As the call's record has it."""
        if self.stream is not None:
            return {"status": self.status, "token": _hashed(self.token)}
        reason = (self.reason or self.words)[: records.LONGEST_REASON]
        return {"status": self.status, "end_reason": reason, "ended_at": timezone.now()}


async def answer(provider: Provider, request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """Answer a verified webhook: connect the call to its stream, or say why not.

    Without ``slug`` the number that was called decides. A number that an administrator has given to a stream lets
    its callers in whatever the stream's access is; a stream called by its own address must be open to everybody.
    """
    info = provider.call(request)
    number = await PhoneNumber.objects.select_related("stream").filter(number=info.called).afirst()
    return await _answer(provider, info, public_url(request), _stream_for(number, slug), number or PhoneNumber())


async def answer_at_door(provider: Provider, request: HttpRequest) -> HttpResponse:
    """Answer a call that FastRTC's service sends on. It is signed for the service, so nothing of it can be checked."""
    door = await FastPhone.open()
    if door is None:
        return HttpResponse("No temporary number leads here.", status=404, content_type="text/plain")
    info = provider.call(request)
    if not info.id or await records.waiting(door.stream) >= MOST_AT_DOOR:  # anybody can knock
        logger.warning("A call at the door of a temporary number was refused: it has no id, or too many wait")
        return HttpResponse("Not now.", status=503, content_type="text/plain")
    finding = _switched_on(door.stream)
    return await _answer(provider, info, door.public_url, finding, PhoneNumber(), asks_after=False)


async def _answer(
    provider: Provider,
    info: CallInfo,
    site: str,
    finding: Awaitable[Stream],
    words: PhoneNumber,
    *,
    asks_after: bool = True,
) -> HttpResponse:
    decision = await _decide(finding, words, info, Call.Status.RINGING)
    call = Call(
        provider=provider.name,
        call_id=info.id,
        caller=info.caller,
        called=info.called,
        phone_number=words if words.pk else None,
        stream=decision.stream,
        **decision.values(),
    )
    if not await records.begin(call):
        return _answered_already(info)
    connection = _connection(call, site, decision, words)
    return _respond(provider, decision, connection if asks_after else replace(connection, after_url=""))


async def answer_for_us(provider: Provider, request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the verified webhook that somebody has picked up whom we have called."""
    info = provider.call(request)
    call = await Call.objects.select_related("stream", "phone_number__stream").filter(pk=pk).afirst()
    if call is None or call.provider != provider.name or call.direction != Call.Direction.OUT:
        return _answered_already(info)
    words = call.phone_number or PhoneNumber()
    if info.is_machine and call.machine == Call.Machine.HANG_UP:
        decision = _Decision(Call.Status.ENDED, reason="An answering machine answered.")
    else:
        decision = await _decide(_switched_on(call.stream), words, info, Call.Status.ANSWERED)
    if not await records.pick_up(call, info, **decision.values()):
        return _answered_already(info)
    return _respond(provider, decision, replace(_connection(call, public_url(request), decision, words), greeting=""))


async def _stream_for(number: PhoneNumber | None, slug: str | None) -> Stream:
    if slug is not None:
        return await find_stream(slug, ANONYMOUS.user)
    if number is None or not number.enabled:
        raise StreamsError("Nobody answers at this number.")
    return await _switched_on(number.stream)


async def _switched_on(stream: Stream | None) -> Stream:
    if stream is None or not stream.is_available:
        raise StreamsError("The stream of this call is gone or switched off.")
    return stream


async def _decide(finding: Awaitable[Stream], words: PhoneNumber, info: CallInfo, status: str) -> _Decision:
    try:
        stream = await finding
        check_room(stream)
    except (ConcurrencyLimitReached, ServerFull):
        return _Decision(Call.Status.REFUSED, words=words.words_when_full)
    except StreamsError as error:
        logger.info("Call %s refused: %s", info.id, error)
        return _Decision(Call.Status.REFUSED, words=words.words_when_closed)
    return _Decision(status, stream)


def _answered_already(info: CallInfo) -> HttpResponse:
    logger.warning("Call %s: its webhook came twice, or is about no call of ours; refused", info.id)
    return HttpResponse("This call has been answered already.", status=403, content_type="text/plain")


def _connection(call: Call, site: str, decision: _Decision, words: PhoneNumber) -> Connection:
    after = site + reverse("telephony-after", args=[call.provider, call.pk])
    socket = f"{site.replace('http', 'ws', 1)}/telephony/{call.provider}/media"
    return Connection(socket, after, decision.token, words.greeting, words.language)


def _respond(provider: Provider, decision: _Decision, connection: Connection) -> HttpResponse:
    if decision.stream is None:
        return provider.say(decision.words, connection.language)
    close_abandoned = records.close_abandoned
    asyncio.get_running_loop().call_later(records.TOKEN_SECONDS + 1, lambda: _write_down(close_abandoned()))
    return provider.connect(connection)


# -- calling somebody ---------------------------------------------------------------------------------------------


async def place_call(
    stream: Stream,
    to: str,
    from_: str | None = None,
    *,
    machine: str = Call.Machine.UNASKED,
    parameters: Mapping[str, str] | None = None,
    provider: str = "twilio",
) -> Call:
    """Call somebody (E.164) and let ``stream`` talk to them. Returns the call's record, which tells how it goes on.

    from_: one of the provider's numbers; without it, the stream's own
    machine: what becomes of answering machines. To find out who answers costs money, and a person some seconds of
        silence, so it is not done unless asked for.
    parameters: what the handler finds in its context's ``caller``, besides who calls whom

    Raises CallNotPlaced.
    """
    number = await _own_number(stream, from_)
    _check_order(stream, to, machine)
    try:
        account = get_provider(provider).account()
    except ProviderError as error:
        raise CallNotPlaced(str(error)) from error
    call = await Call.objects.acreate(
        provider=provider,
        direction=Call.Direction.OUT,
        status=Call.Status.QUEUED,
        caller=from_ or (number.number if number else ""),
        called=to,
        stream=stream,
        phone_number=number,
        machine=machine,
        parameters={str(name): str(value) for name, value in (parameters or {}).items()},
    )
    try:
        call_id = await account.place_call(_order(call))
    except ProviderError as error:
        if isinstance(error, ProviderSilent):
            raise CallNotPlaced(f"{error} It may call all the same: the call's record will tell.", call) from error
        await records.finish(call, Call.Status.FAILED, str(error))
        raise CallNotPlaced(str(error), call) from error
    await Call.objects.filter(pk=call.pk).aupdate(call_id=call_id)  # unless a webhook was quicker
    await call.arefresh_from_db()
    return call


async def _own_number(stream: Stream, from_: str | None) -> PhoneNumber | None:
    if from_ is not None:  # a disabled number answers nobody, and may still call
        return await PhoneNumber.objects.filter(number=from_).afirst()
    if (own := await PhoneNumber.objects.filter(enabled=True, stream=stream).afirst()) is None:
        raise CallNotPlaced("The stream has no phone number of its own in the admin. Say which number calls.")
    return own


def _check_order(stream: Stream, to: str, machine: str) -> None:
    try:
        E164(to)
    except ValidationError as error:
        raise CallNotPlaced(f"{to} is no telephone number. {error.messages[0]}") from None
    if machine not in Call.Machine.values:
        raise CallNotPlaced(f"{machine!r} is nothing that can be done with an answering machine.")
    if not stream.is_available or stream.registration is None:
        raise CallNotPlaced("The stream is switched off, or its handler is gone.")
    if stream.registration.modality != "audio":
        raise CallNotPlaced("Only audio streams can talk on the telephone.")
    if not settings.TELEPHONY_PUBLIC_URL:
        raise CallNotPlaced("Set TELEPHONY_PUBLIC_URL to this site's address as the provider reaches it.")


def _order(call: Call) -> Order:
    answered, status = (
        public_url() + reverse(name, args=[call.provider, call.pk])
        for name in ("telephony-answered", "telephony-status")
    )
    return Order(call.called, call.caller, answered, status, _DETECTION[Call.Machine(call.machine)])


# -- its socket opens ---------------------------------------------------------------------------------------------


async def connect(
    provider: Provider,
    codec: Codec,
    started: Started,
    send: Callable[[str], Awaitable[None]],
    hang_up: Callable[[], Awaitable[None]],
    at_door: bool = False,
) -> TelephoneTransport:
    """Open a session for a socket that brings the call's one-time token. Raises CallRefused and StreamsError.

    at_door: the socket needs no token as long as ``manage.py fastphone`` runs
    """
    call = await (_claim_at_door if at_door else _claim)(provider, started)
    if started.unsupported:
        await records.finish(call, Call.Status.FAILED, started.unsupported)
        raise CallRefused(started.unsupported)

    async def end() -> None:
        """Written down first: the provider asks what comes next as soon as the socket has closed."""
        try:
            await records.finish(call, Call.Status.ENDED, "", transport.transfer_to)
        finally:
            await hang_up()

    transport = TelephoneTransport(codec, send, end)
    about = {
        **call.parameters,
        **{name: value for name, value in started.parameters.items() if name != "token"},
        "direction": call.direction,
        "from": call.caller,
        "to": call.called,
        "call_id": call.call_id,
        "stream_id": started.stream_id,
        **({"answered_by": call.answered_by} if call.answered_by else {}),
    }
    try:
        if call.stream is None:
            raise UnknownStream
        session = open_call(call.stream, call.session_id, transport, about, on_closed=_closed(call))
    except StreamsError as error:
        status = Call.Status.REFUSED if isinstance(error, ConcurrencyLimitReached | ServerFull) else Call.Status.FAILED
        await records.finish(call, status, str(error))
        raise
    except Exception:
        await records.finish(call, Call.Status.FAILED, "The stream could not be started.")
        raise
    transport.start(session)
    session.run(records.beat(call))
    return transport


async def _claim(provider: Provider, started: Started) -> Call:
    token = _hashed(started.parameters.get("token", ""))
    call = await records.claim(provider.name, token, started.call_id)
    if call is None:
        raise CallRefused("The media socket's token is missing, wrong, used or old.")
    return call


async def _claim_at_door(provider: Provider, started: Started) -> Call:
    door = await FastPhone.open()
    if door is None:
        raise CallRefused("No temporary number leads here.")
    call = Call(
        provider=provider.name,
        call_id=started.call_id[:64],
        stream=door.stream,
        status=Call.Status.TALKING,
        answered_at=timezone.now(),
    )
    if not await records.begin(call):
        raise CallRefused(f"Call {started.call_id} has been answered already.")
    return call


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _closed(call: Call) -> Callable[[Session, Reason], None]:
    def closed(session: Session, reason: Reason) -> None:
        assert isinstance(session.transport, TelephoneTransport)
        _write_down(records.finish(call, Call.Status.ENDED, reason.value, session.transport.transfer_to))

    return closed


def _write_down(work: Coroutine[Any, Any, None]) -> None:
    """In a task that belongs to nobody: the session is closed, the request answered."""
    task = asyncio.get_running_loop().create_task(work)
    _writing.add(task)  # else nobody holds it
    task.add_done_callback(_writing.discard)


# -- the socket has closed ----------------------------------------------------------------------------------------


async def after(provider: Provider, request: HttpRequest, pk: int) -> HttpResponse:
    """What the provider is to do when a call's socket has closed: transfer it, say why it failed, or hang up."""
    call = await Call.objects.select_related("phone_number").filter(provider=provider.name, pk=pk).afirst()
    words = (call.phone_number if call else None) or PhoneNumber()
    if call is None:
        return provider.say("", words.language)
    if call.transfer_to:
        return provider.transfer(call.transfer_to)
    # We write down first, then hang up: if it still talks, its worker died or its line broke.
    if call.status == Call.Status.TALKING and provider.call(request).status != "completed":
        await records.finish(call, Call.Status.FAILED, "The line to the server broke.")
    said = {
        Call.Status.REFUSED: words.words_when_full,
        Call.Status.FAILED: words.words_when_failed,
        Call.Status.RINGING: words.words_when_failed,  # the provider could not open the socket
        Call.Status.ANSWERED: words.words_when_failed,
        Call.Status.TALKING: words.words_when_failed,
    }
    return provider.say(said.get(Call.Status(call.status), ""), words.language)
