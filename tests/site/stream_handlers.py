from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from django import forms
from django.conf import settings

from streams.assistant import Assistant
from streams.media import (
    AdditionalOutputs,
    AsyncStreamHandler,
    InterruptionOptions,
    ReplyOnPause,
    WalkieTalkie,
    WebRTCData,
    wait_for_item,
)
from streams.media.audio import Audio
from streams.media.outputs import Picture
from streams.media.speech.engines import register_engine
from streams.media.weights import WeightsMissing
from streams.registry import register
from streams.responders import OpenAIResponder, Responder

RATE = 24_000


def tone(seconds: float) -> Audio:
    times = np.arange(round(RATE * seconds)) / RATE
    wave: np.ndarray = 0.25 * np.sin(2 * np.pi * 500 * times)
    return RATE, (wave * 32767).astype(np.int16).reshape(1, -1)


def long_reply(audio: Audio) -> Iterator[Audio]:
    for _ in range(100):
        yield tone(0.1)


calls = itertools.count()


def raises(audio: Audio) -> Iterator[Audio]:
    if next(calls) % 2 == 0:
        raise RuntimeError("on purpose")
    yield tone(0.5)


def answer(audio: Audio) -> Iterator[Audio]:
    yield tone(0.5)


def watcher(picture: Picture) -> AdditionalOutputs:
    red, green, blue = picture.mean(axis=(0, 1))
    return AdditionalOutputs("red" if red > max(green, blue) else "not red")


def converse(data: WebRTCData) -> Iterator[Any]:
    said = data.textbox or "(speech)"
    yield AdditionalOutputs({"role": "user", "content": said})
    yield tone(0.3), AdditionalOutputs({"role": "assistant", "content": f"You said: {said}"})


CONVERSATION = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello!"}]
PICTURE = np.full((60, 80, 3), (200, 30, 60), np.uint8)


def exhibition() -> Iterator[Any]:
    yield AdditionalOutputs("A line", 1234.5, {"key": [1, 2]}, CONVERSATION[:1], PICTURE)
    yield tone(0.2), AdditionalOutputs("Another", None, None, CONVERSATION, None)
    for _ in range(600):
        yield tone(0.1)


def misfits() -> Iterator[Any]:
    yield AdditionalOutputs("three")
    yield AdditionalOutputs(7)
    for _ in range(600):
        yield tone(0.1)


def goodbye() -> Iterator[Any]:
    yield tone(0.3)
    yield AdditionalOutputs("The last word")


def counting() -> Iterator[Any]:
    for number in range(20):
        yield tone(0.1), AdditionalOutputs(number)
    for _ in range(600):
        yield tone(0.1)


class EveryField(forms.Form):
    word = forms.CharField(initial="word", max_length=10, help_text="At most ten letters.")
    level = forms.IntegerField(initial=3, min_value=0, max_value=9, widget=forms.NumberInput(attrs={"type": "range"}))
    loud = forms.BooleanField(required=False, initial=True)
    colour = forms.ChoiceField(choices=[("r", "Red"), ("b", "Blue")], initial="b", widget=forms.RadioSelect)
    days = forms.MultipleChoiceField(
        choices=[("mo", "Monday"), ("tu", "Tuesday")], initial=["tu"], widget=forms.CheckboxSelectMultiple
    )
    about = forms.CharField(required=False, initial="", widget=forms.Textarea(attrs={"rows": 2}))


class ShowInputs(AsyncStreamHandler):
    """Publish the inputs whenever they change."""

    def copy(self) -> ShowInputs:
        return ShowInputs()

    async def receive(self, frame: Audio) -> None:
        return

    async def emit(self) -> Any:
        await self.args_set.wait()
        self.args_set.clear()
        return AdditionalOutputs(self.latest_args[1:])


class PlainEcho(AsyncStreamHandler):
    """An echo at the rates that FastRTC's front ends expect: 48 kHz in, 24 kHz out."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> Self:
        return type(self)()

    async def receive(self, frame: Audio) -> None:
        await self.queue.put(frame)

    async def emit(self) -> Any:
        return await wait_for_item(self.queue)


class AskFirst(PlainEcho):
    """Begins when the inputs have come, and publishes them."""

    async def start_up(self) -> None:
        await self.wait_for_args()
        await self.queue.put(AdditionalOutputs(*self.latest_args[1:]))


class Word(forms.Form):
    word = forms.CharField(max_length=10)


class Quiet(forms.Form):
    greeting = forms.CharField(required=False, initial="")


class Deaf(Quiet):
    recogniser = forms.CharField(initial="missing")


def language_model() -> Responder:
    return OpenAIResponder(f"http://127.0.0.1:{os.environ.get('CHAT_PORT', '9')}/v1", "small", first_timeout=0.5)


def missing() -> None:
    raise WeightsMissing("The ears have not been fetched. Run: manage.py fetch_models ears")


register_engine("stt", "missing", missing)
register("long-reply", ReplyOnPause(long_reply))
register("steadfast", ReplyOnPause(long_reply, interruption=InterruptionOptions(min_speech=60)))
register("raises", ReplyOnPause(raises))
register("one-at-a-time", ReplyOnPause(answer), concurrency_limit=1)
register("one-place", ReplyOnPause(answer), concurrency_limit=1)
register("members", ReplyOnPause(answer), access="login")
register("short", ReplyOnPause(answer), time_limit=2)
register("watcher", watcher, modality="video", mode="send", outputs="text")
register(
    "small-camera",
    lambda picture: picture,
    modality="video",
    track_constraints={"width": {"exact": 320}, "height": {"exact": 240}},
    rtp_params={"degradationPreference": "maintain-framerate", "encodings": [{"maxBitrate": 300_000}]},
)
register("typing", ReplyOnPause(converse, needs_args=True), outputs="chat")
register("exhibition", exhibition, mode="receive", outputs=["text", "number", "json", "chat", "image"])
register("misfits", misfits, mode="receive", outputs="number")
register("goodbye", goodbye, mode="receive", outputs="text")
register("counting", counting, mode="receive", outputs="text")
register("every-field", ShowInputs(), inputs=EveryField, outputs="json")
register("ask-first", AskFirst(), inputs=Word)
register("plain-echo", PlainEcho())
register("quiet-assistant", Assistant(), outputs="chat", options=Quiet)
register("chatty", Assistant(language_model), outputs="chat", options=Quiet)
register("deaf-assistant", Assistant(), outputs="chat", options=Deaf)
register("deaf-radio", WalkieTalkie(answer, stt_model="missing"))
register("one-for-webrtc", PlainEcho(), concurrency_limit=1)
register("one-for-websocket", PlainEcho(), concurrency_limit=1)
for provider in settings.TURN_PROVIDERS:
    register(f"through-{provider}", PlainEcho())
