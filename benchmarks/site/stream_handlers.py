"""Handlers to measure with. servers/fastrtc_echo.py has the same ones."""

from __future__ import annotations

import time

from streams.media import StreamHandler
from streams.media.audio import Audio
from streams.media.outputs import Picture
from streams.registry import register


def video_echo(picture: Picture) -> Picture:
    return picture


def slow_video(picture: Picture) -> Picture:
    time.sleep(0.1)
    return picture


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
