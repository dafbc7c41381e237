"""What is written down of calls.

Who tells of a call's steps (webhooks, the socket, the session) does so in any order and to any worker. So each step is
one UPDATE that only goes forward.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from django.db import DatabaseError, IntegrityError
from django.db.models import F, Q
from django.utils import timezone

from streams.models import Stream
from telephony.models import Call
from telephony.providers import CallInfo

logger = logging.getLogger(__name__)

TOKEN_SECONDS = 60
"""How long after the webhook the socket may come."""
BEAT_SECONDS = 30.0
"""Between two signs of life of a call that is talking."""
BEATS_MISSED = 3
"""After which its worker is taken for dead."""
SILENT_HOURS = 1
"""After which a call is given up that was ordered, and of which the provider has not told how it ended."""

LONGEST_REASON = 200
"""Characters that a record has room for."""

Status = Call.Status
DIALLING = (Status.QUEUED, Status.RINGING)
OPEN = (*DIALLING, Status.ANSWERED, Status.TALKING)
STEPS = {
    "ringing": (Status.RINGING, (Status.QUEUED,)),
    "in-progress": (Status.ANSWERED, DIALLING),
    "completed": (Status.ENDED, OPEN),
    "busy": (Status.BUSY, OPEN),
    "no-answer": (Status.NO_ANSWER, OPEN),
    "canceled": (Status.FAILED, OPEN),
    "failed": (Status.FAILED, OPEN),
}
"""What the provider tells → what the call becomes, and what it may have been until then."""


async def begin(call: Call) -> bool:
    """Write an incoming call down. False when that has been done: its webhook has come twice."""
    try:
        await call.asave(force_insert=True)
    except IntegrityError:
        return False
    return True


async def waiting(stream: Stream) -> int:
    """How many calls to this stream have been answered, and have no socket yet."""
    fresh = timezone.now() - timedelta(seconds=TOKEN_SECONDS)
    return await Call.objects.filter(stream=stream, status=Status.RINGING, created_at__gte=fresh).acount()


async def pick_up(call: Call, info: CallInfo, **values: object) -> bool:
    """Write down that an outgoing call has been answered. False when that has been done."""
    waiting = Call.objects.filter(pk=call.pk, status__in=(*DIALLING, Status.ANSWERED), token="")
    known = {"call_id": info.id, "answered_by": info.answered_by, "seen_at": timezone.now()}
    return bool(await waiting.aupdate(**{"status": Status.ANSWERED, **known, **values}))


async def claim(provider: str, token: str, call_id: str) -> Call | None:
    """The call that this (hashed) token was made for; a token opens one socket, within TOKEN_SECONDS."""
    fresh = Call.objects.filter(
        provider=provider,
        token=token,
        status__in=(Status.RINGING, Status.ANSWERED),
        seen_at__gte=timezone.now() - timedelta(seconds=TOKEN_SECONDS),
    )
    call = await fresh.select_related("stream", "phone_number").afirst()
    now = timezone.now()
    talking = {"status": Status.TALKING, "answered_at": now, "seen_at": now, "token": ""}
    if call is None or call.call_id != call_id or not await fresh.filter(pk=call.pk).aupdate(**talking):
        return None
    return call


async def finish(call: Call, status: str, reason: str, transfer_to: str = "") -> None:
    await Call.objects.filter(pk=call.pk, status__in=(*OPEN, Status.ENDED)).aupdate(
        status=status, end_reason=reason[:LONGEST_REASON], transfer_to=transfer_to, ended_at=timezone.now()
    )


async def follow(provider: str, info: CallInfo, pk: int | None) -> None:
    """Write down what the provider tells of a call: of one that we have placed, by ``pk``; else by its id."""
    calls = Call.objects.filter(provider=provider, **({"call_id": info.id} if pk is None else {"pk": pk}))
    told: dict[str, object] = {"answered_by": info.answered_by} if info.answered_by else {}
    if info.seconds is not None:
        told["billed_seconds"] = info.seconds
    if told:
        await calls.aupdate(**told)
    if info.id:
        await calls.filter(call_id="").aupdate(call_id=info.id)
    if info.status in STEPS:
        status, before = STEPS[info.status]
        ended = {} if status in OPEN else {"ended_at": timezone.now()}
        reason = {"end_reason": f"The provider says: {info.status}."} if status == Status.FAILED else {}
        await calls.filter(status__in=before).aupdate(status=status, seen_at=timezone.now(), **ended, **reason)


async def beat(call: Call) -> None:
    """Show that a call is talking, until cancelled."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await Call.objects.filter(pk=call.pk).aupdate(seen_at=timezone.now())
        except DatabaseError:
            logger.warning("Call %s: its sign of life could not be written down", call.pk, exc_info=True)


async def close_abandoned() -> None:
    """Close the records that nobody will: the socket never came, or the worker died, or the provider fell silent."""
    now = timezone.now()

    async def close(reason: str, ended_at: object = now, **which: object) -> None:
        failed = {"status": Status.FAILED, "end_reason": reason, "ended_at": ended_at}
        await Call.objects.filter(**which).aupdate(**failed)

    unanswered = Q(status=Status.ANSWERED) | Q(status=Status.RINGING, direction=Call.Direction.IN)
    await close(
        "The caller hung up before the stream answered.",
        pk__in=Call.objects.filter(unanswered, seen_at__lt=now - timedelta(seconds=TOKEN_SECONDS)).values("pk"),
    )
    await close(
        "The server stopped in the middle of the call.",
        ended_at=F("seen_at"),
        status=Status.TALKING,
        seen_at__lt=now - timedelta(seconds=BEAT_SECONDS * BEATS_MISSED),
    )
    await close(
        "The provider has not told how it ended.",
        status__in=DIALLING,
        created_at__lt=now - timedelta(hours=SILENT_HOURS),
    )
