"""SVOX Pico, a small synthesiser of 2009 in C: six languages in the package, more than 100 times faster than speech."""

from __future__ import annotations

import ctypes
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from streams.media.audio import Samples
from streams.media.speech.engines import EngineUnavailable, need_package
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer

RATE = 16000
LANGUAGES = ("en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it-IT")
LOUDNESS = 50
"""Percent: at its own hundred, most of the voices clip."""
BEFORE, AFTER = round(0.05 * RATE), round(0.25 * RATE)
"""Samples of silence around a sentence. Pico leaves up to 0.15 s before and 0.7 s after it, and a faint click."""


@dataclass(frozen=True)
class PicoTTSOptions:
    """language: one of LANGUAGES, each has one voice · speed: 0.2 to 5 · pitch: 0.5 to 2
    · volume: 0 to 2

    Raises ValueError.
    """

    language: str = "en-US"
    speed: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(f"Pico does not speak {self.language}. It speaks {', '.join(LANGUAGES)}.")
        for name, least, most in [("speed", 0.2, 5), ("pitch", 0.5, 2), ("volume", 0, 2)]:
            if not least <= (value := getattr(self, name)) <= most:
                raise ValueError(f"Pico's {name} is {least} to {most}, not {value}.")


class PicoTTS(Synthesizer[PicoTTSOptions]):
    """Needs the package ``ttspico``. A voice cannot say two things at once, so each thread that speaks borrows one."""

    options_class = PicoTTSOptions

    def __init__(self) -> None:
        self._idle: dict[str, queue.LifoQueue[Any]] = {language: queue.LifoQueue() for language in LANGUAGES}
        with self._voice(PicoTTSOptions.language):  # what is missing is said now, and the first reply need not wait
            pass

    @staticmethod
    def check() -> None:
        need_package("ttspico", "Pico's voices are missing. Run: pip install ttspico")

    def rate(self, options: PicoTTSOptions) -> int:
        return RATE

    def say(self, text: str, options: PicoTTSOptions) -> Samples:
        buffers: list[bytes] = []
        with self._voice(options.language) as voice:
            voice.rate = round(100 * options.speed)
            voice.pitch = round(100 * options.pitch)
            voice.volume = round(LOUDNESS * options.volume)
            try:
                # Pico takes what is between < and > for its own markup.
                voice.speak(text.translate({ord("<"): " ", ord(">"): " "}), lambda _, pcm, last: buffers.append(pcm))
            except RuntimeError as error:
                raise SynthesisFailed(f"Pico could not say “{text[:60]}”.") from error
        samples = np.frombuffer(b"".join(buffers), np.int16)
        _release(buffers)
        return _trimmed(samples)

    @contextmanager
    def _voice(self, language: str) -> Iterator[Any]:
        """A voice that nobody else uses. After an error it is not used again."""
        try:
            voice = self._idle[language].get_nowait()
        except queue.Empty:
            voice = _load(language)
        yield voice
        self._idle[language].put(voice)


def _load(language: str) -> Any:
    PicoTTS.check()
    import ttspico

    try:
        return ttspico.TtsEngine(language)
    except RuntimeError as error:
        raise EngineUnavailable(
            f"Pico's voice {language} is not in {sys.prefix}/languages. Install ttspico in a virtual environment."
        ) from error


def _trimmed(samples: Samples) -> Samples:
    level = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(level > max(50, level.max(initial=0) // 100))
    return samples[max(0, loud[0] - BEFORE) : loud[-1] + AFTER] if loud.size else samples[:0]


def _release(buffers: list[bytes]) -> None:
    """Give up the reference that ttspico 0.3.2 forgets on each buffer, or 32 kB leak with each second of speech."""
    ours = [bytes(bytearray(2))]
    for number, _ in enumerate(buffers):
        if len(buffers[number]) > 1 and sys.getrefcount(buffers[number]) > sys.getrefcount(ours[0]):
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(buffers[number]))
