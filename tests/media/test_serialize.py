import base64
import dataclasses
import enum
import io
import json
import uuid
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streams.media.outputs import AdditionalOutputs
from streams.media.serialize import NotSerializable, is_picture, plain, to_json


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


@dataclasses.dataclass
class Box:
    name: str
    corners: np.ndarray[Any, Any]
    inner: "Box | None" = None


class Model:
    """As pydantic's."""

    def model_dump(self) -> dict[str, Any]:
        return {"score": np.float32(0.5)}


TABLE: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (7, 7),
    (2**70, 2**70),
    (0.5, 0.5),
    (float("nan"), None),
    (float("inf"), None),
    ("grüße \u2028 </script>", "grüße \u2028 </script>"),
    ([1, [2, (3,)]], [1, [2, [3]]]),
    ({"a": {1: None}}, {"a": {"1": None}}),
    (OrderedDict(a=1), {"a": 1}),
    (deque([1]), [1]),
    ({4}, [4]),
    (frozenset("a"), ["a"]),
    (range(3), [0, 1, 2]),
    (np.bool_(True), True),
    (np.int64(5), 5),
    (np.uint8(255), 255),
    (np.float32(0.25), 0.25),
    (np.float64("nan"), None),
    (np.str_("s"), "s"),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.array(3), 3),
    (np.array([1.5, np.nan, -np.inf]), [1.5, None, None]),
    (np.zeros((2, 2), np.int16), [[0, 0], [0, 0]]),
    (np.array(["a"]), ["a"]),
    (np.array([], float), []),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Word.YES, "yes"),
    ({Colour.RED: 1}, {"red": 1}),
    (Box("b", np.array([1, 2]), Box("i", np.array([]))), {
        "name": "b", "corners": [1, 2], "inner": {"name": "i", "corners": [], "inner": None}
    }),
    (date(2026, 1, 2), "2026-01-02"),
    (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
    (time(3, 4), "03:04:00"),
    (timedelta(seconds=1.5), 1.5),
    (Decimal("1.10"), "1.10"),
    (Fraction(1, 3), "1/3"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Path("a"), "a"),
    (Model(), {"score": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), TABLE, ids=lambda value: f"{type(value).__name__}")
def test_values(value: Any, wanted: Any) -> None:
    assert json.loads(to_json(AdditionalOutputs(value))) == wanted


def test_one_value_is_itself_and_several_are_a_list() -> None:
    assert to_json(AdditionalOutputs("a")) == '"a"'
    assert to_json(AdditionalOutputs("a", 1)) == '["a",1]'
    assert to_json(AdditionalOutputs()) == "[]"
    assert to_json(AdditionalOutputs([{"role": "user"}])) == '[{"role":"user"}]'


def test_server_sent_events_have_one_line() -> None:
    assert "\n" not in to_json(AdditionalOutputs("two\nlines\r\n"))


class Opaque:
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Opaque(), "test_serialize.Opaque"),
        ([Opaque()], "test_serialize.Opaque"),
        ({"a": Opaque()}, "test_serialize.Opaque"),
        (b"bytes", "builtins.bytes"),
        (bytearray(2), "builtins.bytearray"),
        (1 + 2j, "builtins.complex"),
        (np.complex64(1), "complex"),
        ((i for i in [1]), "builtins.generator"),
        (lambda: None, "builtins.function"),
        (Box, "builtins.type"),
    ],
)
def test_what_does_not_serialise_is_named(value: Any, named: str) -> None:
    with pytest.raises(NotSerializable, match=r"cannot send a \S*" + named.replace(".", r"\.")):
        to_json(AdditionalOutputs(1, value))


def decoded(uri: str) -> np.ndarray[Any, Any]:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    with av.open(io.BytesIO(base64.b64decode(data, validate=True)), "r") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("size", [(48, 64), (33, 47), (1, 1), (720, 1280)])
def test_pictures(size: tuple[int, int]) -> None:
    picture = np.empty((*size, 3), np.uint8)
    picture[:, : size[1] // 2], picture[:, size[1] // 2 :] = (220, 30, 30), (30, 30, 220)
    shown = decoded(json.loads(to_json(AdditionalOutputs(picture))))
    assert shown.shape == picture.shape
    assert np.abs(shown[0, -1].astype(int) - (30, 30, 220)).max() < 30
    if size[1] > 1:
        assert np.abs(shown[0, 0].astype(int) - (220, 30, 30)).max() < 30


def test_pictures_inside_other_values_and_turned_ones() -> None:
    picture = np.zeros((8, 16, 3), np.uint8)
    values = json.loads(to_json(AdditionalOutputs({"image": np.flip(picture, axis=1), "n": 1})))
    assert decoded(values["image"]).shape == (8, 16, 3)
    assert values["n"] == 1


class Pillow:
    """Has what a Pillow image has."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def save(self) -> None:
        raise AssertionError

    def convert(self, mode: str) -> np.ndarray[Any, Any]:
        assert mode == "RGB"
        return np.full((10, 20, 3), 200, np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_pillow_images(mode: str) -> None:
    assert decoded(plain(Pillow(mode))).shape == (10, 20, 3)


def test_what_is_a_picture() -> None:
    assert is_picture(np.zeros((2, 2, 3), np.uint8))
    assert not is_picture(np.zeros((2, 2, 3), np.float32))
    assert not is_picture(np.zeros((2, 3), np.uint8))
    assert not is_picture(np.zeros((2, 2, 4), np.uint8))


def test_an_empty_picture_is_an_empty_list() -> None:
    assert plain(np.zeros((0, 0, 3), np.uint8)) == []
