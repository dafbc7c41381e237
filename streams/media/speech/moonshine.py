"""Moonshine: English speech recognition by onnxruntime alone.

Source: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", arXiv 2410.15608;
the weights are the quantised ones its authors publish for browsers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.media import weights
from streams.media.audio import Samples, audio_to_float32, resample, to_mono
from streams.media.vad import SileroVad, SileroVadOptions, get_silero_model

RATE = 16000
START, END = 1, 2
"""Tokens before and after each text."""
TOKENS_PER_SECOND = 6.5
SPARE_TOKENS = 6
"""Nobody talks faster than this, but a word may be several tokens."""
LONGEST = 20.0
"""Seconds heard at once: the model was trained on no more than thirty, and its work grows faster than its audio."""
TAIL = 0.5
"""Seconds of silence after it: who is cut off with the last word is sometimes taken to say it twice."""
SPEECH = SileroVadOptions(
    min_speech_duration_ms=100, max_speech_duration_s=LONGEST, min_silence_duration_ms=100, speech_pad_ms=300
)
"""What is worth recognising. The silence between two such pieces is heard too, where both fit into LONGEST."""

BYTE = re.compile(r"<0x[0-9A-F]{2}>").fullmatch

Floats = NDArray[np.float32]


class Moonshine:
    """A loaded model. Stateless, so all sessions share one; several threads may call it at once.

    encoder, decoder: ONNX files, ``decoder_model_merged``; tokenizer: its JSON file. detector: finds the speech, for
    of anything else the model makes words too.
    """

    def __init__(self, encoder: str, decoder: str, tokenizer: str, detector: SileroVad) -> None:
        self._encoder = _session(encoder)
        self._decoder = _session(decoder)
        self._pieces = _pieces(tokenizer)
        self._detector = detector
        shapes = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._nothing = {name: _empty(shape) for name, shape in shapes.items() if name.startswith("past_key_values")}
        outputs = [each.name for each in self._decoder.get_outputs() if each.name.startswith("present")]
        self._first_step = outputs
        # What was heard stays as the first step found it.
        self._next_steps = [name for name in outputs if ".decoder." in name]

    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        """Return what is said in (rate, array of shape (n,), (1, n) or (2, n), int16 or float in [-1, 1]).

        Where nobody speaks it is "". Raises TypeError for another dtype, ValueError for another shape.
        """
        rate, samples = audio
        mono = to_mono(samples)
        if not mono.size:
            return ""
        heard = resample(mono, rate, RATE)
        texts = [self._recognise(part) for part in self._spoken(heard)]
        return " ".join(text for text in texts if text)

    def warmup(self) -> None:
        """Do once what takes longer the first time."""
        self._recognise(np.zeros(RATE, np.int16))

    def _spoken(self, heard: Samples) -> list[Samples]:
        """The parts with speech in them, each as long as may be."""
        parts: list[tuple[int, int]] = []
        for chunk in self._detector.vad((RATE, heard), SPEECH)[1]:
            if parts and chunk["end"] - parts[-1][0] <= LONGEST * RATE:
                parts[-1] = (parts[-1][0], chunk["end"])
            else:
                parts.append((chunk["start"], chunk["end"]))
        return [heard[start:end] for start, end in parts]

    def _recognise(self, speech: Samples) -> str:
        most = ceil(speech.size / RATE * TOKENS_PER_SECOND) + SPARE_TOKENS
        tokens = self._decode(np.pad(audio_to_float32(speech), (0, round(TAIL * RATE))), most)
        return b"".join(self._pieces[token] for token in tokens).decode(errors="replace").strip()

    def _decode(self, speech: Floats, most: int) -> list[int]:
        """The likeliest token after the other, until the end or ``most`` of them."""
        (hidden,) = self._encoder.run(None, {"input_values": speech[None]})
        tokens: list[int] = []
        memory, wanted = dict(self._nothing), self._first_step
        while len(tokens) < most:
            last = tokens[-1] if tokens else START
            inputs = {"input_ids": np.array([[last]], np.int64), "encoder_hidden_states": hidden, **memory}
            scores, *present = self._decoder.run(
                ["logits", *wanted], {**inputs, "use_cache_branch": np.array([bool(tokens)])}
            )
            token = likeliest(scores[0, -1], first=not tokens)
            if token == END:
                break
            tokens.append(token)
            if surplus := repeated(tokens):
                return tokens[:-surplus]
            memory |= {_past(name): value for name, value in zip(wanted, present, strict=True)}
            wanted = self._next_steps
        return tokens


def likeliest(scores: Floats, first: bool) -> int:
    """The token with the highest score. That nothing was said at all must be likelier than all words together."""
    chances = np.exp(scores - scores.max())
    if first and chances[END] < chances.sum() / 2:
        chances[END] = 0.0
    return int(chances.argmax())


def repeated(tokens: list[int]) -> int:
    """Count the tokens at the end that say again and again what those before them said: a loop the model is caught in.

    Four times the same is a loop, and twelve tokens of it: "no, no, no, no" may have been said.
    """
    for length in range(1, len(tokens) // 4 + 1):
        times = max(4, ceil(12 / length))
        if tokens[-times * length :] == tokens[-length:] * times:
            return (times - 1) * length
    return 0


@dataclass(frozen=True)
class Pretrained:
    """Loads the weights of one size. Calling it raises weights.WeightsMissing, and so does `check`."""

    size: str

    def __call__(self) -> Moonshine:
        encoder, decoder, tokenizer = map(str, self._files())
        model = Moonshine(encoder, decoder, tokenizer, get_silero_model())
        model.warmup()
        return model

    def check(self) -> None:
        self._files()

    def _files(self) -> list[Path]:
        parts = (f"moonshine-{self.size}-encoder", f"moonshine-{self.size}-decoder", "moonshine-tokenizer")
        return weights.paths(*parts)


tiny = Pretrained("tiny")
"""27 million parameters."""
base = Pretrained("base")
"""62 million parameters: twice the work, fewer mistakes."""


def _session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _empty(shape: list[Any]) -> Floats:
    """A memory of nothing: of its sizes only the batch and the length are free."""
    _, heads, _, width = shape
    return np.zeros((0, heads, 1, width), np.float32)


def _pieces(tokenizer: str) -> dict[int, bytes]:
    """The UTF-8 that each token stands for, out of the tokenizer's JSON: BPE with bytes for what it has no word of."""
    content = json.loads(Path(tokenizer).read_text(encoding="utf-8"))
    pieces = {token: piece.replace("▁", " ").encode() for piece, token in content["model"]["vocab"].items()}
    pieces |= {token: bytes([int(piece[3:5], 16)]) for piece, token in content["model"]["vocab"].items() if BYTE(piece)}
    return pieces | {added["id"]: b"" for added in content["added_tokens"]}  # marks, and no text


def _past(name: str) -> str:
    return name.replace("present", "past_key_values")
