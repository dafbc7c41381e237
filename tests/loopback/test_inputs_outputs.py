"""Inputs and outputs of a session, over HTTP and whatever transport the session has."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django import forms
from django.test import AsyncClient

from streams import services
from streams.live.manager import manager
from streams.live.outbox import KEPT, KEPT_CHARACTERS, Gap, Outbox, Output
from streams.media import AdditionalOutputs, AsyncStreamHandler, ReplyOnPause, StreamHandler
from streams.media.audio import Audio
from streams.media.messages import message
from streams.media.outputs import Emitted, WebRTCData
from streams.media.serialize import NotSerializable
from streams.media.session import Reason, Session
from streams.session_records import written
from tests.loopback.conftest import MakePeer, MakeSocket, MakeStream, poster, sessions_gone
from tests.loopback.test_conversation import spoken, tone
from tests.loopback.test_offers import offer_with, own_threads
from tests.loopback.test_websocket import Echo, pause, said


class Inputs(forms.Form):
    threshold = forms.FloatField(min_value=0, max_value=1, initial=0.3)
    count = forms.IntegerField(required=False, initial=5)
    price = forms.DecimalField(required=False)
    mirror = forms.BooleanField(required=False, initial=True)
    effect = forms.ChoiceField(choices=[("edges", "Edges"), ("grey", "Grey")], initial="edges")
    tags = forms.MultipleChoiceField(required=False, choices=[("a", "A"), ("b", "B")])
    since = forms.DateField(required=False, initial=date(2026, 1, 2))
    note = forms.CharField(required=False, max_length=10)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("note") == "both" and cleaned.get("mirror"):
            raise forms.ValidationError("A mirrored note cannot be both.")
        return cleaned


AT_FIRST: list[Any] = [0.3, 5, None, True, "edges", [], date(2026, 1, 2), ""]


class Caller:
    """A client without cookies and its session, which has not connected yet unless it has a socket."""

    def __init__(self, slug: str, webrtc_id: str = "mine") -> None:
        self.slug, self.id = slug, webrtc_id
        self.client = AsyncClient()
        self.token = ""

    async def offer(self) -> Caller:
        body = {"type": "offer", "sdp": await offer_with(), "webrtc_id": self.id}
        self.token = (await self.post("webrtc/offer", body)).json()["token"]
        return self

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"/api/streams/{self.slug}/{path}"
        return await self.client.post(url, body, content_type="application/json", headers=headers)

    async def inputs(self, **body: Any) -> Any:
        return await self.post("input_hook", {"webrtc_id": self.id, **body})

    async def refused(self, **body: Any) -> dict[str, Any]:
        response = await self.inputs(**body)
        assert response.status_code == 422
        meta: dict[str, Any] = response.json()["meta"]
        assert meta["error"] == "invalid_input"
        assert meta["detail"]
        fields: dict[str, Any] = meta["fields"]
        return fields

    @property
    def session(self) -> Session:
        return manager._live[self.id].session

    @property
    def values(self) -> list[Any]:
        assert self.session.handler.latest_args[0] == "__webrtc_value__"
        return self.session.handler.latest_args[1:]

    async def follow(self, query: str = "", **headers: str) -> Any:
        url = f"/api/streams/{self.slug}/outputs?webrtc_id={self.id}&token={self.token}{query}"
        return await self.client.get(url, headers=headers)

    def publish(self, *values: Any) -> None:
        manager.publish(self.session, AdditionalOutputs(*values))


@pytest.fixture
async def caller(stream: MakeStream) -> Caller:
    return await Caller((await stream(Echo(), inputs=Inputs)).slug).offer()


# -- inputs


async def test_initial_values_are_what_the_form_says(caller: Caller) -> None:
    assert caller.values == AT_FIRST


async def test_values_arrive_cleaned_and_in_field_order(caller: Caller) -> None:
    body = {
        "note": "hi",
        "since": "2026-03-04",
        "tags": ["b", "a"],
        "effect": "grey",
        "mirror": False,
        "price": "1.50",
        "count": "7",
        "threshold": "0.5",
    }
    assert (await caller.inputs(**body)).json() == {"status": "success"}
    assert caller.values == [0.5, 7, Decimal("1.50"), False, "grey", ["b", "a"], date(2026, 3, 4), "hi"]


@pytest.mark.parametrize("inputs", [{"threshold": 0.9}, [0.9]])
async def test_inputs_as_a_dict_and_as_a_list(caller: Caller, inputs: Any) -> None:
    assert (await caller.inputs(inputs=inputs)).status_code == 200
    assert caller.values == [0.9, *AT_FIRST[1:]]


async def test_what_is_left_out_keeps_its_value(caller: Caller) -> None:
    await caller.inputs(tags=["a"], since="2026-05-06", mirror=False, price=2)
    await caller.inputs(effect="grey")
    await caller.inputs(threshold=0)
    assert caller.values == [0.0, 5, Decimal(2), False, "grey", ["a"], date(2026, 5, 6), ""]
    await caller.inputs(since=None, tags=[], mirror=True)
    assert caller.values[3:7] == [True, "grey", [], None]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"threshold": 2}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"threshold": [1]}, "threshold"),
        ({"threshold": {"a": 1}}, "threshold"),
        ({"count": 1.5}, "count"),
        ({"effect": "blur"}, "effect"),
        ({"tags": ["c"]}, "tags"),
        ({"tags": "ab"}, "tags"),
        ({"since": "yesterday"}, "since"),
        ({"note": "x" * 11}, "note"),
        ({"inputs": [0.5, "five"]}, "count"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field_and_changes_nothing(
    caller: Caller, body: dict[str, Any], field: str
) -> None:
    fields = await caller.refused(**body)
    assert list(fields) == [field]
    assert fields[field][0]
    assert caller.values == AT_FIRST


async def test_all_problems_are_told_at_once(caller: Caller) -> None:
    assert set(await caller.refused(threshold=2, effect="blur", count=1)) == {"threshold", "effect"}


async def test_a_problem_of_several_fields_together_is_a_plain_sentence(caller: Caller) -> None:
    response = await caller.inputs(note="both")
    assert response.status_code == 422
    assert response.json()["meta"]["detail"] == "A mirrored note cannot be both."


async def test_more_values_than_fields_are_refused(caller: Caller) -> None:
    assert (await caller.inputs(inputs=[0.5, *AT_FIRST[1:6], "2026-01-02", "", "one too many"])).status_code == 422
    assert caller.values == AT_FIRST


@pytest.mark.parametrize("body", [{"inputs": 7}, {"inputs": "text"}, {"webrtc_id": ""}, {"webrtc_id": 7}])
async def test_bodies_that_are_no_inputs(caller: Caller, body: dict[str, Any]) -> None:
    response = await caller.inputs(**body)
    assert response.status_code == 422
    assert response.json()["meta"]["error"] == "invalid_request"


async def test_a_stream_without_inputs_says_so(stream: MakeStream) -> None:
    caller = await Caller((await stream(Echo())).slug).offer()
    assert (await caller.inputs(threshold=1)).json()["meta"]["error"] == "no_inputs"


async def test_only_the_owner_may_do_anything_with_a_session(caller: Caller) -> None:
    thief = Caller(caller.slug, caller.id)
    for token in ("", "x" * 43):
        thief.token = token
        unknown = {"status": "failed", "meta": {"error": "unknown_connection"}}
        assert (await thief.inputs(threshold=1)).json() == unknown
        assert (await thief.post("trigger", {"webrtc_id": caller.id, "text": "x"})).json() == unknown
        response = await thief.follow()
        assert response["Content-Type"].startswith("application/json")
        assert response.json() == unknown
    nobody = Caller(caller.slug, "nobody")
    nobody.token = caller.token
    assert (await nobody.follow()).json()["meta"]["error"] == "unknown_connection"
    assert caller.values == AT_FIRST


async def test_code_may_set_inputs_without_a_form(caller: Caller) -> None:
    from streams.models import Stream
    from streams.porting import Stream as Ported

    live = manager._live[caller.id]
    found = await Stream.objects.aget(slug=caller.slug)
    owner = services.Caller(None, live.owner)  # type: ignore[arg-type]
    services.set_input(found, owner, caller.id, object, "anything")
    assert caller.values == [object, "anything"]
    Ported.set_input(None, caller.id, 0.9)  # type: ignore[arg-type]
    assert caller.values == [0.9]


# -- the same over a WebSocket


async def test_inputs_and_outputs_of_a_websocket_session_of_a_browser(stream: MakeStream, socket: MakeSocket) -> None:
    """FastRTC's front end: no cookie before, the input hook and SSE from the same page."""

    def reply(audio: Audio, threshold: float, *rest: Any) -> Iterator[Emitted]:
        yield AdditionalOutputs("threshold", threshold)

    slug = (await stream(ReplyOnPause(reply, input_sample_rate=16000), inputs=Inputs)).slug
    client = socket(slug, origin="http://testserver", host="testserver")
    client.start()
    client.say(said(16000), pause(16000))
    await client.message("send_input")
    browser = AsyncClient(enforce_csrf_checks=True)
    browser.cookies["sessionid"] = client.cookie
    posted = await browser.post(
        f"/api/streams/{slug}/input_hook",
        {"webrtc_id": client.id, "threshold": 0.8},
        content_type="application/json",
        headers={"Origin": "http://testserver"},
    )
    assert posted.json() == {"status": "success"}
    await client.message("fetch_output")
    response: Any = await browser.get(f"/api/streams/{slug}/outputs?webrtc_id={client.id}")
    events = response.streaming_content
    assert await some(events, 2) == [": connected\n\n", 'event: output\nid: 1\ndata: ["threshold",0.8]\n\n']
    await events.aclose()


async def test_inputs_of_a_websocket_session_of_a_program(stream: MakeStream, socket: MakeSocket) -> None:
    """It chooses its token."""
    caller = Caller((await stream(Echo(), inputs=Inputs)).slug)
    caller.token = "a-token-of-its-own-choice-0123456789"
    client = socket(caller.slug, authorization=f"Bearer {caller.token}")
    client.id = caller.id
    client.start(encoding="mulaw")
    await client.event("started")
    assert (await caller.inputs(threshold=0.9)).json() == {"status": "success"}
    assert caller.values[0] == 0.9


# -- asked by the handler


async def test_a_sync_handler_waits_for_inputs(stream: MakeStream, peer: MakePeer) -> None:
    got: list[Any] = []

    class Waiting(StreamHandler):
        def copy(self) -> Waiting:
            return Waiting()

        def receive(self, frame: Audio) -> None:
            self.wait_for_args_sync()
            got.append(self.latest_args[1])

        def emit(self) -> Emitted:
            return None

    client = peer("mine")
    caller = Caller((await stream(Waiting(), inputs=Inputs)).slug)
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    await client.message("send_input")
    assert got == []
    await caller.inputs(threshold=0.7)
    await client.spoken(0.2)
    assert got[0] == 0.7


async def test_a_sync_handler_that_waits_in_vain_says_so(stream: MakeStream, socket: MakeSocket) -> None:
    class Waiting(StreamHandler):
        def copy(self) -> Waiting:
            return Waiting()

        def start_up(self) -> None:
            self.wait_for_args_sync(timeout=0.1)

        def receive(self, frame: Audio) -> None:
            pass

        def emit(self) -> Emitted:
            return None

    client = socket((await stream(Waiting())).slug)
    client.start()
    assert (await client.message("error"))["data"] == "The inputs did not arrive within 0.1 seconds."
    await client.closed()
    assert len(manager) == 0


async def test_a_handler_that_waits_for_inputs_does_not_outlive_its_session(
    stream: MakeStream, socket: MakeSocket
) -> None:
    class Waiting(StreamHandler):
        def copy(self) -> Waiting:
            return Waiting()

        def start_up(self) -> None:
            self.wait_for_args_sync()

        def receive(self, frame: Audio) -> None:
            pass

        def emit(self) -> Emitted:
            return None

    threads, tasks = own_threads(), asyncio.all_tasks()
    client = socket((await stream(Waiting())).slug)
    client.start()
    await client.message("send_input")
    await client.close()
    await sessions_gone()
    async with asyncio.timeout(5):
        while own_threads() > threads:  # noqa: ASYNC110 - threads announce nothing
            await asyncio.sleep(0.01)
    await written()
    assert not (asyncio.all_tasks() - tasks)


# -- triggers


async def test_text_and_voice_in_one_session(stream: MakeStream, peer: MakePeer) -> None:
    def reply(data: WebRTCData) -> Iterator[Emitted]:
        assert data.audio is not None
        yield AdditionalOutputs(data.textbox, data.audio[1].size > 0, data.webrtc_id)
        yield tone(0.2)

    client = peer("mine")
    caller = Caller((await stream(ReplyOnPause(reply, needs_args=True))).slug)
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    assert (await caller.post("trigger", {"webrtc_id": "mine", "text": "typed"})).json() == {"status": "success"}
    await client.message("log", "response_finished")
    client.voice.say(spoken(4))
    await client.message("log", "response_finished", count=2)
    outputs = [json.loads(output.json) for output in manager._live["mine"].outbox._outputs]
    assert outputs == [["typed", outputs[0][1], "mine"], ["", True, "mine"]]


async def test_push_to_talk(stream: MakeStream, peer: MakePeer) -> None:
    heard: list[Audio] = []

    async def reply(audio: Audio) -> Audio:
        heard.append(audio)
        return tone(0.3)

    client = peer("mine")
    caller = Caller((await stream(ReplyOnPause(reply))).slug)
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    client.voice.say(np.concatenate([spoken(1)] * 3))
    await client.message("log", "started_talking")
    await client.spoken(0.5)
    await caller.post("trigger", {"webrtc_id": "mine"})
    await client.message("log", "response_starting")
    assert "pause_detected" not in client.logged()
    assert heard[0][1].shape[1] > 0.4 * heard[0][0]


async def test_a_text_that_is_too_long(caller: Caller) -> None:
    assert (await caller.post("trigger", {"webrtc_id": "mine", "text": "x" * 10_001})).status_code == 422


# -- server-sent events


async def some(events: AsyncIterator[Any], count: int) -> list[str]:
    async with asyncio.timeout(5):
        parts = [await anext(events) for _ in range(count)]
    return [part if isinstance(part, str) else part.decode() for part in parts]


async def test_outputs_are_numbered_and_come_as_they_are_published(caller: Caller) -> None:
    response = await caller.follow()
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    events = response.streaming_content
    assert await some(events, 1) == [": connected\n\n"]
    coming = asyncio.ensure_future(some(events, 2))
    await asyncio.sleep(0)
    caller.publish("first")
    caller.publish({"a": 1}, 2)
    assert await coming == [
        'event: output\nid: 1\ndata: "first"\n\n',
        'event: output\nid: 2\ndata: [{"a":1},2]\n\n',
    ]


async def test_a_reader_that_comes_back_misses_nothing(caller: Caller) -> None:
    for number in range(1, 6):
        caller.publish(number)
    for back in (await caller.follow(**{"Last-Event-ID": "3"}), await caller.follow("&last_event_id=3")):
        assert (await some(back.streaming_content, 3))[1:] == [
            "event: output\nid: 4\ndata: 4\n\n",
            "event: output\nid: 5\ndata: 5\n\n",
        ]


@pytest.mark.parametrize("seen", ["99", "-1", "abc", "", "9" * 5000, "²"])
async def test_a_number_that_cannot_be_means_from_the_beginning(caller: Caller, seen: str) -> None:
    caller.publish("first")
    response = await caller.follow(**{"Last-Event-ID": seen})
    assert (await some(response.streaming_content, 2))[1] == 'event: output\nid: 1\ndata: "first"\n\n'


async def test_a_negative_number_in_the_query_announces_no_gap(caller: Caller) -> None:
    caller.publish("first")
    response = await caller.follow("&last_event_id=-5")
    if response.status_code == 200:
        assert "event: output\nid: 1" in (await some(response.streaming_content, 2))[1]
    else:
        assert response.status_code == 422


async def test_every_reader_gets_everything(caller: Caller) -> None:
    readers = [(await caller.follow()).streaming_content for _ in range(4)]
    reading = [asyncio.ensure_future(some(events, 101)) for events in readers]
    for number in range(100):
        caller.publish(number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    results = await asyncio.gather(*reading)
    assert all(result == results[0] for result in results)
    assert results[0][-1] == "event: output\nid: 100\ndata: 99\n\n"


async def test_a_gap_is_announced(caller: Caller) -> None:
    for number in range(1, KEPT + 11):
        caller.publish(number)
    events = (await caller.follow(**{"Last-Event-ID": "4"})).streaming_content
    assert (await some(events, 3))[1:] == [
        'event: gap\nid: 10\ndata: {"first":5,"last":10}\n\n',
        "event: output\nid: 11\ndata: 11\n\n",
    ]


async def test_the_events_end_with_the_session_after_the_last_output(caller: Caller) -> None:
    response = await caller.follow()
    caller.publish("last")
    await caller.session.close(Reason.CLIENT_CLOSED)
    parts = [part async for part in response.streaming_content]
    assert [part.decode() if isinstance(part, bytes) else part for part in parts][1:] == [
        'event: output\nid: 1\ndata: "last"\n\n'
    ]
    assert (await caller.follow()).json()["meta"]["error"] == "unknown_connection"


# -- what cannot be sent


@pytest.mark.parametrize("debug", [False, True])
async def test_what_does_not_serialise_is_logged_by_its_type_and_told(
    stream: MakeStream, socket: MakeSocket, settings: Any, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug

    class Opaque:
        pass

    calls: list[Audio] = []

    def reply(audio: Audio) -> Iterator[Emitted]:
        calls.append(audio)
        yield AdditionalOutputs(Opaque() if len(calls) == 1 else "fine")

    caplog.set_level(logging.ERROR, "streams")
    client = socket((await stream(ReplyOnPause(reply, input_sample_rate=16000))).slug)
    client.start()
    client.say(said(16000), pause(16000))
    told = (await client.message("error"))["data"]
    assert ("Opaque" in told) is debug
    assert "Opaque" in caplog.text
    client.say(said(16000, 5), pause(16000))
    await client.message("fetch_output")


# -- the outbox by itself


def published(outbox: Outbox, *values: Any) -> None:
    for value in values:
        outbox.publish(AdditionalOutputs(value))


async def read(outbox: Outbox, after: int = 0) -> list[Any]:
    """Everything there is, of a closed outbox."""
    return [item async for item in outbox.follow(after)]


def numbers(items: list[Any]) -> list[Any]:
    return [item.number if isinstance(item, Output) else item for item in items]


async def test_an_outbox_numbers_from_one_and_ends_when_closed() -> None:
    outbox = Outbox()
    assert outbox.latest is None
    published(outbox, "a", "b")
    outbox.close()
    items = await read(outbox)
    assert [(item.number, item.json, item.published.args) for item in items] == [(1, '"a"', ("a",)), (2, '"b"', ("b",))]
    assert outbox.latest == items[-1]
    assert await read(outbox, 2) == []
    assert numbers(await read(outbox, 1)) == [2]
    assert numbers(await read(outbox, 3)) == [1, 2], "the reader knows another session's numbers"


async def test_an_outbox_keeps_the_newest() -> None:
    outbox = Outbox(kept=3)
    published(outbox, *"abcde")
    outbox.close()
    assert numbers(await read(outbox)) == [Gap(1, 2), 3, 4, 5]
    assert numbers(await read(outbox, 2)) == [3, 4, 5]


async def test_an_outbox_keeps_no_more_than_so_much() -> None:
    outbox = Outbox()
    published(outbox, *["x" * (KEPT_CHARACTERS // 4)] * 10)
    outbox.close()
    assert numbers(await read(outbox)) == [Gap(1, 7), 8, 9, 10]
    published(outbox, "y" * (2 * KEPT_CHARACTERS))
    assert outbox.latest is not None
    assert outbox.latest.number == 11
    assert len(outbox._outputs) == 1


async def test_a_slow_reader_is_told_what_it_missed_while_it_read() -> None:
    outbox = Outbox(kept=2)
    published(outbox, "a", "b")
    events = outbox.follow()
    first = await anext(events)
    published(outbox, "c", "d", "e")
    outbox.close()
    assert numbers([first, *[item async for item in events]]) in ([1, 2, Gap(3, 3), 4, 5], [1, Gap(2, 3), 4, 5])


async def test_silence_is_announced_so_that_a_connection_stays_alive() -> None:
    outbox = Outbox()
    events = outbox.follow(idle=0.01)
    assert [await anext(events), await anext(events)] == [None, None]
    published(outbox, "a")
    assert numbers([await anext(events)]) == [1]


async def test_what_cannot_be_sent_has_no_number() -> None:
    outbox = Outbox()
    with pytest.raises(NotSerializable):
        published(outbox, object())
    published(outbox, "a")
    assert outbox.latest is not None
    assert outbox.latest.number == 1


async def test_outputs_are_announced_on_every_transport(stream: MakeStream, socket: MakeSocket, peer: MakePeer) -> None:
    class Publishing(AsyncStreamHandler):
        def copy(self) -> Publishing:
            return Publishing()

        async def start_up(self) -> None:
            self.items: list[Emitted] = [AdditionalOutputs("a"), (tone(0.1), AdditionalOutputs("b"))]

        async def receive(self, frame: Audio) -> None:
            pass

        async def emit(self) -> Emitted:
            return self.items.pop(0) if self.items else None

    slug = (await stream(Publishing())).slug
    first, second = socket(slug), peer()
    first.start()
    await second.connect(poster(slug))
    for client in (first, second):
        await client.message("fetch_output", count=2)
        assert message("fetch_output", []) in client.messages
        await client.hears(0.08)
