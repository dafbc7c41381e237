"""Voice activity as a stream: Silero VAD, one ONNX session for all, the state per listener."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from streams.media import weights
from streams.media.audio import Chunker, Decimator, Resampler, Samples, audio_to_float32, to_mono
from streams.media.noise_floor import NoiseFloor

RATE = 16000
HOP = 512
"""Samples per decision at 16 kHz: 32 ms."""
CONTEXTS = {
    frozenset({"input", "state"}): 64,
    frozenset({"input", "state", "sr"}): 64,
    frozenset({"input", "h", "c"}): 64,
    frozenset({"input", "h", "c", "sr"}): 0,
}
"""Samples of the hop before that the model sees again, by the names of its inputs: v5 and v6 want some, v4 none."""

Floats = NDArray[np.float32]


@dataclass
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


DITHER = (1.5e-4 * np.random.default_rng(1).standard_normal(HOP)).astype(np.float32)
"""Five units of int16, -76 dB: after digital silence, which no room has, the model takes doors for speech."""
CATCH_UP = 8
"""Hops of the quiet room that the model hears after all, when something follows."""


class PauseDetectionModel(Protocol):
    """A voice activity model of somebody else's, as FastRTC knows them."""

    def vad(self, audio: tuple[int, NDArray[Any]], options: Any) -> tuple[float, list[AudioChunk]]:
        """Return the seconds of speech in (sample rate, int16 or float32 array of shape (n,)), and where it is.

        Positions may be in samples of another rate than the array's, if the model works at another: the seconds tell.
        """

    def warmup(self) -> None:
        """Called once before the model is used."""


class VadState(NamedTuple):
    """What the model remembers of one listener."""

    context: Floats
    memory: list[Floats]


class SileroVad:
    """A loaded model. Stateless, so every session shares one.

    path: an ONNX file with Silero's interface (github.com/snakers4/silero-vad) at 16 kHz, of any version from v4 on:
        input float32 (1, 512), with 64 samples of the hop before in front from v5 on; the memory as ``state``, or as
        ``h`` and ``c``; in some files ``sr``, int64. Out come the probability and the new memory.

    Raises ValueError for a model of another shape. The 8 kHz branch is not used: some files with ``sr`` have none.
    """

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shapes = {each.name: each.shape for each in self._session.get_inputs()}
        if frozenset(shapes) not in CONTEXTS:
            raise ValueError(
                f"{path} is no Silero VAD: its inputs are {', '.join(shapes)}. Expected are input and state (v5, v6) "
                f"or input, h and c (v4), with or without sr. Wrap another model in a class with vad() and warmup()."
            )
        self._rate = {"sr": np.array(RATE, np.int64)} if "sr" in shapes else {}
        self._names = [name for name in shapes if name not in ("input", "sr")]
        # Only the batch is free in the memory's shape, and it is one.
        memory = [
            np.zeros([size if isinstance(size, int) else 1 for size in shapes[n]], np.float32) for n in self._names
        ]
        self._silence = VadState(np.zeros(CONTEXTS[frozenset(shapes)], np.float32), memory)

    def __call__(self, hop: Floats, state: VadState | None = None) -> tuple[float, VadState]:
        """Return the speech probability of HOP samples in [-1, 1], and the state for the next hop."""
        context, memory = state or self._silence
        window = np.concatenate([context, hop])
        inputs = dict(zip(self._names, memory, strict=True))
        probability, *memory = self._session.run(None, {"input": window[None], **inputs, **self._rate})
        return float(probability.item()), VadState(window[hop.size :], memory)

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
        self(np.zeros(HOP, np.float32))


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


class DecimatedHops:
    """Cuts a stream into hops of 32 ms, each beside itself at 16 kHz. For rates that 16 kHz divides."""

    def __init__(self, rate: int) -> None:
        self._factor = rate // RATE
        self._heard = Chunker()
        self._decimator = Decimator(self._factor)

    def push(self, samples: Samples) -> Iterator[tuple[Samples, Floats]]:
        self._heard.push(samples)
        while (heard := self._heard.take(HOP * self._factor)) is not None:
            yield heard, self._decimator.push(heard) if self._factor > 1 else audio_to_float32(heard)


class ResampledHops:
    """The same for any other rate; hops differ by one sample where the rates do not divide."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._heard = Chunker()
        self._at_16k = Chunker()
        self._resampler = Resampler(rate, RATE)
        self._hops = 0

    def push(self, samples: Samples) -> Iterator[tuple[Samples, Floats]]:
        self._heard.push(samples)
        self._at_16k.push(self._resampler.push(samples))
        while (hop := self._at_16k.take(HOP)) is not None:
            heard = self._heard.take(self._hop_samples())
            if heard is None:  # the resampler never runs ahead of its input
                return
            self._hops += 1
            yield heard, audio_to_float32(hop)

    def _hop_samples(self) -> int:
        step = HOP * self.rate
        return (self._hops + 1) * step // RATE - self._hops * step // RATE


class SpeechProbability:
    """Speech probability of one stream of mono int16 samples at ``rate``, each 32 ms.

    ``push`` yields (hop, probability): the hop is the caller's own samples, unresampled, at ``rate``. The model is not
    asked about hops that are no louder than the room: their probability is 0.
    """

    def __init__(self, model: SileroVad, rate: int) -> None:
        self.rate = rate
        self._model = model
        self._hops = ResampledHops(rate) if rate % RATE else DecimatedHops(rate)
        self._floor = NoiseFloor()
        self._unheard: deque[Floats] = deque(maxlen=CATCH_UP)
        self._state: VadState | None = None

    def push(self, samples: Samples) -> Iterator[tuple[Samples, float]]:
        for heard, hop in self._hops.push(samples):
            yield heard, self._probability(hop)

    def _probability(self, hop: Floats) -> float:
        level = float(np.sqrt(np.dot(hop, hop) / hop.size))
        if self._floor.covers(level):
            self._unheard.append(hop)
            return 0.0
        while self._unheard:  # the model judges a hop by what came just before it
            _, self._state = self._model(self._unheard.popleft() + DITHER, self._state)
        probability, self._state = self._model(hop + DITHER, self._state)
        self._floor.learn(level, probability)
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
        seconds, found = self._model.vad((self.rate, chunk), self._options)
        speech = np.zeros(chunk.size, bool)
        for start, end in self._positions(seconds, found):
            speech[round(start) : round(end)] = True
        size = HOP * self.rate // RATE
        return [
            (chunk[at : at + size], float(speech[at : at + size].mean() >= 0.5)) for at in range(0, chunk.size, size)
        ]

    def _positions(self, seconds: float, found: list[AudioChunk]) -> list[tuple[float, float]]:
        """Where speech is, in samples of the chunk. Models that work at 16 kHz count theirs at 16 kHz."""
        samples = min(seconds * self.rate, float(self._chunk))
        total = sum(part["end"] - part["start"] for part in found)
        if not total:
            return [(0.0, samples)]
        return [(part["start"] * samples / total, part["end"] * samples / total) for part in found]
