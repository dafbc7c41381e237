"""Handlers to measure with. servers/fastrtc_echo.py has the same ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np
from django import forms

from benchmarks import tones
from benchmarks.environments import UTTERANCES
from streams.assistant import MOONSHINE, Assistant
from streams.media import AdditionalOutputs, AsyncStreamHandler, ReplyOnPause, StreamHandler, get_current_context
from streams.media.audio import Audio
from streams.media.outputs import Emitted, Picture
from streams.media.speech.recognition import get_stt_model, recognise
from streams.registry import register
from streams.stream_handlers import LiveEcho


def video_echo(picture: Picture) -> Picture:
    return picture


def slow_video(picture: Picture) -> Picture:
    time.sleep(0.1)
    return picture


def answer(audio: Audio) -> Iterator[Audio]:
    """Play a short tone. What was said is kept for the benchmark to look at."""
    try:
        yield from tones.reply(tones.SHORT_SECONDS)
    finally:
        UTTERANCES.mkdir(exist_ok=True)
        audio[1].tofile(UTTERANCES / f"{get_current_context().webrtc_id}-{time.time_ns()}.s16")


def long_answer(_audio: Audio) -> Iterator[Audio]:
    yield from tones.reply(tones.LONG_SECONDS)


class Blocked(StreamHandler):
    """Waits three seconds, again and again, as for an answer that does not come."""

    def copy(self) -> Blocked:
        return Blocked()

    def receive(self, frame: Audio) -> None:
        return

    def emit(self) -> None:
        time.sleep(3)


class LineEcho(LiveEcho):
    """A live echo at the telephone's own rate."""

    def __init__(self) -> None:
        super().__init__()
        self.input_sample_rate = self.output_sample_rate = 8000

    def copy(self) -> LineEcho:
        return LineEcho()


class NoGreeting(forms.Form):
    greeting = forms.CharField(required=False, initial="")


class RecognisingEcho(AsyncStreamHandler):
    """A live echo that has the last three seconds recognised, again and again, and publishes each text."""

    KEPT = 150  # frames

    def __init__(self) -> None:
        super().__init__()
        self.waiting: asyncio.Queue[Emitted] = asyncio.Queue()
        self.heard: list[np.ndarray] = []
        self.recognising: asyncio.Task[None] | None = None

    def copy(self) -> RecognisingEcho:
        return RecognisingEcho()

    async def receive(self, frame: Audio) -> None:
        await self.waiting.put(frame)
        self.heard = [*self.heard[1 - self.KEPT :], frame[1]]
        if len(self.heard) == self.KEPT and (self.recognising is None or self.recognising.done()):
            self.recognising = asyncio.create_task(self.recognise())

    async def recognise(self) -> None:
        audio = (self.input_sample_rate, np.concatenate(self.heard, axis=1))
        self.waiting.put_nowait(AdditionalOutputs(await recognise(get_stt_model(MOONSHINE), audio)))

    async def emit(self) -> Emitted:
        return await self.waiting.get()


register("video-echo", video_echo, modality="video")
register("slow-video", slow_video, modality="video")
register("blocked", Blocked())
register("turns", ReplyOnPause(answer))
register("barge-in", ReplyOnPause(long_answer))
register("assistant-without-greeting", Assistant(), options=NoGreeting)
register("recognising", RecognisingEcho(), concurrency_limit=None)
register("line-echo", LineEcho())
register("echo-for-many", LiveEcho(), concurrency_limit=None)
