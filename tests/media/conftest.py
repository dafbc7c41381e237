import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.media import reply_on_pause, weights
from streams.media.speech.engines import load_engine
from streams.media.speech.moonshine import Moonshine
from streams.media.vad import AudioChunk, SileroVad, get_silero_model
from tests.media.virtual_time import VirtualTimeLoop, count_threads


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_time: run on the real event loop, because real sockets are used")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def _virtual_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    count_threads(monkeypatch)


def no_smart_turn() -> None:
    raise weights.WeightsMissing("not in this test")


@pytest.fixture(autouse=True)
def _silence_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that want the end-of-utterance model ask for it."""
    monkeypatch.setattr(reply_on_pause, "get_smart_turn", no_smart_turn)


@pytest.fixture
def silero() -> Iterator[SileroVad]:
    """The real model."""
    before = weights.directory()
    weights.set_directory(os.environ.get("STREAMS_MODELS_DIR", Path(__file__).parents[2] / "var/models"))
    weights.fetch("silero-vad")
    yield get_silero_model()
    weights.set_directory(before)


@pytest.fixture
def moonshine() -> Iterator[Moonshine]:
    """The real model, tiny."""
    before = weights.directory()
    weights.set_directory(os.environ.get("STREAMS_MODELS_DIR", Path(__file__).parents[2] / "var/models"))
    for name in ("silero-vad", "moonshine-tiny-encoder", "moonshine-tiny-decoder", "moonshine-tokenizer"):
        weights.fetch(name)
    yield load_engine("stt", "moonshine/tiny")
    weights.set_directory(before)


class LoudIsSpeech:
    """A model for tests: a hop is speech if it is loud."""

    def __call__(self, hop: np.ndarray[Any, Any], state: Any = None) -> tuple[float, Any]:
        return (0.95 if np.abs(hop).max() > 0.03 else 0.02), state

    def vad(self, audio: tuple[int, np.ndarray[Any, Any]], options: Any) -> tuple[float, list[AudioChunk]]:
        rate, samples = audio
        loud = np.flatnonzero(np.abs(samples) > 1000)
        return loud.size / rate, [AudioChunk(start=int(loud[0]), end=int(loud[-1]) + 1)] if loud.size else []

    def warmup(self) -> None:
        """There is nothing to load."""


@pytest.fixture
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_on_pause, "get_silero_model", LoudIsSpeech)
