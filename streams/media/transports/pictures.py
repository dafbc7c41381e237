"""Our ends of aiortc's video. aiortc decodes in a thread per track and encodes in the loop's executor.

The private names of aiortc that are touched here, each with a test in tests/media/transports/test_aiortc_contract.py:
RTCRtpSender.__encoder; codecs.get_encoder and its encoders' ``target_bitrate``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.video.reformatter import VideoReformatter

from streams.media.video_path import VideoPath

CLOCK_RATE = 90000
REPEAT_SECONDS = 1.0
"""A picture that does not change is sent again this often, for a client that lost it."""


async def watch(track: MediaStreamTrack, sink: Callable[[av.VideoFrame], None]) -> None:
    """Read a remote track until it ends. aiortc queues without bound what nobody reads."""
    try:
        while True:
            frame = await track.recv()
            if isinstance(frame, av.VideoFrame):
                sink(frame)
    except MediaStreamError:
        return


class VideoSender(MediaStreamTrack):
    """Sends the newest picture, whenever there is a new one."""

    kind = "video"

    def __init__(self, video: VideoPath) -> None:
        super().__init__()
        self._video = video
        self._start: float | None = None

    async def recv(self) -> av.VideoFrame:
        while self.readyState == "live":
            frame = await self._video.next(REPEAT_SECONDS)
            if frame is not None:
                now = asyncio.get_running_loop().time()
                self._start = now if self._start is None else self._start
                frame.pts = int((now - self._start) * CLOCK_RATE)
                frame.time_base = Fraction(1, CLOCK_RATE)
                return frame
        raise MediaStreamError


def prepare_encoder(sender: RTCRtpSender, codec: RTCRtpCodecParameters, bitrate: tuple[int, int] | None) -> None:
    """Give the sender an encoder that converts colours with one scaler, where aiortc's sets up a new one per picture.

    It aims between two bit rates, if they are given, whatever the client's estimate says.
    """
    encoder: Any = get_encoder(codec)
    made = type(encoder)
    scaler = VideoReformatter()

    def encode(self: Any, frame: av.VideoFrame, force_keyframe: bool = False) -> Any:
        converted = scaler.reformat(frame, format="yuv420p")
        converted.pts, converted.time_base = frame.pts, frame.time_base
        return made.encode(self, converted, force_keyframe)

    members: dict[str, Any] = {"encode": encode}
    if bitrate is not None:
        lowest, highest = bitrate
        members["target_bitrate"] = property(
            lambda self: min(max(made.target_bitrate.fget(self), lowest), highest), made.target_bitrate.fset
        )
    encoder.__class__ = type(f"Our{made.__name__}", (made,), members)
    sender._RTCRtpSender__encoder = encoder  # type: ignore[attr-defined]
