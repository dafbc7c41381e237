"""Phrases spoken by the synthesiser flite, whose ends are known from the synthesis: orders, questions, hesitations.

Nothing is installed: flite and its voices are read out of their Debian packages. All are for tuning. A hesitation is
two or three syntheses with silence between them.
"""

import os
import re
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.recordings.audio import LEAD, room_silence, surrounded
from benchmarks.recordings.packages import Package, unpacked
from streams.media.audio import Samples

_FLITE = Package("debian", "flite", "2.2-5", "BSD-style")
_VOICES = Package("debian", "libflite1", "2.2-5", "BSD-style")


@dataclass(frozen=True)
class Phrase:
    title: str
    voice: str
    parts: tuple[str, ...]
    pause: float = 0.0  # seconds between the parts
    stretch: float = 1.0  # of durations; less is quicker

    @property
    def name(self) -> str:
        return f"{self.voice}-{self.title}"


PHRASES = [
    # About 250 ms of voice.
    Phrase("yes", "slt", ("Yes.",), stretch=0.65),
    Phrase("no", "awb", ("No.",), stretch=0.9),
    Phrase("stop", "slt", ("Stop.",), stretch=0.65),
    Phrase("stop", "rms", ("Stop.",), stretch=0.65),
    Phrase("yes", "kal", ("Yes.",), stretch=0.65),
    Phrase("no", "rms", ("No.",), stretch=0.85),
    # Complete.
    Phrase("thanks", "slt", ("Thank you, that is all I wanted to know.",)),
    Phrase("rain", "slt", ("Is it going to rain tomorrow?",)),
    Phrase("museum", "awb", ("Could you tell me the address of the museum?",)),
    Phrase("light", "awb", ("Switch the light in the kitchen off.",)),
    Phrase("train", "kal", ("What time does the last train leave?",)),
    Phrase("password", "rms", ("How do I change my password?",)),
    Phrase("bill", "kal", ("I have paid the bill already.",)),
    Phrase("parcel", "rms", ("The parcel has not arrived yet.",)),
    # Hesitating.
    Phrase("table", "slt", ("I would like to book", "a table for two."), pause=0.8),
    Phrase("wednesday", "awb", ("I think the meeting is on", "Wednesday, or maybe Thursday."), pause=0.6),
    Phrase("number", "awb", ("My number is four, seven,", "two, nine, one."), pause=1.0),
    Phrase("street", "rms", ("Please send the parcel to", "seventeen Market Street."), pause=0.9),
    Phrase("shopping", "rms", ("We need some bread,", "two bottles of milk,", "and a dozen eggs."), pause=0.8),
    Phrase("problem", "kal", ("The problem is that", "the light does not switch off."), pause=0.7),
]


@dataclass(frozen=True)
class Synthesis:
    rate: int
    samples: Samples
    start: float  # of its first sound, in seconds
    end: float  # of its last; the voice fades after that
    sounds: tuple[float, ...] = ()  # the end of each

    @property
    def said(self) -> Samples:
        return self.samples[round(self.start * self.rate) :]


def spoken(phrase: Phrase) -> tuple[int, Samples, tuple[float, float, str]]:
    """(rate, samples, utterance) of the phrase between its silences. Raises FetchFailed."""
    first, *others = (synthesis(phrase, part) for part in phrase.parts)
    rate, room = first.rate, first.samples
    said, end = first.said, first.end - first.start
    for part in others:
        end += phrase.pause
        silence = room_silence(room, rate, round(end * rate) - said.size).astype(np.int16)
        said = np.concatenate([said, silence, part.said])
        end += part.end - part.start
    return rate, surrounded(said, rate, room), (LEAD, LEAD + end, " … ".join(phrase.parts))


def synthesis(phrase: Phrase, text: str) -> Synthesis:
    command = unpacked(_FLITE) / "usr/bin/flite"
    libraries = next(unpacked(_VOICES).glob("usr/lib/*/libflite.so.1")).parent
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "speech.wav")
        options = ["-voice", phrase.voice, "--setf", f"duration_stretch={phrase.stretch}", "-psdur", "-o", str(file)]
        done = subprocess.run(
            [command, *options, "-t", text],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            capture_output=True,
            text=True,
            check=True,
        )
        with wave.open(str(file), "rb") as wav:
            rate, samples = wav.getframerate(), np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")
    return Synthesis(rate, samples, *voiced(done.stdout), tuple(sounds(done.stdout)))


def voiced(segments: str) -> tuple[float, float]:
    """Where speech is in what flite prints: each sound's name and end in seconds, silence being "pau"."""
    found = _segments(segments)
    speech = [number for number, (name, _) in enumerate(found) if name != "pau"]
    return found[speech[0] - 1][1], found[speech[-1]][1]


def sounds(segments: str) -> list[float]:
    """The end of each sound that is no silence, in seconds."""
    return [end for name, end in _segments(segments) if name != "pau"]


def _segments(printed: str) -> list[tuple[str, float]]:
    return [(name, float(end)) for name, end in re.findall(r"(\w+):([\d.]+)", printed)]
