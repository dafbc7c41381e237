"""A real recording of a person speaking, out of a pinned package, fetched once and checked like model weights."""

import io
import wave
from functools import cache
from pathlib import Path
from typing import TypeAlias
from unittest import mock

import numpy as np
import numpy.typing as npt

from streams.media import weights

Samples: TypeAlias = npt.NDArray[np.int16]

RATE = 24_000
RECORDING = weights.Weight(
    ecosystem="pip",
    package="fastrtc",
    version="0.0.34",
    member="fastrtc/speech_to_text/test_file.wav",
    sha256="6109f3b2065e622fcca9454bb73b769224872e118b35a35de8512ed2ebfae11b",
    size=996_044,
    licence="MIT",
)
# Where its sentences are, in seconds. The voice starts within 0.1 s of each start.
SENTENCES = [(0.28, 4.7), (5.2, 7.1), (7.28, 10.0), (10.2, 12.0), (12.2, 13.5), (14.0, 15.6), (15.9, 20.2)]


@cache
def recording() -> Samples:
    with mock.patch.dict(weights.WEIGHTS, {"test-speech": RECORDING}):
        content = weights.fetch("test-speech").read_bytes()
    with wave.open(io.BytesIO(content)) as wav:
        assert wav.getframerate() == RATE
        return np.frombuffer(wav.readframes(wav.getnframes()), dtype=np.int16)


def speech(seconds: float, start: float = SENTENCES[0][0]) -> tuple[int, Samples]:
    """That much of the recording, from `start`."""
    first = round(start * RATE)
    return RATE, recording()[first : first + round(seconds * RATE)]


def sentence(number: int) -> tuple[int, Samples]:
    start, end = SENTENCES[number]
    return speech(end - start, start)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def write_wav(path: Path, *parts: Samples) -> Path:
    """48 kHz, as Chromium's fake microphone wants it."""
    samples = np.concatenate(parts)
    positions = np.arange(2 * len(samples)) / 2
    doubled = np.interp(positions, np.arange(len(samples)), samples).astype(np.int16)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(2 * RATE)
        wav.writeframes(doubled.tobytes())
    return path
