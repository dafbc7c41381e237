"""Kokoro's package, on a model that only hums: the weights are in no package registry."""

import sys
from pathlib import Path

import numpy as np
import pytest

from streams.media import weights
from streams.media.speech.engines import EngineUnavailable
from streams.media.speech.kokoro import KokoroTTS, KokoroTTSOptions
from streams.media.speech.synthesis import SynthesisFailed, get_tts_model
from streams.media.weights import WeightsMissing

FLOAT, INT64 = 1, 7
HUM = 0.3 * np.sin(2 * np.pi * np.arange(1200) / 120).astype(np.float32)  # 50 ms at 24 kHz


def field(number: int, value: int | bytes | str) -> bytes:
    """One of a protobuf message: a number below 128, or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    content = value.encode() if isinstance(value, str) else value
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def value(name: str, dtype: int, dimensions: int) -> bytes:
    shape = b"".join(field(1, field(2, f"{name}{n}")) for n in range(dimensions))
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, shape)))


def node(operator: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operator) + attributes)


def humming_model() -> bytes:
    """audio = hum for each token, as loud as the speed. Fields of github.com/onnx/onnx, onnx.proto."""
    hum = bytes([1 << 3, 1, 1 << 3, HUM.size & 127 | 128, HUM.size >> 7]) + field(2, FLOAT) + field(8, "hum")
    to_float = field(5, field(1, "to") + field(3, FLOAT) + bytes([0xA0, 1, 2]))
    graph = (
        node("Cast", ["input_ids"], "numbers", to_float)
        + node("Transpose", ["numbers"], "column")
        + node("Mul", ["column", "zero"], "zeros")
        + node("Add", ["zeros", "speed"], "ones")
        + node("MatMul", ["ones", "hum"], "audio")
        + field(2, "humming")
        + field(5, hum + field(9, HUM.tobytes()))
        + field(5, field(2, FLOAT) + field(8, "zero") + field(9, bytes(4)))
        + field(11, value("input_ids", INT64, 2))
        + field(11, value("style", FLOAT, 2))
        + field(11, value("speed", FLOAT, 1))
        + field(12, value("audio", FLOAT, 2))
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("kokoro_onnx")
    folder = tmp_path_factory.mktemp("kokoro")
    (folder / "kokoro-v1.0.onnx").write_bytes(humming_model())
    with (folder / "voices-v1.0.bin").open("wb") as voices:
        np.savez(voices, af_heart=np.zeros((510, 1, 256), np.float32))
    return folder / "kokoro-v1.0.onnx", folder / "voices-v1.0.bin"


@pytest.fixture(scope="module")
def kokoro(files: tuple[Path, Path]) -> KokoroTTS:
    return KokoroTTS(*files)


def test_it_speaks(kokoro: KokoroTTS) -> None:
    rate, samples = kokoro.tts("Hello there. How are you?")
    assert (rate, str(samples.dtype), samples.shape[0]) == (24000, "int16", 1)
    assert 0.5 < samples.size / rate < 5.0
    assert len(list(kokoro.stream_tts_sync("Hello there. How are you?"))) == 2


def test_options_reach_it(kokoro: KokoroTTS) -> None:
    normal, loud = (np.abs(kokoro.tts("Hello.", KokoroTTSOptions(speed=s))[1].astype(int)).max() for s in (1.0, 2.0))
    assert loud == pytest.approx(2 * normal, rel=0.01)


def test_a_voice_that_is_not_there_is_named(kokoro: KokoroTTS) -> None:
    with pytest.raises(SynthesisFailed, match="Voice af_nobody not found"):
        kokoro.tts("Hello.", KokoroTTSOptions(voice="af_nobody"))


def test_the_files_are_looked_for_among_the_weights(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", files[0].parent)
    assert KokoroTTS().tts("Hello.")[1].size


def test_without_the_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(
        WeightsMissing, match=r"kokoro-v1.0.onnx is not there. Get kokoro-v1.0.onnx and voices-v1.0.bin"
    ):
        get_tts_model("kokoro", model_path=tmp_path / "kokoro-v1.0.onnx")
    with pytest.raises(WeightsMissing, match=r"voices.bin is not there"):
        get_tts_model("kokoro", model_path=files[0], voices_path=tmp_path / "voices.bin")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    with pytest.raises(EngineUnavailable, match=r"Kokoro is missing. Run: pip install 'django-rtc-streams\[kokoro\]'"):
        get_tts_model("kokoro")


def test_options_are_fastrtcs() -> None:
    assert KokoroTTSOptions() == KokoroTTSOptions(voice="af_heart", speed=1.0, lang="en-us")
    with pytest.raises(ValueError, match=r"Kokoro's speed is 0\.5 to 2, not 3"):
        KokoroTTSOptions(speed=3)
