"""Recordings of people speaking, and where in them they speak: WAV files with Audacity's label tracks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from streams.media.audio import Samples
from streams.media.vad import PauseDetectionModel, SileroVadOptions

UTTERANCE_GAP = 1.5
"""Seconds of silence that separate utterances where nobody has labelled them."""


class UnreadableRecording(ValueError):
    """A recording or its labels make no sense; the message names the file and says why."""


@dataclass(frozen=True)
class Utterance:
    """What somebody says before they want an answer, in seconds of the recording."""

    begin: float
    end: float
    text: str = ""


@dataclass(frozen=True, eq=False)
class Recording:
    name: str
    rate: int
    samples: Samples
    utterances: tuple[Utterance, ...]
    derived: bool = False
    """Whether silence, and no person, told the utterances apart."""

    @property
    def seconds(self) -> float:
        return self.samples.size / self.rate


def find_recordings(directory: Path) -> list[Path]:
    """Return the WAV files below a directory, by name."""
    return sorted(path for path in directory.rglob("*") if path.suffix.lower() == ".wav")


def read_recording(path: Path, name: str, vad: PauseDetectionModel) -> Recording:
    """Read NAME.wav, and its utterances from NAME.txt; without one, ``vad`` finds them. Raises UnreadableRecording."""
    rate, samples = read_wav(path)
    labels = path.with_suffix(".txt")
    if labels.exists():
        return Recording(name, rate, samples, read_labels(labels))
    return Recording(name, rate, samples, derive_utterances(rate, samples, vad), derived=True)


def read_wav(path: Path) -> tuple[int, Samples]:
    """Read a file of any sample format as (sample rate, mono int16). Raises UnreadableRecording."""
    try:
        with av.open(path) as file:
            rate = file.streams.audio[0].rate
            to_mono = av.AudioResampler(format="s16", layout="mono")
            decoded = [part for frame in file.decode(audio=0) for part in to_mono.resample(frame)]
    except IndexError:
        raise UnreadableRecording(f"{path.name} has no sound in it.") from None
    except (OSError, av.FFmpegError) as error:
        raise UnreadableRecording(f"{path.name} cannot be read: {error.strerror}.") from error
    if not decoded:
        raise UnreadableRecording(f"{path.name} has no sound in it.")
    return rate, np.concatenate([frame.to_ndarray()[0] for frame in decoded])


def read_labels(path: Path) -> tuple[Utterance, ...]:
    """Read an Audacity label track: lines of start, end and text, with tabs between. Raises UnreadableRecording.

    Labels without length mark no utterance and are left out, as are the frequencies that Audacity puts on lines with a
    backslash. A track without any label says that nobody speaks.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableRecording(f"{path.name} cannot be read as text in UTF-8.") from error
    utterances = sorted(_labels(path.name, lines), key=lambda utterance: utterance.begin)
    for before, after in pairwise(utterances):
        if after.begin < before.end:
            raise UnreadableRecording(f"{path.name}: the labels at {before.begin:g} s and {after.begin:g} s overlap.")
    return tuple(utterances)


def _labels(name: str, lines: list[str]) -> Iterator[Utterance]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("\\"):
            continue
        begin, _, rest = line.partition("\t")
        end, _, text = rest.partition("\t")
        try:
            utterance = Utterance(float(begin.replace(",", ".")), float(end.replace(",", ".")), text.strip())
        except ValueError:
            raise UnreadableRecording(
                f"{name}, line {number}: expected start, end and text, with tabs between."
            ) from None
        if not 0 <= utterance.begin <= utterance.end < float("inf"):
            raise UnreadableRecording(f"{name}, line {number}: a label must end after it begins.")
        if utterance.end > utterance.begin:
            yield utterance


def derive_utterances(rate: int, samples: Samples, vad: PauseDetectionModel) -> tuple[Utterance, ...]:
    """Take speech for one utterance until UTTERANCE_GAP of silence."""
    options = SileroVadOptions(min_silence_duration_ms=round(UTTERANCE_GAP * 1e3), speech_pad_ms=0)
    _, found = vad.vad((rate, samples), options)
    return tuple(Utterance(part["start"] / rate, part["end"] / rate) for part in found)
