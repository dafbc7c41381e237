"""Handlers to measure with. servers/fastrtc_echo.py has the same ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import tones
from benchmarks.environments import UTTERANCES
from streams.media import ReplyOnPause, StreamHandler, get_current_context
from streams.media.audio import Audio
from streams.media.outputs import Picture
from streams.registry import register


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


register("video-echo", video_echo, modality="video")
register("slow-video", slow_video, modality="video")
register("blocked", Blocked())
register("turns", ReplyOnPause(answer))
register("barge-in", ReplyOnPause(long_answer))
