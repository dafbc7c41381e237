"""The records of sessions: what they hold, what they cost, and that nothing depends on them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from streams import session_records
from streams.live.manager import manager
from streams.media.session import Reason, Session
from streams.media.transports.websocket import Start
from streams.models import LOST_SECONDS, SessionRecord, Stream, outcome_is
from streams.services import Caller, open_websocket
from streams.session_records import RecordWriter, written
from telephony.models import Call
from tests.loopback.conftest import MakePeer, no_session_left, peer, poster, sessions_gone  # noqa: F401 - fixtures
from tests.loopback.test_offers import offer_with

pytestmark = pytest.mark.django_db(transaction=True)


async def ignore(*args: Any) -> None:
    return


async def opened(webrtc_id: str, user: Any = None) -> Session:
    """A session over a WebSocket."""
    stream = await Stream.objects.aget(slug="echo")
    user = user or await User.objects.acreate(username=f"user of {webrtc_id}")
    return open_websocket(stream, Caller(user, f"user:{user.pk}"), Start(webrtc_id), ignore, ignore).session


async def the_record() -> SessionRecord:
    await written()
    return await SessionRecord.objects.select_related("user", "stream").aget()


async def test_a_session_from_its_beginning_to_its_end() -> None:
    session = await opened("one")
    record = await the_record()
    assert (record.session_id, record.stream.slug, record.transport) == ("one", "echo", "websocket")  # type: ignore[union-attr]
    assert record.user is not None and record.user.username == "user of one"
    assert record.outcome == "live"
    await session.close(Reason.TIME_LIMIT)
    record = await the_record()
    assert (record.outcome, record.end_reason) == ("ended", "time_limit")
    assert record.started_at <= record.connected_at <= record.ended_at  # type: ignore[operator]
    assert record.duration is not None


async def test_a_webrtc_session_has_its_path(peer: MakePeer) -> None:  # noqa: F811
    client = peer()
    await client.connect(poster("echo"))
    await client.close()
    await sessions_gone()
    record = await the_record()
    assert (record.transport, record.stage, record.user) == ("webrtc", "connected", None)
    assert record.path.startswith("host ↔ ")
    assert record.seconds is not None and record.words.startswith("Connected after")
    assert "127.0.0.1" not in str(vars(record)), "no address is kept"


async def test_it_costs_an_insert_and_two_updates(peer: MakePeer, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    statements: list[str] = []
    save = session_records.RecordWriter._save

    def counted(self: Any, values: Any) -> None:
        with CaptureQueriesContext(connection) as queries:
            save(self, values)
        statements.extend(query["sql"].split()[0] for query in queries)

    monkeypatch.setattr(session_records.RecordWriter, "_save", counted)
    client = peer()
    await client.connect(poster("echo"))
    await client.close()
    await sessions_gone()
    await written()
    assert statements.count("INSERT") == 1
    assert statements.count("UPDATE") <= 2
    assert set(statements) <= {"INSERT", "UPDATE"}


async def test_a_bad_offer_leaves_no_record_and_a_server_without_ports_does(settings: Any) -> None:
    url = "/api/streams/echo/webrtc/offer"
    bad = {"type": "offer", "webrtc_id": "bad", "sdp": "nonsense"}
    assert (await AsyncClient().post(url, bad, content_type="application/json")).status_code == 400
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings.STREAMS_BIND_ADDRESSES = ["127.0.0.1"]
        settings.STREAMS_UDP_PORTS = (taken.getsockname()[1],) * 2
        body = {"type": "offer", "webrtc_id": "good", "sdp": await offer_with()}
        response = await AsyncClient().post(url, body, content_type="application/json")
    assert response.status_code == 503
    assert response.json()["meta"]["error"] == "ports_exhausted"
    assert "no network port left" in response.json()["meta"]["detail"]
    assert len(manager) == 0, "the slot is free"
    record = await the_record()
    assert (record.session_id, record.outcome, record.stage) == ("good", "failed", "gathering")
    assert "STREAMS_UDP_PORTS" in record.advice


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The table is gone."""
    monkeypatch.setattr(SessionRecord._meta, "db_table", "nowhere")
    yield
    session_records._is_broken = False


async def test_a_broken_database_costs_the_record_and_one_line(broken: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        sessions = [await opened(name) for name in ("one", "two")]
        for session in sessions:
            await session.close(Reason.TIME_LIMIT)
        await written()
    assert caplog.text.count("Session records cannot be written") == 1


async def test_what_was_not_written_is_written_with_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SessionRecord._meta, "db_table", "nowhere")
        session = await opened("one")
        await written()
    await session.close(Reason.TIME_LIMIT)
    record = await the_record()
    assert (record.outcome, record.stage) == ("ended", "connected")


async def test_workers_say_which_of_their_sessions_are_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_records, "SEEN_SECONDS", 0.01)
    await opened("one")
    await written()
    long_ago = timezone.now() - timedelta(days=1)
    await SessionRecord.objects.aupdate(seen_at=long_ago)
    async with asyncio.timeout(20):
        while (await SessionRecord.objects.aget()).seen_at == long_ago:  # noqa: ASYNC110 - it is another's row to see
            await asyncio.sleep(0.01)


async def test_who_opens_as_the_last_one_ends_is_told_to_be_alive() -> None:
    alive = session_records._Alive()
    one, two = (RecordWriter(name, Stream(pk=1), AnonymousUser(), "o", "webrtc") for name in ("one", "two"))
    alive.add(one)
    alive.discard(one)
    alive.add(two)
    assert alive._telling is not None
    assert not alive._telling.cancelling()
    alive.discard(two)


def record(**fields: Any) -> SessionRecord:
    now = timezone.now()
    return SessionRecord.objects.create(**{"session_id": "s", "started_at": now, "seen_at": now, **fields})


def test_outcomes_by_row_and_by_query() -> None:
    now = timezone.now()
    old = now - timedelta(seconds=LOST_SECONDS + 1)
    records = {
        "connecting": [record()],
        "live": [record(connected_at=now)],
        "ended": [record(connected_at=old, ended_at=old, seen_at=old)],
        "failed": [record(ended_at=old, seen_at=old)],
        "lost": [record(seen_at=old), record(seen_at=old, connected_at=old)],
    }
    for outcome, expected in records.items():
        assert {each.outcome for each in expected} == {outcome}
        assert set(SessionRecord.objects.filter(outcome_is(outcome))) == set(expected), outcome
    assert records["lost"][1].duration is None


# -- the client's view


async def closing(webrtc_id: str, report: Any, token: str) -> Any:
    body, headers = {"webrtc_id": webrtc_id, "report": report}, {"Authorization": f"Bearer {token}"}
    return await AsyncClient().post("/api/streams/echo/close", body, content_type="application/json", headers=headers)


REFUSED = {"stage": "relay_refused", "candidates": {"host": 2}, "errors": [401]}


async def test_a_client_tells_what_it_saw_of_its_own_session_once() -> None:
    answer = await poster("echo")({"type": "offer", "webrtc_id": "one", "sdp": await offer_with()})
    await written()
    await closing("one", {**REFUSED, "stage": "dtls"}, "somebody else's token")
    assert (await the_record()).client_stage == ""
    assert (await closing("one", REFUSED, answer["token"])).json() == {"status": "success"}
    again = await closing("one", {"stage": "dtls"}, answer["token"])
    assert again.json()["meta"]["error"] == "unknown_connection"
    record = await the_record()
    assert (record.client_stage, record.client_view) == ("relay_refused", "2 host; errors 401")
    assert "refused" in record.client_words[0] and "check_turn" in record.client_words[1]
    assert (record.outcome, record.end_reason) == ("failed", "client_closed")


async def test_a_client_may_tell_after_its_session_is_over_here() -> None:
    answer = await poster("echo")({"type": "offer", "webrtc_id": "one", "sdp": await offer_with()})
    await manager.trusted("one").session.close(Reason.CONNECT_TIMEOUT)
    await written()
    await closing("one", {"stage": "checks"}, answer["token"])
    record = await the_record()
    assert (record.client_stage, record.end_reason) == ("checks", "connect_timeout")


@pytest.mark.parametrize(
    "report",
    [
        "checks",
        {"stage": "<script>"},
        {"stage": "checks", "errors": [7]},
        {"stage": "checks", "errors": [401] * 9},
        {"stage": "checks", "candidates": {"host": -1}},
        {"stage": "checks", "candidates": {"192.0.2.1": 1}},
    ],
)
async def test_reports_that_are_none_are_refused(report: Any) -> None:
    assert (await closing("one", report, "token")).status_code == 422


# -- in the admin


@pytest.fixture
def staff(client: Client) -> Client:
    user = User.objects.create(username="staff", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_sessionrecord"))
    client.force_login(user)
    return client


LIST = "admin:streams_sessionrecord_changelist"


def test_the_list_filters_by_outcome_and_shows_paths(staff: Client) -> None:
    now = timezone.now()
    record(session_id="good", connected_at=now, ended_at=now, path="host ↔ relay · udp", transport="webrtc")
    record(session_id="bad", ended_at=now, stage="checks", transport="webrtc")
    page = staff.get(reverse(LIST)).content.decode()
    assert "host ↔ relay · udp" in page and "somebody not signed in" in page

    def listed(**query: str) -> list[str]:
        return [each.session_id for each in staff.get(reverse(LIST), query).context["cl"].result_list]

    assert listed(outcome="failed") == ["bad"]
    assert listed(outcome="ended") == listed(q="good") == ["good"]
    assert len(listed(outcome="nonsense")) == 2


def test_a_record_is_read_and_never_changed(staff: Client) -> None:
    kept = record(ended_at=timezone.now(), words="Nobody answered.", advice="A relay.", client_stage="dtls")
    url = reverse("admin:streams_sessionrecord_change", args=[kept.pk])
    page = staff.get(url).content.decode()
    assert "Nobody answered." in page and "A relay." in page
    assert "Seen from the browser" in page
    assert staff.post(url, {"words": "All well."}).status_code == 403
    assert staff.get(reverse("admin:streams_sessionrecord_add")).status_code == 403


def test_only_who_may_read_records_is_told_of_them_on_the_page(staff: Client) -> None:
    assert "What the server saw" in staff.get("/streams/echo/").content.decode()
    User.objects.get().user_permissions.clear()
    assert "What the server saw" not in staff.get("/streams/echo/").content.decode()


def test_a_call_leads_to_its_session(admin_client: Client) -> None:
    call = Call.objects.create(provider="twilio", call_id="CA1")
    for session_id in (call.session_id, f"{call.session_id}0"):
        record(session_id=session_id, transport="telephone")
    page = admin_client.get(reverse("admin:telephony_call_change", args=[call.pk])).content.decode()
    link = f"{reverse(LIST)}?session_id={call.session_id}"
    assert link in page
    assert [each.session_id for each in admin_client.get(link).context["cl"].result_list] == [call.session_id]


# -- in the end


def test_old_records_are_pruned(settings: Any) -> None:
    settings.STREAMS_RECORD_DAYS = 30
    now = timezone.now()
    for days in (0, 29, 31, 400):
        record(started_at=now - timedelta(days=days))
    out = StringIO()
    call_command("prune_sessions", stdout=out)
    assert "Deleted 2 records" in out.getvalue()
    call_command("prune_sessions", days=7, stdout=out)
    assert SessionRecord.objects.count() == 1
    with pytest.raises(CommandError, match="0 or more"):
        call_command("prune_sessions", days=-1)
