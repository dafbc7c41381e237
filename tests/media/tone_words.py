"""A language for tests: each word is a tone, and a recogniser that understands nothing else."""

from itertools import groupby
from typing import Any

import numpy as np

from streams.media.audio import Samples, to_mono
from tests.media.client import RATE, silence, voice

STEP = 0.02
HEARD = 0.7
"""Share of a word after which it is understood, as recognisers do who guess the rest."""
SECONDS = {"hello": 0.4, "computer": 0.5, "hey": 0.3, "jarvis": 0.5, "ing": 0.1, "over": 0.4, "lights": 0.4, "on": 0.3}
PITCHES = {word: 300 + 150 * number for number, word in enumerate(SECONDS)}
GAP = 0.06


def say(text: str) -> Samples:
    """The words at RATE, with short silences between; "computer-ing" is "computing", as quick to say as "computer"."""
    parts: list[Samples] = []
    for word in text.split():
        begins, *ends = word.split("-")
        parts.append(voice(SECONDS[begins] * (HEARD + 0.05 if ends else 1), pitch=PITCHES[begins]))
        parts += [voice(SECONDS[end], pitch=PITCHES[end]) for end in ends]
        parts.append(silence(GAP))
    return np.concatenate(parts[:-1])


class ToneWords:
    """Writes "computer-ing" as "computing". ``asked``: seconds of audio in each question."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.fails = False

    def stt(self, audio: tuple[int, np.ndarray[Any, Any]]) -> str:
        rate, samples = audio
        assert rate == RATE
        self.asked.append(samples.size / rate)
        if self.fails:
            raise RuntimeError("the key is 1234")
        heard = [(word, len(list(run)) * STEP) for word, run in groupby(self._pitches(to_mono(samples)))]
        words = [word if word else " " for word, seconds in heard if seconds >= SECONDS.get(word, STEP) * HEARD]
        return " ".join("".join(words).split()).replace("computering", "computing").capitalize()

    def _pitches(self, samples: Samples) -> list[str]:
        size = round(STEP * RATE)
        frames = samples[: samples.size // size * size].reshape(-1, size)
        return [self._word(frame) for frame in frames]

    def _word(self, frame: Samples) -> str:
        if np.abs(frame).max() < 1000:
            return ""
        padded = np.abs(np.fft.rfft(frame * np.hanning(frame.size), 8 * frame.size))
        pitch = (padded[20:].argmax() + 20) * RATE / (8 * frame.size)
        return min(PITCHES, key=lambda word: abs(PITCHES[word] - pitch))
