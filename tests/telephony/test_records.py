"""Records of calls: each step once, only forward, and closed when nobody else will."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.utils import timezone

from telephony import records
from telephony.models import Call
from telephony.providers import CallInfo

pytestmark = pytest.mark.django_db(transaction=True)
Status = Call.Status
IN, OUT = Call.Direction.IN, Call.Direction.OUT


async def call(**fields: Any) -> Call:
    return await Call.objects.acreate(**{"provider": "twilio", "call_id": "CA1", **fields})


def told(status: str, **fields: Any) -> CallInfo:
    return CallInfo(**{"id": "CA1", "caller": "+4930111", "called": "+4930222", "status": status, **fields})


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (Status.QUEUED, "initiated", Status.QUEUED),
        (Status.QUEUED, "ringing", Status.RINGING),
        (Status.RINGING, "in-progress", Status.ANSWERED),
        (Status.ANSWERED, "ringing", Status.ANSWERED),
        (Status.TALKING, "in-progress", Status.TALKING),
        (Status.TALKING, "completed", Status.ENDED),
        (Status.RINGING, "busy", Status.BUSY),
        (Status.RINGING, "no-answer", Status.NO_ANSWER),
        (Status.QUEUED, "failed", Status.FAILED),
        (Status.QUEUED, "canceled", Status.FAILED),
        (Status.REFUSED, "completed", Status.REFUSED),
        (Status.FAILED, "completed", Status.FAILED),
        (Status.ENDED, "ringing", Status.ENDED),
        (Status.TALKING, "something new", Status.TALKING),
    ],
)
async def test_steps_go_forward_only(before: str, said: str, after: str) -> None:
    record = await call(status=before, direction=OUT)
    await records.follow("twilio", told(said), record.pk)
    await record.arefresh_from_db()
    assert record.status == after
    assert (record.ended_at is not None) == (after != before and after not in records.OPEN)


async def test_an_incoming_call_is_followed_by_its_id() -> None:
    mine, other = await call(status=Status.TALKING), await call(call_id="CA2", status=Status.TALKING)
    await records.follow("twilio", told("completed", seconds=42, answered_by="human"), None)
    await records.follow("telnyx", told("completed", id="CA2"), None)
    await mine.arefresh_from_db()
    await other.arefresh_from_db()
    assert (mine.status, mine.billed_seconds, mine.answered_by) == (Status.ENDED, 42, "human")
    assert other.status == Status.TALKING, "of another provider"


async def test_a_session_that_closes_late_does_not_make_a_failure_good() -> None:
    record = await call(status=Status.FAILED, end_reason="It broke.")
    await records.finish(record, Status.ENDED, "Bye")
    await record.arefresh_from_db()
    assert (record.status, record.end_reason) == (Status.FAILED, "It broke.")


NEW, MINUTES, HOURS = timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=2)


@pytest.mark.parametrize(
    ("status", "direction", "age", "after"),
    [
        (Status.RINGING, IN, NEW, Status.RINGING),
        (Status.RINGING, IN, MINUTES, Status.FAILED),
        (Status.ANSWERED, OUT, NEW, Status.ANSWERED),
        (Status.ANSWERED, OUT, MINUTES, Status.FAILED),
        (Status.TALKING, IN, NEW, Status.TALKING),
        (Status.TALKING, IN, MINUTES, Status.FAILED),
        (Status.TALKING, OUT, MINUTES, Status.FAILED),
        (Status.QUEUED, OUT, MINUTES, Status.QUEUED),
        (Status.RINGING, OUT, MINUTES, Status.RINGING),
        (Status.RINGING, OUT, HOURS, Status.FAILED),
        (Status.ENDED, IN, HOURS, Status.ENDED),
    ],
)
async def test_what_nobody_closes_is_closed(status: str, direction: str, age: timedelta, after: str) -> None:
    """Whoever looks first, of however many workers: who is alive writes ``seen_at``."""
    then = timezone.now() - age
    record = await call(status=status, direction=direction, seen_at=then)
    await Call.objects.aupdate(created_at=then)
    await records.close_abandoned()
    await record.arefresh_from_db()
    assert record.status == after
    if status == Status.TALKING and after == Status.FAILED:
        assert record.ended_at == then, "it talked as long as it was heard of"


async def test_old_calls_are_pruned(settings: Any) -> None:
    settings.STREAMS_RECORD_DAYS = 30
    for days in (29, 31):
        old = await call(call_id=f"CA{days}")
        await Call.objects.filter(pk=old.pk).aupdate(created_at=timezone.now() - timedelta(days=days))
    await sync_to_async(call_command)("prune_calls", stdout=StringIO())
    assert [each.call_id async for each in Call.objects.all()] == ["CA29"]
