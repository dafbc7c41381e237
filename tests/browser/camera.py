"""A film for Chromium's fake camera, as raw y4m."""

from pathlib import Path

import numpy as np

# Y, Cb, Cr (BT.601)
RED, BLUE, GREEN, GREY = (81, 90, 240), (41, 240, 110), (145, 54, 34), (128, 128, 128)
FRAMES = 3


def write_film(
    path: Path, top: tuple[int, int, int], bottom: tuple[int, int, int], width: int = 640, height: int = 480
) -> Path:
    """A still picture whose halves have these colours."""
    planes = []
    for channel, scale in ((0, 1), (1, 2), (2, 2)):
        plane = np.empty((height // scale, width // scale), np.uint8)
        plane[: len(plane) // 2], plane[len(plane) // 2 :] = top[channel], bottom[channel]
        planes.append(plane.tobytes())
    frame = b"FRAME\n" + b"".join(planes)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420jpeg\n".encode() + frame * FRAMES)
    return path
