"""A moving picture as ready VP8 packets."""

from typing import Any

import av
import numpy as np

WIDTH, HEIGHT, FPS = 640, 480, 30
KEY_FRAME_EVERY = 30  # the ready packets cannot answer a request for a key frame
BIT_RATE = 1_000_000
KEY_FRAME = b"\x9d\x01\x2a"  # start code of a VP8 key frame; width and height follow


def moving_picture() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Two seconds: coloured waves that drift, with a patch of fine texture that moves across."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    texture = np.random.default_rng(1).integers(0, 255, (120, 120, 3))
    pictures = []
    for number in range(2 * FPS):
        turn = 2 * np.pi * number / (2 * FPS)
        waves = [np.sin(x / 50 + turn), np.sin(y / 40 + turn), np.sin((x + y) / 60 - turn)]
        picture = (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)
        left = int((WIDTH - 120) * (0.5 + 0.5 * np.sin(turn)))
        picture[180:300, left : left + 120] = texture
        pictures.append(picture)
    return pictures


def encode_video() -> list[bytes]:
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt, codec.bit_rate = WIDTH, HEIGHT, "yuv420p", BIT_RATE
    codec.framerate, codec.gop_size = FPS, KEY_FRAME_EVERY
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    packets = []
    for number, picture in enumerate(moving_picture()):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def size_of(payload: bytes) -> tuple[int, int] | None:
    """Width and height, if a key frame begins in this RTP payload."""
    at = payload.find(KEY_FRAME, 0, 16)
    if at < 0:
        return None
    width, height = payload[at + 3 : at + 5], payload[at + 5 : at + 7]
    return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
