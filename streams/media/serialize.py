"""AdditionalOutputs as JSON: plain values, numpy, dataclasses, pictures."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np

from streams.media.outputs import AdditionalOutputs


class NotSerializable(TypeError):
    """A value of AdditionalOutputs cannot become JSON."""

    def __init__(self, value: object) -> None:
        super().__init__(
            f"AdditionalOutputs cannot send a {type(value).__module__}.{type(value).__qualname__} as JSON. "
            "Convert it to text, numbers, lists, dicts, a dataclass or a uint8 picture first."
        )


def to_json(outputs: AdditionalOutputs) -> str:
    """One value is sent as it is, several as a list. Raises NotSerializable."""
    values = outputs.args[0] if len(outputs.args) == 1 else list(outputs.args)
    return json.dumps(plain(values), separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """Bring a value to what JSON knows. What is not a number (NaN, infinity) becomes null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return picture_uri(value) if is_picture(value) else plain(value.tolist())
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID | Path | Fraction):
        return str(value)
    if hasattr(value, "model_dump"):  # pydantic
        return plain(value.model_dump())
    if hasattr(value, "save") and hasattr(value, "convert"):  # a Pillow image
        return picture_uri(np.asarray(value.convert("RGB")))
    raise NotSerializable(value)


def is_picture(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size > 0


def picture_uri(picture: np.ndarray[Any, Any]) -> str:
    """Encode a uint8 RGB array of shape (height, width, 3) as a JPEG data URI."""
    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuvj444p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
