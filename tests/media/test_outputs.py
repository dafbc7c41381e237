import numpy as np
import pytest

from streams.media.outputs import AdditionalOutputs, CloseStream, NotEmittable, split

SOUND = np.zeros((1, 480), np.int16)
VALUES = AdditionalOutputs("a", 1)
CLOSE = CloseStream("bye")


def test_nothing() -> None:
    assert split(None) == (None, None)


@pytest.mark.parametrize("rate", [24000, np.int64(24000)])
def test_audio(rate: int) -> None:
    audio, extra = split((rate, SOUND))
    assert audio is not None and audio[0] == 24000 and audio[1] is SOUND
    assert extra is None


def test_audio_with_a_layout() -> None:
    audio, extra = split((24000, SOUND, "mono"))
    assert audio is not None and audio[1] is SOUND
    assert extra is None


@pytest.mark.parametrize("extra", [VALUES, CLOSE])
def test_values_and_closing_alone(extra: object) -> None:
    assert split(extra) == (None, extra)


@pytest.mark.parametrize("extra", [VALUES, CLOSE])
@pytest.mark.parametrize("sound", [(24000, SOUND), (24000, SOUND, "mono")])
def test_values_and_closing_beside_audio(sound: object, extra: object) -> None:
    audio, second = split((sound, extra))
    assert audio is not None and audio[1] is SOUND
    assert second is extra


@pytest.mark.parametrize(
    "item",
    [
        "hello",
        42,
        b"\0\0",
        SOUND,
        (),
        (24000,),
        (24000, [1, 2, 3]),
        ("24000", SOUND),
        (SOUND, 24000),
        (SOUND, VALUES),
        ((24000, SOUND), VALUES, CLOSE),
        ((24000, SOUND), "hello"),
    ],
)
def test_anything_else_is_refused_with_advice(item: object) -> None:
    with pytest.raises(NotEmittable, match=r"(?s)^A handler emitted .*Emit \(sample_rate, array\)"):
        split(item)


def test_the_values_can_be_read_back() -> None:
    assert VALUES.args == ("a", 1)
    assert repr(VALUES) == "AdditionalOutputs('a', 1)"


def test_closing_has_words() -> None:
    assert CloseStream().msg == "Stream closed"
    assert CLOSE.msg == "bye"
