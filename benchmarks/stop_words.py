"""Are stop words heard, and only they? ``python -m benchmarks.stop_words`` prints the tables of docs/stop-words.md.

The real handler and the real recogniser listen to phrases and distractors, said by synthetic voices and by people, on
a clock that counts audio and the recogniser's measured time and nothing else: so an hour of talk passes in minutes, and
delays are those of an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.recordings import load, noises
from benchmarks.recordings.audio import LEAD, surrounded
from benchmarks.recordings.synthetic import Phrase, Synthesis, synthesis
from benchmarks.word_errors import errors
from streams.media import weights
from streams.media.audio import Audio, Samples
from streams.media.context import Context
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_stop_words import ReplyOnStopWords
from streams.media.reply_on_words import HEARD
from streams.media.session import Session
from streams.media.speech.espeak import EspeakTTSOptions
from streams.media.speech.pico import PicoTTSOptions
from streams.media.speech.recognition import SpeechToText, get_stt_model
from streams.media.speech.synthesis import get_tts_model
from streams.media.transport import FakeTransport

FLITE = ("slt", "rms", "awb", "kal")
VOICES = (*FLITE, "en-US", "en-GB")
PHRASES = ("listen computer", "question time", "please listen")
REQUESTS = ("what time is it?", "switch the light in the kitchen off.", "is it going to rain tomorrow?")
BEFORE = "I have told you already."
DISTRACTORS = (
    "Listen, commuters have to wait.",
    "Listening to computers is dull.",
    "Listen, come to the market with me.",
    "The computer is on the table.",
    "I am computing the sum of all the bills.",
    "Let us compute her age.",
    "They listened to the commuter train.",
    "Questions of time are difficult.",
    "The question is what time it is.",
    "Questions take time to answer.",
    "It is a question of time and money.",
    "Please, Lisa, open the door.",
    "Please list all the names.",
    "Please let him sleep.",
    "They were pleased to listen.",
)

ALIKE = ("Pleased listeners stay longer.", "Listen, computers are cheap.", "Please lessen the noise.")
"""What sounds like a phrase, or begins as one: shown, and not counted as distractors."""

HELD_OUT_PHRASES = (
    "hello computer",
    "next question",
    "start recording",
    "good evening house",
    "open the window",
    "kitchen radio",
)
HELD_OUT_ALIKE = (
    "Hello, computers are cheap.",
    "Hello, commuters.",
    "The next questions are hard.",
    "Next, quest in hand, they left.",
    "They started recording it.",
    "Start recordings at noon.",
    "Good evening, horse riders.",
    "Good evenings housed us well.",
    "Open the windows now.",
    "Open the window sill.",
    "Kitchen radios are loud.",
    "The kitchen radiator is warm.",
)
HELD_OUT_VOICES = ("awb", "kal", "en-GB", "espeak en-us", "espeak en-gb-scotland")
"""Written down before the recogniser heard them, and not changed afterwards."""


@dataclass(frozen=True)
class Clip:
    name: str
    rate: int
    samples: Samples
    phrase: str = ""
    ends: float = 0.0
    """Seconds until the last sound of the phrase."""
    request: str = ""

    @property
    def voice(self) -> str:
        return self.name.partition(",")[0]


@dataclass
class Heard:
    clip: Clip
    told: list[float] = field(default_factory=list)
    """Seconds in the clip at which ``stopword`` was sent."""
    requests: list[Samples] = field(default_factory=list)
    work: float = 0.0
    """Seconds of recognition."""


# -- what is said ---------------------------------------------------------------------------------------------------


def calls(phrases: Sequence[str], voices: Sequence[str] = VOICES) -> Iterator[Clip]:
    """Each phrase by each voice: with a request in the same breath, without one, and after another sentence."""
    for phrase in phrases:
        for number, voice in enumerate(voices):
            request = REQUESTS[number % len(REQUESTS)]
            yield in_one_breath(phrase, voice, request)
            yield joined(phrase, voice, request, gap=0.25, title="with a short pause")
            yield joined(phrase, voice, request, gap=1.5, title="with a long pause")
            yield joined(phrase, voice, request, gap=0.1, title="after a sentence", before=BEFORE)


def in_one_breath(phrase: str, voice: str, request: str) -> Clip:
    """As one sentence, with its melody and the little pause of a comma."""
    alone, whole = speak(voice, f"{phrase.capitalize()}."), speak(voice, f"{phrase.capitalize()}, {request}")
    said = whole.samples[round(whole.start * whole.rate) : round(whole.end * whole.rate)]
    ends = whole.sounds[len(alone.sounds) - 1] if whole.sounds else first_pause(whole, alone.end - alone.start)
    samples = surrounded(said, whole.rate, whole.samples)
    return Clip(f"{voice}, in one breath", whole.rate, samples, phrase, LEAD + ends - whole.start, request)


def first_pause(whole: Synthesis, about: float) -> float:
    """Where the voice falls silent, near the length of what was said until then; a synthesiser makes that precisely."""
    step = whole.rate // 50
    levels = np.abs(whole.samples[: whole.samples.size // step * step].reshape(-1, step)).max(axis=1)
    first = round((whole.start + 0.6 * about) / 0.02)
    return 0.02 * (first + int(np.argmax(levels[first:] < 0.02 * levels.max())))


def joined(phrase: str, voice: str, request: str, gap: float, title: str, before: str = "") -> Clip:
    parts = [
        speak(voice, text) for text in ([before] if before else []) + [f"{phrase.capitalize()}.", request.capitalize()]
    ]
    rate, room = parts[0].rate, parts[0].samples
    gaps = [np.zeros(round(seconds * rate), np.int16) for seconds in ([0.3] if before else []) + [gap]]
    said = [part.samples[round(part.start * rate) : round(part.end * rate)] for part in parts]
    ends = LEAD + sum(each.size for each in (*said[:-1], *gaps[:-1])) / rate
    pieces = [piece for pair in zip(said, [*gaps, np.zeros(0, np.int16)], strict=True) for piece in pair]
    return Clip(f"{voice}, {title}", rate, surrounded(np.concatenate(pieces), rate, room), phrase, ends, request)


def sentences(texts: Sequence[str], voices: Sequence[str] = VOICES) -> Iterator[Clip]:
    for voice in voices:
        for text in texts:
            spoken = speak(voice, text)
            said = spoken.samples[round(spoken.start * spoken.rate) : round(spoken.end * spoken.rate)]
            yield Clip(f"{voice}: {text}", spoken.rate, surrounded(said, spoken.rate, spoken.samples))


def talk() -> Iterator[Clip]:
    """People, and sounds that are no speech."""
    for recording in [*load(), *noises.load()]:
        yield Clip(recording.name, recording.rate, recording.samples)


def speak(voice: str, text: str) -> Synthesis:
    if voice in FLITE:
        return synthesis(Phrase("text", voice, (text,)), text)
    if voice.startswith("espeak "):
        rate, array = get_tts_model("espeak").tts(text, EspeakTTSOptions(voice=voice.removeprefix("espeak ")))
    else:
        rate, array = get_tts_model("pico").tts(text, PicoTTSOptions(language=voice))
    samples = np.ravel(array)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return Synthesis(rate, samples, loud[0] / rate, (loud[-1] + 1) / rate)


# -- listening ------------------------------------------------------------------------------------------------------


class Listener(ReplyOnStopWords):
    """Recognises at once, and waits as long as it has taken."""

    heard: Heard

    async def _text(self, audio: Samples) -> str:
        began = time.process_time()  # of one thread: what else runs here does not count
        assert self.stt_model is not None
        text = self.stt_model.stt((self.input_sample_rate, audio[-round(HEARD * self.input_sample_rate) :]))
        took = time.process_time() - began
        self.heard.work += took
        await asyncio.sleep(took)
        return text

    def send_stopword(self) -> None:
        self.heard.told.append(self.clock)


class _Selector(selectors.SelectSelector):
    loop: AudioClock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(None if timeout is None else 0)
        if not events and timeout:
            self.loop.now += timeout
        return events


class AudioClock(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


async def listen(clip: Clip, phrases: Sequence[str], model: SpeechToText, tolerance: int) -> Heard:
    heard = Heard(clip)

    async def take(audio: Audio) -> AsyncIterator[None]:
        heard.requests.append(audio[1][0])
        return
        yield

    options = AlgoOptions(end_of_utterance="silence")
    rate = clip.rate
    handler = Listener(
        take, phrases, algo_options=options, input_sample_rate=rate, stt_model=model, tolerance=tolerance
    )
    handler.heard = heard
    Session(handler, FakeTransport(), Context(webrtc_id=clip.name))
    await handler.begin()
    step = rate // 50
    for at in range(0, clip.samples.size - step + 1, step):
        await asyncio.sleep(0.02)
        await handler.handle((rate, clip.samples[None, at : at + step]))
    await asyncio.sleep(5)
    await handler.end()
    return heard


def hear(clip: Clip, phrases: Sequence[str], model: SpeechToText, tolerance: int = 0) -> Heard:
    with asyncio.Runner(loop_factory=AudioClock) as runner:
        return runner.run(listen(clip, phrases, model, tolerance))


# -- tables ---------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stop_words", description=__doc__)
    parser.add_argument("--model", default="moonshine/tiny")
    parser.add_argument("--phrases", default=",".join(PHRASES), help="separated by commas")
    parser.add_argument("--tolerance", type=int, default=0)
    parser.add_argument("--calls", action="store_true", help="without the distractors")
    parser.add_argument("--held-out", action="store_true", help="other phrases, voices and sound-alikes")
    parser.add_argument("--verbose", action="store_true", help="print each clip that went wrong")
    options = parser.parse_args()
    phrases = HELD_OUT_PHRASES if options.held_out else options.phrases.split(",")
    for name in ("silero-vad", *(name for name in weights.WEIGHTS if name.startswith("moonshine"))):
        weights.fetch(name)
    model = get_stt_model(options.model)
    voices = HELD_OUT_VOICES if options.held_out else VOICES
    called = [hear(clip, [clip.phrase], model, options.tolerance) for clip in calls(phrases, voices)]
    print(call_table(called, phrases, model, options.verbose))
    if options.calls:
        return
    material = {"what sounds like a phrase, or begins as one": sentences(HELD_OUT_ALIKE, voices)}
    if not options.held_out:
        material = {
            "sentences like the phrases": sentences(DISTRACTORS),
            "people, and noises": talk(),
            "what sounds like a phrase, or begins as one": sentences(ALIKE),
        }
    print()
    print(distractor_table(material, phrases, model, options.tolerance, options.verbose))


def call_table(called: list[Heard], phrases: Sequence[str], model: SpeechToText, verbose: bool) -> str:
    lines = [
        "| phrase | heard | message after its last sound: median, longest | requests understood |",
        "|---|---|---|---|",
    ]
    for phrase in phrases:
        mine = [heard for heard in called if heard.clip.phrase == phrase]
        delays = [heard.told[0] - heard.clip.ends for heard in mine if heard.told]
        found = sum(len(heard.told) == 1 for heard in mine)
        right = [understood(heard, model, verbose) for heard in mine]
        times = f"{statistics.median(delays):.2f} s, {max(delays):.2f} s" if delays else "–"
        lines.append(f"| {phrase} | {found} of {len(mine)} | {times} | {sum(right)} of {len(right)} |")
        for heard in mine:
            if verbose and len(heard.told) != 1:
                text = model.stt((heard.clip.rate, heard.clip.samples))
                print(f"{phrase}, {heard.clip.name}: told {heard.told}, as a whole heard as {text!r}")
    return "\n".join(lines)


def understood(heard: Heard, model: SpeechToText, verbose: bool) -> bool:
    """Whether the recogniser makes of what the function was called with what it makes of the request alone."""
    texts = [model.stt((heard.clip.rate, request)) for request in heard.requests]
    rate, alone = heard.clip.rate, speak(heard.clip.voice, heard.clip.request.capitalize()).samples
    best = errors(heard.clip.request, model.stt((rate, alone)))[0]
    right = len(texts) == 1 and errors(heard.clip.request, texts[0])[0] <= best
    if verbose and not right:
        print(f"{heard.clip.phrase}, {heard.clip.name}: {heard.clip.request!r} became {texts}")
    return right


def distractor_table(
    material: dict[str, Iterator[Clip]], phrases: Sequence[str], model: SpeechToText, tolerance: int, verbose: bool
) -> str:
    """All phrases are listened for at once."""
    lines = [
        "| listened to | clips | minutes | false alarms | recognition, seconds per second |",
        "|---|---|---|---|---|",
    ]
    for title, clips in material.items():
        results = [hear(clip, phrases, model, tolerance) for clip in clips]
        seconds = sum(heard.clip.samples.size / heard.clip.rate for heard in results)
        alarms = sum(len(heard.told) for heard in results)
        work = sum(heard.work for heard in results)
        lines.append(f"| {title} | {len(results)} | {seconds / 60:.0f} | {alarms} | {work / seconds:.3f} |")
        for heard in results:
            if verbose and heard.told:
                print(f"false alarm at {heard.told}: {heard.clip.name}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
