"""The records of sessions: an insert when one opens, an update when it connects and one when it ends.

They are written beside the sessions, each in its own time and in order: a slow database delays a record, a broken one
costs it, and neither touches anybody's sound. Every half minute one more update says which of this worker's sessions
are alive, so that those of a worker that died are known for what they are.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from channels.db import database_sync_to_async
from django.utils import timezone

from streams.media.session import Reason, Session
from streams.media.transports.diagnosis import Stage, kinds
from streams.media.transports.webrtc import WebRTCTransport
from streams.models import SessionRecord, Stream, Visitor

logger = logging.getLogger(__name__)

SEEN_SECONDS = 30.0
WRITE_AFTER = 0.05
"""Seconds. A database at work in its thread would hold up the answer to the offer, which leaves first."""
REPORT_HOURS = 1
"""How long after its start a session's client may still tell what it saw."""

_tasks: set[asyncio.Task[None]] = set()


class RecordWriter:
    """Writes one session's record. Nothing it does is awaited by the session, and nothing it does raises."""

    def __init__(self, session_id: str, stream: Stream, user: Visitor, owner: str, transport: str) -> None:
        now = timezone.now()
        self._values: dict[str, Any] = {
            "session_id": session_id,
            "stream_id": stream.pk,
            "user_id": user.pk,
            "owner": digest(owner),
            "transport": transport,
            "started_at": now,
            "seen_at": now,
        }
        self._unwritten: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self.pk: int | None = None

    def opened(self) -> None:
        _alive.add(self)
        self._write({})

    def connected(self, session: Session) -> None:
        self._write({"connected_at": timezone.now(), "stage": Stage.CONNECTED.value, **_columns(session)})

    def closed(self, session: Session, reason: Reason) -> None:
        if self not in _alive:  # an offer that could not be answered, by the client's fault
            return
        _alive.discard(self)
        now = timezone.now()
        self._write({"ended_at": now, "seen_at": now, "end_reason": reason.name.lower(), **_columns(session)})

    def _write(self, values: Mapping[str, Any]) -> None:
        self._unwritten.update(values)
        if self._task is None or self._task.done():
            self._task = _start(self._write_all)

    async def _write_all(self) -> None:
        if self.pk is None:
            await asyncio.sleep(WRITE_AFTER)
        while True:
            values, self._unwritten = self._unwritten, {}
            self._values.update(values)
            await _try(self._save, values)
            if not self._unwritten:
                return

    def _save(self, values: Mapping[str, Any]) -> None:
        if self.pk is None:
            self.pk = SessionRecord.objects.create(**self._values).pk
        elif values:
            SessionRecord.objects.filter(pk=self.pk).update(**values)


def digest(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()


def _columns(session: Session) -> dict[str, Any]:
    """What is known of the connection."""
    report = session.transport.report if isinstance(session.transport, WebRTCTransport) else None
    if report is None:
        return {}
    return {
        "stage": report.stage.value,
        "words": report.words,
        "advice": report.advice,
        "path": report.path,
        "seconds": report.seconds,
    }


async def add_client_view(
    stream: Stream, owner: str, session_id: str, stage: Stage, candidates: Mapping[str, int], errors: Sequence[int]
) -> None:
    """Note what a session's own client saw of a connection that failed. Once; of another's session, nothing."""
    view = f"{kinds(candidates)}; errors {', '.join(map(str, errors)) or 'none'}"

    def save() -> None:
        since = timezone.now() - timedelta(hours=REPORT_HOURS)
        mine = SessionRecord.objects.filter(session_id=session_id, stream=stream, owner=digest(owner), client_stage="")
        newest = mine.filter(started_at__gte=since).first()
        if newest is not None:
            newest.client_stage, newest.client_view = stage.value, view[:200]
            newest.save(update_fields=["client_stage", "client_view"])

    await _try(save)


async def written() -> None:
    """Wait until everything is written."""
    while _tasks:
        await asyncio.wait(_tasks)


# -- in tasks that belong to nobody -------------------------------------------------------------------------------


def _start(work: Callable[[], Any]) -> asyncio.Task[None]:
    # In a fresh context: an inherited request context costs one thread per session.
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work(), context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


_is_broken = False


async def _try(save: Callable[..., None], *args: Any) -> None:
    """Write in Django's thread. What goes wrong is logged once, until something works again."""
    global _is_broken
    try:
        await database_sync_to_async(save)(*args)
    except Exception:  # whatever a database does: the session goes on
        if not _is_broken:
            logger.exception("Session records cannot be written; sessions go on without")
        _is_broken = True
    else:
        _is_broken = False


class _Alive:
    """The writers of this worker's sessions, and the task that says so now and then."""

    def __init__(self) -> None:
        self._writers: set[RecordWriter] = set()
        self._telling: asyncio.Task[None] | None = None

    def __contains__(self, writer: RecordWriter) -> bool:
        return writer in self._writers

    def add(self, writer: RecordWriter) -> None:
        self._writers.add(writer)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell(), context=contextvars.Context())

    def discard(self, writer: RecordWriter) -> None:
        self._writers.discard(writer)
        if not self._writers and self._telling is not None:
            self._telling.cancel()
            self._telling = None  # it may still be writing when the next session opens

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(SEEN_SECONDS)
            keys = [writer.pk for writer in self._writers if writer.pk is not None]
            await _try(self._say, keys)

    def _say(self, keys: Sequence[int]) -> None:
        SessionRecord.objects.filter(pk__in=keys).update(seen_at=timezone.now())


_alive = _Alive()
