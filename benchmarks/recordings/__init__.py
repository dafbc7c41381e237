"""Recordings whose utterances are labelled by hand, for tuning turn taking and for reporting on it.

``load("report")`` gives the clips for published figures, ``load("tune")`` those that settings may be fitted to; no
voice is in both. Only the label tracks are in the repository: the sound comes out of pinned registry packages
(``catalogue``, ``packages``) or of a synthesiser (``synthetic``). Sounds that are no speech are in ``noises``.

An utterance is what deserves exactly one answer, at its end. Pauses inside it, however long, belong to it when the
speaker goes on with the same thought: a clause continued after "uh", a reader's comma, an item of a list, a passage
read as one. Somebody who answers in such a pause cuts in.

Ends were set by looking at waveform and spectrogram: where the last sound of the last word ends, to about 20 ms. The
echo of a hall, breath, clicks and lips after it are not speech; a final "s" and the burst of a final "t" are.

Label tracks are those of Audacity: start, end, text, separated by tabs, in seconds of the clip as ``load`` returns it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.recordings.audio import sound
from benchmarks.recordings.catalogue import CLIPS, Clip, Kind, Split
from benchmarks.recordings.synthetic import PHRASES, Phrase, spoken
from streams.media.audio import Samples

LABELS = Path(__file__).parent / "labels"


@dataclass(frozen=True)
class Recording:
    name: str
    kind: Kind
    split: Split
    rate: int
    samples: Samples  # int16, (samples,)
    utterances: list[tuple[float, float, str]]  # start and end in seconds, what is said

    @property
    def seconds(self) -> float:
        return self.samples.size / self.rate


def load(split: Split | Literal["all"] = "all", kind: Kind | Literal["all"] = "all") -> list[Recording]:
    """The clips of a split, fetched at the first use. Raises FetchFailed."""
    clips = [_recording(clip) for clip in CLIPS if split in ("all", clip.split) and kind in ("all", clip.kind)]
    phrases = PHRASES if split != "report" and kind in ("all", "synthetic") else []
    return clips + [_synthesis(phrase) for phrase in phrases]


def labels(name: str) -> list[tuple[float, float, str]]:
    """A clip's utterances."""
    lines = (LABELS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [(float(start), float(end), text) for start, end, text in (line.split("\t") for line in lines)]


def _recording(clip: Clip) -> Recording:
    rate, samples = sound(clip)
    return Recording(clip.name, clip.kind, clip.split, rate, samples, labels(clip.name))


def _synthesis(phrase: Phrase) -> Recording:
    rate, samples, utterance = spoken(phrase)
    return Recording(phrase.name, "synthetic", "tune", rate, samples, [utterance])
