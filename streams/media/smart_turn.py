"""Does an utterance sound complete? Smart Turn v3.2, which hears melody and words, not only silence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streams.media import weights
from streams.media.audio import Samples, audio_to_float32, resample

RATE = 16000
SECONDS = 8
"""What the model hears: the last eight seconds."""
FRAME = 400
HOP = 160
BANDS = 80

Floats = NDArray[np.float32]


class EndOfUtteranceModel(Protocol):
    """Judges whether somebody who has just fallen silent has finished. Called in a thread of its own."""

    def completeness(self, samples: Samples, rate: int) -> float:
        """Return how likely the utterance, mono int16 at ``rate`` with its short silence, is complete: 0 to 1."""


class SmartTurn:
    """The loaded model. Stateless, so every session shares one.

    Source: github.com/pipecat-ai/smart-turn, v3.2: input_features float32 (1, 80, 800), the log-mel spectrogram of
    Whisper over the last 8 s at 16 kHz, zeros in front; output the probability.
    """

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def completeness(self, samples: Samples, rate: int) -> float:
        heard = resample(samples[-SECONDS * rate :], rate, RATE)
        features = log_mel(audio_to_float32(heard))
        (probability,) = self._session.run(None, {"input_features": features[None]})
        return float(np.ravel(probability)[0])

    def warmup(self) -> None:
        self.completeness(np.zeros(RATE, np.int16), RATE)


@lru_cache(maxsize=1)
def get_smart_turn() -> SmartTurn:
    """Load the model once per process. Raises weights.WeightsMissing."""
    return SmartTurn(str(weights.path("smart-turn")))


def log_mel(samples: Floats) -> Floats:
    """Features (80, 800) of the last 8 s of 16 kHz audio in [-1, 1].

    Source: openai/whisper, audio.py: Hann window of 400, hop 160, 80 Slaney mel bands, log10, 8 decades at most.
    """
    heard = np.zeros(SECONDS * RATE, np.float32)
    kept = samples[-heard.size :]
    if kept.size:
        heard[-kept.size :] = kept
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + np.float32(1e-7))
    padded = np.pad(heard, FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:-1]
    power = np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32) ** 2
    log = np.log10(np.maximum(_mel_bands() @ power.T, 1e-10))
    features: Floats = ((np.maximum(log, log.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(FRAME + 1)[:-1].astype(np.float32)  # periodic


@lru_cache(maxsize=1)
def _mel_bands() -> Floats:
    """Triangular filters (80, 201) up to 8 kHz, each of unit area (Slaney's auditory toolbox)."""
    edges = _hz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    bins = np.linspace(0.0, RATE / 2, FRAME // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    bands: Floats = (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return bands


def _mel(hz: float) -> float:
    """Linear below 1 kHz, logarithmic above."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * float(np.log(hz / 1000)) / float(np.log(6.4))


def _hz(mel: NDArray[Any]) -> NDArray[Any]:
    return np.where(mel < 15, 200 * mel / 3, 1000 * np.exp(np.log(6.4) * (mel - 15) / 27))
