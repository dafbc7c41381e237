"""Kokoro, 82 million parameters, by the package ``kokoro-onnx``. Its weights are in no package registry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.media import weights
from streams.media.audio import Samples, to_mono
from streams.media.speech.engines import need_package
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer
from streams.media.weights import WeightsMissing

RATE = 24000
MODEL, VOICES = "kokoro-v1.0.onnx", "voices-v1.0.bin"
"""The files' names at github.com/thewh1teagle/kokoro-onnx/releases."""


@dataclass
class KokoroTTSOptions:
    """voice: its first letter is the language's, a for American · speed: 0.5 to 2 · lang: how the text is pronounced

    Voices: huggingface.co/hexgrad/Kokoro-82M, VOICES.md. Raises ValueError.
    """

    voice: str = "af_heart"
    speed: float = 1.0
    lang: str = "en-us"

    def __post_init__(self) -> None:
        if not 0.5 <= self.speed <= 2.0:
            raise ValueError(f"Kokoro's speed is 0.5 to 2, not {self.speed}.")


class KokoroTTS(Synthesizer[KokoroTTSOptions]):
    """model_path, voices_path: the weights; by default under their names in the directory of all weights.

    Raises engines.EngineUnavailable without the package, weights.WeightsMissing without the files.
    """

    options_class = KokoroTTSOptions

    def __init__(self, model_path: str | Path = "", voices_path: str | Path = "") -> None:
        model, voices = self.check(model_path, voices_path)
        from kokoro_onnx import Kokoro

        self._kokoro = Kokoro.from_session(_session(model), str(voices))

    @staticmethod
    def check(model_path: str | Path = "", voices_path: str | Path = "") -> tuple[Path, Path]:
        """Return the files of model and voices. Raises what the class raises."""
        need_package("kokoro_onnx", "Kokoro is missing. Run: pip install 'django-rtc-streams[kokoro]'")
        model = _found(Path(model_path or weights.directory() / MODEL))
        return model, _found(Path(voices_path or weights.directory() / VOICES))

    def rate(self, options: KokoroTTSOptions) -> int:
        return RATE

    def say(self, text: str, options: KokoroTTSOptions) -> Samples:
        try:
            audio, _ = self._kokoro.create(text, voice=options.voice, speed=options.speed, lang=options.lang)
        except Exception as error:
            raise SynthesisFailed(f"Kokoro could not say “{text[:60]}”. {type(error).__name__}: {error}") from error
        return to_mono(audio)


def _found(path: Path) -> Path:
    if not path.is_file():
        raise WeightsMissing(
            f"Kokoro's file {path} is not there. Get {MODEL} and {VOICES} from "
            f"github.com/thewh1teagle/kokoro-onnx/releases, and put them there or say where they are."
        )
    return path


def _session(path: Path) -> Any:
    """One core stays for those who are being heard."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 1) - 1)
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
