"""How well do settings take turns on labelled recordings? Offline, in media time, far faster than real time."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from streams.media.audio import FRAME_SECONDS, Samples
from streams.media.patience import Patience
from streams.media.pauses import (
    AlgoOptions,
    Event,
    PauseDetector,
    SpeechHesitated,
    SpeechPaused,
    SpeechStarted,
)
from streams.media.recordings import Recording, Utterance
from streams.media.smart_turn import EndOfUtteranceModel
from streams.media.vad import (
    ModelSpeech,
    PauseDetectionModel,
    SileroVad,
    SileroVadOptions,
    SpeechProbability,
    get_silero_model,
)

MODEL_DELAY = 0.06
"""Seconds of media time that the end-of-utterance model takes to answer, with its way through a thread."""
TRAILING_SILENCE = 4.0
"""Seconds that are heard after a recording, so that its last utterance can be answered."""


@dataclass(frozen=True)
class Settings:
    algo_options: AlgoOptions = field(default_factory=AlgoOptions)
    model_options: Any = field(default_factory=SileroVadOptions)


@dataclass(frozen=True)
class Hop:
    at: float
    """When the last of it has been received, in seconds."""
    samples: Samples
    probability: float


@dataclass(frozen=True)
class Question:
    """A hesitation about which the end-of-utterance model was asked, and whose answer counted."""

    asked: float
    answered: float
    completeness: float
    """The answer: 0 (broken off) to 1 (complete)."""
    wait: float
    """Seconds of silence to wait for, after this answer and those before it."""


@dataclass(frozen=True)
class Pause:
    """The moment at which the utterance was taken to be over, and a reply would begin. All in seconds."""

    decided: float
    speech_began: float
    speech_ended: float
    captured_from: float
    """Where the audio begins that the reply is given."""
    completeness: float | None = None

    @property
    def waited(self) -> float:
        return self.decided - self.speech_ended

    def hears(self, utterance: Utterance) -> bool:
        return self.speech_began < utterance.end and self.speech_ended > utterance.begin


@dataclass(frozen=True)
class Outcome:
    """What became of one labelled utterance."""

    utterance: Utterance
    answer: Pause | None
    """None: it was missed, nothing was decided between its end and the next utterance."""
    cut_ins: tuple[Pause, ...]
    """Pauses decided while the speaker had not finished."""
    onset_lost: bool
    """Whether the captured audio begins after the utterance does."""

    @property
    def latency(self) -> float | None:
        """Seconds from the labelled end to the decision."""
        return None if self.answer is None else self.answer.decided - self.utterance.end


@dataclass(frozen=True)
class Turns:
    """What was heard in one recording."""

    hops: Sequence[Hop]
    starts: list[float] = field(default_factory=list)
    """When it became certain that somebody talks."""
    questions: list[Question] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """One recording by its labels, or by ``add`` several together."""

    outcomes: tuple[Outcome, ...]
    false_turns: tuple[Pause, ...]
    """Pauses after sound in which nobody had been labelled to speak."""

    @property
    def latencies(self) -> list[float]:
        return [outcome.latency for outcome in self.outcomes if outcome.latency is not None]

    def latency(self, percent: float) -> float | None:
        """Return the percentile of the seconds from an utterance's end to its answer; None if nothing was answered."""
        return float(np.percentile(self.latencies, percent)) if self.latencies else None

    @property
    def cut_ins(self) -> int:
        return sum(len(outcome.cut_ins) for outcome in self.outcomes)

    @property
    def missed(self) -> int:
        return sum(outcome.answer is None for outcome in self.outcomes)

    @property
    def onsets_lost(self) -> int:
        return sum(outcome.onset_lost for outcome in self.outcomes)

    @property
    def faults(self) -> int:
        return self.cut_ins + self.missed + self.onsets_lost + len(self.false_turns)

    @classmethod
    def add(cls, scores: Iterable[Score]) -> Score:
        together = list(scores)
        return cls(
            tuple(outcome for score in together for outcome in score.outcomes),
            tuple(pause for score in together for pause in score.false_turns),
        )


@dataclass(frozen=True)
class Scored:
    """One recording under one setting."""

    recording: Recording
    turns: Turns
    score: Score


@dataclass(frozen=True)
class Result:
    """All recordings under one setting."""

    settings: Settings
    scored: list[Scored]
    took: float
    """Seconds of work. What the models said is kept, so another setting takes less than the first."""

    @property
    def total(self) -> Score:
        return Score.add(scored.score for scored in self.scored)


class Scorer:
    """Runs recordings through one setting after another.

    model: another voice activity model than Silero. judge: tells whether an utterance is complete; with None, silence
    alone decides. Each recording is a session of its own, in which nobody replies.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        model: PauseDetectionModel | None = None,
        judge: EndOfUtteranceModel | None = None,
        model_delay: float = MODEL_DELAY,
    ) -> None:
        self.recordings = recordings
        self.model_delay = model_delay
        self._model = model or get_silero_model()
        self._is_silero = model is None or isinstance(model, SileroVad)
        self._judge = _Remembering(judge) if judge is not None else None
        self._heard: dict[tuple[Any, ...], list[Hop]] = {}

    def score(self, settings: Settings | None = None) -> Result:
        settings = settings or Settings()
        began = time.perf_counter()
        scored = [self._score(recording, settings) for recording in self.recordings]
        return Result(settings, scored, time.perf_counter() - began)

    def _score(self, recording: Recording, settings: Settings) -> Scored:
        options = settings.algo_options
        judge = self._judge if options.wants_semantic else None
        patience = _WatchedPatience(options.shortest_wait, options.longest_wait) if judge is not None else None
        threshold = {"threshold": settings.model_options.threshold} if self._is_silero else {}
        detector = PauseDetector(recording.rate, options, patience=patience, **threshold)
        turns = _Listener(detector, judge, self.model_delay).listen(self._hops(recording, settings))
        return Scored(recording, turns, score_pauses(recording.utterances, turns.pauses))

    def _hops(self, recording: Recording, settings: Settings) -> list[Hop]:
        chunk = settings.algo_options.audio_chunk_duration
        key = (recording,) if self._is_silero else (recording, chunk, repr(settings.model_options))
        if key not in self._heard:
            speech: SpeechProbability | ModelSpeech
            if self._is_silero:
                speech = SpeechProbability(cast(SileroVad, self._model), recording.rate)
            else:
                speech = ModelSpeech(
                    cast(PauseDetectionModel, self._model), settings.model_options, recording.rate, chunk
                )
            self._heard[key] = list(_hear(recording, speech))
        return self._heard[key]


def _hear(recording: Recording, speech: SpeechProbability | ModelSpeech) -> Iterator[Hop]:
    """As a session does, in frames."""
    trailing = np.zeros(round(TRAILING_SILENCE * recording.rate), np.int16)
    samples = np.concatenate([recording.samples, trailing])
    frame = round(FRAME_SECONDS * recording.rate)
    for end in range(frame, samples.size + 1, frame):
        for hop, probability in speech.push(samples[end - frame : end]):
            yield Hop(end / recording.rate, hop, probability)


class _Remembering:
    """An end-of-utterance model that is asked once about the same audio."""

    def __init__(self, model: EndOfUtteranceModel) -> None:
        self._model = model
        self._answers: dict[tuple[int, bytes], float] = {}

    def completeness(self, samples: Samples, rate: int) -> float:
        key = (rate, hashlib.blake2b(samples.tobytes()).digest())
        if key not in self._answers:
            self._answers[key] = self._model.completeness(samples, rate)
        return self._answers[key]


class _WatchedPatience(Patience):
    """Tells the wait that the detector was given."""

    granted: float | None = None

    def wait(self, completeness: float) -> float:
        self.granted = super().wait(completeness)
        return self.granted


class _Listener:
    """One detector through one recording; what the model answers comes late, as it does in life."""

    def __init__(self, detector: PauseDetector, judge: EndOfUtteranceModel | None, delay: float) -> None:
        self._detector = detector
        self._judge = judge
        self._delay = delay
        self._asked: deque[tuple[float, SpeechHesitated]] = deque()
        self._turns = Turns([])

    def listen(self, hops: Sequence[Hop]) -> Turns:
        self._turns = Turns(hops)
        for hop in hops:
            while self._asked and self._asked[0][0] + self._delay <= hop.at:
                self._answer(*self._asked.popleft())
            self._note(self._detector.push(hop.samples, hop.probability), hop.at)
        return self._turns

    def _answer(self, asked: float, hesitation: SpeechHesitated) -> None:
        patience = self._detector.patience
        if self._judge is None or not isinstance(patience, _WatchedPatience):
            return
        completeness = self._judge.completeness(hesitation.audio, self._detector.rate)
        now, patience.granted = asked + self._delay, None
        events = self._detector.answer(hesitation.number, completeness)
        if patience.granted is not None:  # else the speaker has gone on, and the answer did not count
            self._turns.questions.append(Question(asked, now, completeness, patience.granted))
        self._note(events, now)

    def _note(self, events: list[Event], now: float) -> None:
        for event in events:
            match event:
                case SpeechStarted():
                    self._turns.starts.append(now)
                case SpeechHesitated():
                    self._asked.append((now, event))
                case SpeechPaused():
                    captured = event.decided - event.audio.size / self._detector.rate
                    self._turns.pauses.append(Pause(now, event.began, event.at, captured, event.completeness))


def score_pauses(utterances: Sequence[Utterance], pauses: Sequence[Pause]) -> Score:
    """Hold the pauses that were decided against the utterances that were labelled; both in order of time."""
    heard = [pause for pause in pauses if any(pause.hears(utterance) for utterance in utterances)]
    nexts = [*(utterance.begin for utterance in utterances[1:]), float("inf")]
    outcomes = [_outcome(utterance, until, heard) for utterance, until in zip(utterances, nexts, strict=False)]
    return Score(tuple(outcomes), tuple(pause for pause in pauses if pause not in heard))


def _outcome(utterance: Utterance, until: float, pauses: Sequence[Pause]) -> Outcome:
    own = [pause for pause in pauses if pause.hears(utterance)]
    return Outcome(
        utterance,
        answer=next((pause for pause in own if utterance.end <= pause.decided <= until), None),
        cut_ins=tuple(pause for pause in pauses if utterance.begin < pause.decided < utterance.end),
        onset_lost=bool(own) and own[0].captured_from > utterance.begin,
    )
