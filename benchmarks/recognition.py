"""Word error rate and speed of the recognisers: ``python -m benchmarks.recognition``. See benchmarks/README.md."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.recordings import held_out, load
from benchmarks.recordings.catalogue import CLIPS
from benchmarks.recordings.synthetic import Phrase, synthesis
from benchmarks.word_errors import errors, words
from streams.media import weights
from streams.media.audio import Samples
from streams.media.speech.recognition import SpeechToText, get_stt_model
from streams.media.speech.synthesis import get_tts_model

MODELS = ("moonshine/tiny", "moonshine/base")
AROUND = (0.3, 0.5)
"""Seconds before and after an utterance that are heard too, as a handler gets them."""
CLEAN = {"novel", "cards", "order", "cities", "beckett", "president", "prompt"}
"""Speakers into a microphone of their own."""
FAR = {"lecturer", "caller", "called", "meeting"}
"""In a hall, in a telephone call, in a meeting."""
FLITE = ("slt", "rms", "awb", "kal")


@dataclass(frozen=True)
class Spoken:
    group: str
    text: str
    rate: int
    samples: Samples


@dataclass
class Figures:
    wrong: int = 0
    words: int = 0
    seconds: float = 0.0
    work: float = 0.0
    misheard: list[tuple[str, str]] = field(default_factory=list)

    def add(self, spoken: Spoken, heard: str, work: float) -> None:
        wrong, total = errors(spoken.text, heard)
        self.wrong += wrong
        self.words += total
        self.seconds += spoken.samples.size / spoken.rate
        self.work += work
        if wrong:
            self.misheard.append((spoken.text, heard))


def people() -> Iterator[Spoken]:
    speakers = {clip.name: clip.speaker for clip in CLIPS}
    for recording in load(kind="person"):
        speaker = speakers[recording.name]
        if speaker not in CLEAN | FAR:  # they came later, and some of them are held out
            continue
        group = "people, close microphone" if speaker in CLEAN else "people, hall, call, meeting"
        for start, end, text in recording.utterances:
            first, last = (round(at * recording.rate) for at in (max(0.0, start - AROUND[0]), end + AROUND[1]))
            yield Spoken(group, text, recording.rate, recording.samples[first:last])


def nobody_looked_at() -> Iterator[Spoken]:
    for reading in held_out.load():
        yield Spoken(reading.group, reading.text, reading.rate, reading.samples)


def synthetic(texts: list[str]) -> Iterator[Spoken]:
    """What the people say, by each voice."""
    for voice in FLITE:
        for text in texts:
            spoken = synthesis(Phrase("text", voice, (text,)), text)
            yield Spoken(f"flite {voice}", text, spoken.rate, spoken.samples)
    pico = get_tts_model("pico")
    for text in texts:
        rate, samples = pico.tts(text)
        yield Spoken("Pico", text, rate, np.ravel(samples))


def measure(model: SpeechToText, material: list[Spoken]) -> dict[str, Figures]:
    groups: dict[str, Figures] = {}
    for spoken in material:
        began = time.perf_counter()
        heard = model.stt((spoken.rate, spoken.samples))
        groups.setdefault(spoken.group, Figures()).add(spoken, heard, time.perf_counter() - began)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recognition", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="names, separated by commas")
    parser.add_argument("--people", action="store_true", help="without the synthetic voices")
    parser.add_argument("--held-out", action="store_true", help="recordings that nothing was chosen with")
    parser.add_argument("--misheard", action="store_true", help="print each text that has errors")
    options = parser.parse_args()
    for name in ("silero-vad", *(name for name in weights.WEIGHTS if name.startswith("moonshine"))):
        weights.fetch(name)
    material = list(nobody_looked_at()) if options.held_out else list(people())
    if not (options.people or options.held_out):
        material += synthetic(sorted({spoken.text for spoken in material}))
    names = options.models.split(",")
    tables = {}
    for name in names:
        model = get_stt_model(name)
        model.stt((material[0].rate, material[0].samples))  # warm
        tables[name] = measure(model, material)
    print(table(tables))
    if options.misheard:
        for name, groups in tables.items():
            for group, figures in groups.items():
                for said, heard in figures.misheard:
                    print(f"\n{name}, {group}\n  said:  {' '.join(words(said))}\n  heard: {' '.join(words(heard))}")


def table(tables: dict[str, dict[str, Figures]]) -> str:
    groups = list(next(iter(tables.values())))
    lines = [
        "| | words | " + " | ".join(f"{name}: WER | real-time factor" for name in tables) + " |",
        "|---|---|" + "---|---|" * len(tables),
    ]
    for group in groups:
        each = [figures[group] for figures in tables.values()]
        cells = (f"{f.wrong / f.words:.1%} | {f.work / f.seconds:.3f}" for f in each)
        lines.append(f"| {group} | {each[0].words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
