"""What a handler may emit besides audio."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class AdditionalOutputs:
    """Values for the page or another reader of the session's outputs, beside the media."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __repr__(self) -> str:
        return f"AdditionalOutputs{self.args!r}"


class CloseStream:
    """Emit it to end the session once everything that was said has been played."""

    def __init__(self, msg: str = "Stream closed") -> None:
        self.msg = msg


AudioOut = tuple[int, NDArray[np.generic]] | tuple[int, NDArray[np.generic], str]
"""(sample rate, array) or (sample rate, array, "mono" | "stereo")."""

Emitted = AudioOut | AdditionalOutputs | CloseStream | tuple[AudioOut, AdditionalOutputs | CloseStream] | None


class NotEmittable(TypeError):
    """The handler emitted something that is neither audio, AdditionalOutputs, CloseStream nor None."""

    def __init__(self, item: object) -> None:
        super().__init__(
            f"A handler emitted {type(item).__name__}: {item!r:.80}. "
            "Emit (sample_rate, array), AdditionalOutputs(…), CloseStream(…), audio and one of these, or None."
        )


def split(item: object) -> tuple[tuple[int, NDArray[np.generic]] | None, AdditionalOutputs | CloseStream | None]:
    """Take an emitted item apart into audio and the rest. Raises NotEmittable."""
    if item is None:
        return None, None
    if isinstance(item, AdditionalOutputs | CloseStream):
        return None, item
    if isinstance(item, tuple) and len(item) in (2, 3):
        first, second = item[0], item[1]
        if isinstance(first, int | np.integer) and isinstance(second, np.ndarray):
            return (int(first), second), None
        if isinstance(second, AdditionalOutputs | CloseStream) and len(item) == 2:
            return split(first)[0], second
    raise NotEmittable(item)
