"""Voice activity as a stream: Silero VAD v6, one ONNX session for all, the state per listener."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from streams.media import weights
from streams.media.audio import Chunker, Resampler, Samples

RATE = 16000
HOP = 512
"""Samples per decision at 16 kHz: 32 ms."""
CONTEXT = 64
"""Samples of the hop before that the model sees again."""


@dataclass(frozen=True)
class SileroVadOptions:
    """How the model's probabilities become speech."""

    threshold: float = 0.5


class SileroVad:
    """The loaded model. Stateless, so every session shares one.

    Source: github.com/snakers4/silero-vad, ONNX interface of v6, 16 kHz only: input float32 (1, 64 + 512),
    state float32 (2, 1, 128); output (1, 1), stateN.
    """

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, window: np.ndarray[Any, Any], state: np.ndarray[Any, Any]) -> tuple[float, Any]:
        probability, state = self._session.run(None, {"input": window, "state": state})
        return float(probability[0, 0]), state


@lru_cache(maxsize=1)
def get_silero_model() -> SileroVad:
    """Load the model once per process. Raises weights.WeightsMissing."""
    return SileroVad(str(weights.path("silero-vad")))


class SpeechProbability:
    """Speech probability of one stream of mono int16 samples at ``rate``, each 32 ms.

    ``push`` yields (hop, probability): the hop is the caller's own samples, unresampled, at ``rate``.
    """

    def __init__(self, model: SileroVad, rate: int) -> None:
        self.rate = rate
        self._model = model
        self._resampler = Resampler(rate, RATE)
        self._at_16k = Chunker()
        self._heard = Chunker()
        self._hops = 0
        self._window = np.zeros((1, CONTEXT + HOP), np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)

    def push(self, samples: Samples) -> Iterator[tuple[Samples, float]]:
        self._heard.push(samples)
        self._at_16k.push(self._resampler.push(samples))
        while (hop := self._at_16k.take(HOP)) is not None:
            heard = self._heard.take(self._hop_samples())
            if heard is None:  # the resampler never runs ahead of its input
                return
            self._hops += 1
            yield heard, self._probability(hop)

    def _hop_samples(self) -> int:
        """Samples of the next hop at ``rate``; they differ by one where the rates do not divide."""
        step = HOP * self.rate
        return (self._hops + 1) * step // RATE - self._hops * step // RATE

    def _probability(self, hop: Samples) -> float:
        self._window[0, :CONTEXT] = self._window[0, -CONTEXT:]
        self._window[0, CONTEXT:] = hop.astype(np.float32) / np.float32(32768)
        probability, self._state = self._model(self._window, self._state)
        return probability
