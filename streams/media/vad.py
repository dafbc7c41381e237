"""Voice activity as a stream: Silero VAD v6, one ONNX session for all, the state per listener."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from streams.media import weights
from streams.media.audio import Chunker, Resampler, Samples, to_mono

RATE = 16000
HOP = 512
"""Samples per decision at 16 kHz: 32 ms."""
CONTEXT = 64
"""Samples of the hop before that the model sees again."""


@dataclass(frozen=True)
class SileroVadOptions:
    """How the model's probabilities become speech.

    threshold: probability from which a hop is speech; it stays speech down to 0.15 less
    The others shape what ``SileroVad.vad`` finds in a whole recording; turn taking has AlgoOptions for them:
    min_speech_duration_ms: shorter speech is left out
    max_speech_duration_s: longer speech is cut
    min_silence_duration_ms: a shorter silence does not end speech
    speech_pad_ms: added to both ends
    window_size_samples: accepted because FastRTC does; this model's window is fixed
    """

    threshold: float = 0.5
    min_speech_duration_ms: int = 250
    max_speech_duration_s: float = float("inf")
    min_silence_duration_ms: int = 2000
    window_size_samples: int = 1024
    speech_pad_ms: int = 400


class AudioChunk(TypedDict):
    """Where speech is in a recording, in samples of the recording."""

    start: int
    end: int


class PauseDetectionModel(Protocol):
    """A voice activity model of somebody else's, as FastRTC knows them."""

    def vad(self, audio: tuple[int, NDArray[Any]], options: Any) -> tuple[float, list[AudioChunk]]:
        """Return the seconds of speech in (sample rate, int16 or float32 array), and where it is."""

    def warmup(self) -> None:
        """Called once before the model is used."""


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

    def vad(
        self, audio: tuple[int, NDArray[Any]], options: SileroVadOptions | None = None
    ) -> tuple[float, list[AudioChunk]]:
        """Find the speech in a whole recording: its seconds, and where it is in samples."""
        rate, samples = audio
        options = options or SileroVadOptions()
        mono = to_mono(samples)
        padded = np.concatenate([mono, np.zeros(HOP * rate // RATE + rate // 50, np.int16)])
        probabilities = [probability for _, probability in SpeechProbability(self, rate).push(padded)]
        chunks = _speech_chunks(probabilities, HOP / RATE, mono.size / rate, options)
        found = [AudioChunk(start=int(start * rate), end=int(end * rate)) for start, end in chunks]
        return sum(end - start for start, end in chunks), found

    def warmup(self) -> None:
        self(np.zeros((1, CONTEXT + HOP), np.float32), np.zeros((2, 1, 128), np.float32))


def _speech_chunks(
    probabilities: list[float], hop: float, length: float, options: SileroVadOptions
) -> list[tuple[float, float]]:
    """(start, end) in seconds."""
    chunks: list[tuple[float, float]] = []
    start: float | None = None
    last = 0.0
    for number, probability in enumerate(
        [*probabilities, *[0.0] * (int(options.min_silence_duration_ms / 1e3 / hop) + 2)]
    ):
        now = number * hop
        if probability >= options.threshold - (0.0 if start is None else 0.15):
            start = now if start is None else start
            last = now + hop
        if start is not None and (
            now + hop - last >= options.min_silence_duration_ms / 1e3 or last - start >= options.max_speech_duration_s
        ):
            chunks.append((start, last))
            start = None
    return _padded([c for c in chunks if c[1] - c[0] >= options.min_speech_duration_ms / 1e3], length, options)


def _padded(chunks: list[tuple[float, float]], length: float, options: SileroVadOptions) -> list[tuple[float, float]]:
    """Add ``speech_pad_ms`` to both ends, half of the pause where two would overlap."""
    edges = [0.0, *(edge for chunk in chunks for edge in chunk), length]
    pad = options.speech_pad_ms / 1e3
    pads = [
        min(pad, (after - before) / (1 if number in (0, len(chunks)) else 2))
        for number, (before, after) in enumerate(zip(edges[::2], edges[1::2], strict=True))
    ]
    return [(start - pads[number], end + pads[number + 1]) for number, (start, end) in enumerate(chunks)]


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


class ModelSpeech:
    """Speech of one stream by a PauseDetectionModel, which judges ``chunk_seconds`` of audio at a time.

    ``push`` returns (hop, 1.0 or 0.0) for each 32 ms of a chunk that is complete; it runs the model, which may take
    long, so it does not belong in the event loop.
    """

    def __init__(self, model: PauseDetectionModel, options: Any, rate: int, chunk_seconds: float) -> None:
        self.rate = rate
        self._model = model
        self._options = options
        self._chunk = int(rate * chunk_seconds)
        self._heard = Chunker()

    def push(self, samples: Samples) -> list[tuple[Samples, float]]:
        self._heard.push(samples)
        hops: list[tuple[Samples, float]] = []
        while (chunk := self._heard.take(self._chunk)) is not None:
            hops += self._judge(chunk)
        return hops

    def _judge(self, chunk: Samples) -> list[tuple[Samples, float]]:
        seconds, found = self._model.vad((self.rate, chunk[None, :]), self._options)
        speech = np.zeros(chunk.size, bool)
        for part in found or [AudioChunk(start=0, end=int(seconds * self.rate))]:
            speech[part["start"] : part["end"]] = True
        size = HOP * self.rate // RATE
        return [
            (chunk[at : at + size], float(speech[at : at + size].mean() >= 0.5)) for at in range(0, chunk.size, size)
        ]
