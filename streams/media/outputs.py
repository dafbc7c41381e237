"""What a handler may emit besides audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Audio


class AdditionalOutputs:
    """Values for the page or another reader of the session's outputs, beside the media."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __repr__(self) -> str:
        return f"AdditionalOutputs{self.args!r}"


class CloseStream:
    """Emit it to end the session once everything that was said has been played.

    transfer_to: a telephone number, +49…, with which a telephone call then goes on
    """

    def __init__(self, msg: str = "Stream closed", transfer_to: str = "") -> None:
        self.msg = msg
        self.transfer_to = transfer_to


@dataclass
class WebRTCData:
    """What came with one turn: speech, typed text, or both. Handlers with ``needs_args`` receive it."""

    webrtc_id: str
    textbox: str = ""
    audio: Audio | None = None


Picture = NDArray[np.uint8]
"""(height, width, 3), in the handler's pixel format; also (height, width) for grey."""

PictureOut = Picture | AdditionalOutputs | CloseStream | tuple[Picture, AdditionalOutputs | CloseStream] | None

AudioOut = tuple[int, NDArray[np.generic]] | tuple[int, NDArray[np.generic], str]
"""(sample rate, array) or (sample rate, array, "mono" | "stereo")."""

Emitted = AudioOut | AdditionalOutputs | CloseStream | tuple[AudioOut, AdditionalOutputs | CloseStream] | None


EXTRAS = (AdditionalOutputs, CloseStream)


class NotEmittable(TypeError):
    """The handler emitted something that can be neither played nor shown nor published."""

    def __init__(self, item: object, media: str) -> None:
        super().__init__(
            f"A handler emitted {type(item).__name__}: {item!r:.80}. "
            f"Emit {media}, AdditionalOutputs(…), CloseStream(…), {media} together with one of these, or None."
        )


def split(item: object) -> tuple[tuple[int, NDArray[np.generic]] | None, AdditionalOutputs | CloseStream | None]:
    """Take an emitted item apart into audio and the rest. Raises NotEmittable."""
    if isinstance(item, tuple) and len(item) in (2, 3):
        first, second = item[0], item[1]
        if isinstance(first, (int, np.integer)) and isinstance(second, np.ndarray):
            return (int(first), _planar(second, item[2] if len(item) == 3 else "mono")), None
        if isinstance(second, EXTRAS) and len(item) == 2:
            return split(first)[0], second
    if item is None:
        return None, None
    if isinstance(item, EXTRAS):
        return None, item
    raise NotEmittable(item, "(sample_rate, array)")


def _planar(samples: NDArray[np.generic], layout: object) -> NDArray[np.generic]:
    """Bring interleaved stereo, (1, 2n) or (2n,), which FastRTC takes, to (2, n)."""
    if layout == "stereo" and (samples.ndim == 1 or samples.shape[0] == 1):
        return samples.reshape(-1, 2).T
    return samples


def split_picture(item: object) -> tuple[Picture | None, AdditionalOutputs | CloseStream | None]:
    """Take an emitted item apart into a picture and the rest. Raises NotEmittable."""
    if item is None:
        return None, None
    if isinstance(item, AdditionalOutputs | CloseStream):
        return None, item
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], AdditionalOutputs | CloseStream):
        return split_picture(item[0])[0], item[1]
    if isinstance(item, np.ndarray) and item.ndim in (2, 3) and item.dtype == np.uint8:
        return item, None
    raise NotEmittable(item, "a uint8 array of shape (height, width, 3)")
