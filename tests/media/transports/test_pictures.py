"""Our end of aiortc's video encoding."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.codecs import CODECS
from aiortc.mediastreams import VideoStreamTrack

from streams.media.transports.pictures import prepare_encoder

pytestmark = pytest.mark.real_time


async def encoder(bitrate: tuple[int, int] | None) -> Any:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = pc.addTrack(VideoStreamTrack())
    prepare_encoder(sender, next(codec for codec in CODECS["video"] if codec.name == "VP8"), bitrate)
    await pc.close()
    return sender._RTCRtpSender__encoder  # type: ignore[attr-defined]


@pytest.mark.parametrize(("estimate", "aim"), [(100_000, 400_000), (450_000, 450_000), (9_000_000, 500_000)])
async def test_the_bit_rate_stays_between_its_limits(estimate: int, aim: int) -> None:
    made = await encoder((400_000, 500_000))
    made.target_bitrate = estimate
    assert made.target_bitrate == aim


async def test_without_limits_aiortcs_hold() -> None:
    made = await encoder(None)
    made.target_bitrate = 9_000_000
    assert made.target_bitrate == 1_500_000


async def test_pictures_are_encoded_with_their_time() -> None:
    made = await encoder(None)
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
    frame.pts, frame.time_base = 4500, Fraction(1, 90000)
    payloads, timestamp = made.encode(frame, force_keyframe=True)
    assert payloads and timestamp == 4500
