"""Engines by name: built-in, of other packages, and registered in code."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from streams.media import weights
from streams.media.speech.engines import (
    EngineUnavailable,
    UnknownEngine,
    engine_names,
    engine_problem,
    load_engine,
    register_engine,
)
from streams.media.weights import WeightsMissing
from tests.plugins import engines_of_their_own, plugin


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with engines_of_their_own():
        yield


def test_the_built_in_ones_come_first() -> None:
    register_engine("tts", "zebra", object)
    register_engine("tts", "alpaca", object)
    assert engine_names("tts") == ["pico", "espeak", "kokoro", "cartesia", "alpaca", "zebra"]
    assert engine_names("vad") == ["silero"]


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UnknownEngine, match=r"no tts engine 'piko'. There are: pico, espeak, kokoro, cartesia\."):
        load_engine("tts", "piko")
    assert issubclass(UnknownEngine, ValueError)


def test_an_engine_is_loaded_once_however_many_ask_for_it_at_once() -> None:
    made: list[str] = []
    together = threading.Barrier(4)

    def ask() -> Any:
        together.wait()
        return load_engine("vad", "mine")

    def factory() -> list[str]:
        made.append("once")
        return made

    register_engine("vad", "mine", factory)
    with ThreadPoolExecutor(4) as threads:
        found = [job.result() for job in [threads.submit(ask) for _ in range(4)]]
    assert made == ["once"]
    assert all(engine is made for engine in found)


def test_a_slow_engine_keeps_nobody_from_another() -> None:
    both = threading.Barrier(2)
    allowed = threading.Event()
    register_engine("tts", "slow", lambda: (both.wait(), allowed.wait()))
    register_engine("tts", "quick", lambda: "quick")
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(load_engine, "tts", "slow")
        both.wait()
        assert load_engine("tts", "quick") == "quick"
        allowed.set()
        assert slow.result()[1] is True


def test_other_options_make_another_engine() -> None:
    register_engine("tts", "mine", lambda voice="a": [voice])
    assert load_engine("tts", "mine", voice="b") == ["b"]
    assert load_engine("tts", "mine") is not load_engine("tts", "mine", voice="b")
    assert load_engine("tts", "mine", voice="b") is load_engine("tts", "mine", voice="b")


def test_who_registers_last_is_it() -> None:
    register_engine("tts", "pico", lambda: "mine")
    assert load_engine("tts", "pico") == "mine"
    register_engine("tts", "pico", lambda: "yours")
    assert load_engine("tts", "pico") == "yours"


def test_a_failure_is_told_and_may_pass() -> None:
    def factory() -> str:
        if not working:
            raise OSError("the card is not plugged in")
        return "it works"

    working = False
    register_engine("stt", "mine", factory)
    with pytest.raises(EngineUnavailable, match=r"stt engine 'mine' cannot be loaded. OSError: the card is not"):
        load_engine("stt", "mine")
    working = True
    assert load_engine("stt", "mine") == "it works"


def test_missing_weights_stay_missing_weights() -> None:
    def factory() -> None:
        raise WeightsMissing("fetch them")

    register_engine("stt", "mine", factory)
    with pytest.raises(WeightsMissing, match="fetch them"):
        load_engine("stt", "mine")


def test_a_package_brings_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(
        tmp_path,
        "loud_voices",
        "[streams.tts]\nloud = loud_voices:Loud\n",
        "class Loud:\n    def __init__(self, gain=1):\n        self.gain = gain\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert engine_names("tts")[-1] == "loud"
    assert load_engine("tts", "loud", gain=3).gain == 3
    assert "loud" not in engine_names("stt")


def test_a_broken_package_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "wreck", "[streams.vad]\nwreck = wreck:Nothing\ngone = not_there_at_all:It\n", "1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert engine_names("vad") == ["silero", "gone", "wreck"]
    with pytest.raises(EngineUnavailable, match=r"'wreck' cannot be loaded. ZeroDivisionError"):
        load_engine("vad", "wreck")
    with pytest.raises(EngineUnavailable, match=r"No module named 'not_there_at_all'"):
        load_engine("vad", "gone")
    register_engine("vad", "mine", lambda: "mine")
    assert load_engine("vad", "mine") == "mine"


def test_what_keeps_an_engine_from_working_is_told_without_loading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path, "wreck", "[streams.stt]\nwreck = wreck:Nothing\n", "1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(weights, "_directory", tmp_path)
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    register_engine("stt", "mine", lambda: pytest.fail("this loads it"))
    tiny, wrecked = engine_problem("stt", "moonshine/tiny"), engine_problem("stt", "wreck")
    assert tiny.endswith(
        "Run: manage.py fetch_models moonshine-tiny-encoder moonshine-tiny-decoder moonshine-tokenizer"
    )
    assert "cannot be loaded. ZeroDivisionError" in wrecked
    assert engine_problem("stt", "mine") == ""
    assert "CARTESIA_API_KEY" in engine_problem("tts", "cartesia")
    assert "kokoro-v1.0.onnx" in engine_problem("tts", "kokoro") or "pip install" in engine_problem("tts", "kokoro")
    assert engine_problem("tts", "pico") == ""
    assert "There are: pico" in engine_problem("tts", "piko")


def test_a_package_cannot_take_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plugin(tmp_path, "thief", "[streams.tts]\npico = thief:Pico\n", "class Pico: pass")
    monkeypatch.syspath_prepend(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert engine_names("tts") == ["pico", "espeak", "kokoro", "cartesia"]
    assert "'pico' of thief is left out" in caplog.text
