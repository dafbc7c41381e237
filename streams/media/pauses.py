"""When has somebody started to speak, and when have they finished? Pure: no clock, no model, no audio I/O."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from streams.media.audio import Samples
from streams.media.patience import CONTINUATION, Patience, together

EndOfUtterance = Literal["auto", "semantic", "silence"]


@dataclass
class AlgoOptions:
    """When to take a turn. All values are seconds of audio.

    audio_chunk_duration: the window in which speech is counted; it slides with the audio
    started_talking_threshold: more speech than this within the window, and the user is talking
    speech_threshold: less speech than this within the window, and the user has paused
    max_continuous_speech_s: an utterance this long is answered although the user goes on
    interruption_threshold: this much speech holds a reply that is playing, until it proves to be talking or noise
    pre_roll: audio from before the first speech that is kept, so that no first syllable is lost
    end_of_utterance: "semantic" asks a model at each short silence whether the speaker has finished, and waits between
        ``shortest_wait`` and ``longest_wait`` of silence by its answer; "silence" goes by ``speech_threshold`` alone,
        as FastRTC does; "auto" is semantic where the model is there, unless ``audio_chunk_duration`` or
        ``speech_threshold`` ask for a pause of another length
    """

    audio_chunk_duration: float = 0.6
    started_talking_threshold: float = 0.2
    speech_threshold: float = 0.1
    max_continuous_speech_s: float = float("inf")
    interruption_threshold: float = 0.09
    pre_roll: float = 0.3
    end_of_utterance: EndOfUtterance = "auto"
    shortest_wait: float = 0.13
    longest_wait: float = 0.8

    @property
    def wants_semantic(self) -> bool:
        """Whether the words, and not only the silence, are to decide when the speaker has finished."""
        if self.end_of_utterance == "auto":
            return (self.audio_chunk_duration, self.speech_threshold) == (0.6, 0.1)
        return self.end_of_utterance == "semantic"


@dataclass(frozen=True)
class SpeechSuspected:
    """There may be speech: enough to hold a reply, too little to be sure."""


@dataclass(frozen=True)
class SpeechDismissed:
    """The suspected speech was none."""


@dataclass(frozen=True)
class SpeechStarted:
    at: float
    """Media time of the first speech, in seconds."""


@dataclass(frozen=True)
class SpeechHesitated:
    """The speaker has fallen silent. Ask whether they have finished, and ``answer``."""

    number: int
    audio: Samples
    """The end of the utterance: HEARD seconds at most, with the silence."""


@dataclass(frozen=True)
class SpeechPaused:
    audio: Samples
    """The utterance, from ``pre_roll`` before its first speech to the decision."""
    at: float
    """Media time of the last speech, in seconds."""
    decided: float
    """Media time of the decision."""
    began: float
    """Media time of the first speech."""
    completeness: float | None = None
    """How complete the utterance sounds, 0 to 1; None when silence alone decided."""


Event = SpeechSuspected | SpeechDismissed | SpeechStarted | SpeechHesitated | SpeechPaused


class _State(Enum):
    QUIET = "quiet"
    SUSPECTED = "suspected"
    TALKING = "talking"


class PauseDetector:
    """Turns (samples, speech probability) hops of any length into events.

    ``rate`` is the sample rate of the samples pushed. A hop is speech from ``threshold`` up, and stays speech
    until the probability falls ``HYSTERESIS`` below it. With ``patience``, the detector asks at every silence whether
    the speaker has finished; until it is answered, the silence alone decides.
    """

    HYSTERESIS = 0.15
    ASK_AT = (0.06, 0.16, 0.26, 0.36)
    """Seconds of silence after which it asks: the longer the silence, the better the answer."""
    HEARD = 8.0
    """Seconds of the utterance that are shown with the question."""
    SURE = 0.1
    """Seconds of certain speech in a beginning, too: a cough and a slamming door have less, a short word more."""
    LASTING = 0.93
    """Or this share of the window uncertain speech: somebody far from the microphone, or among others."""
    DISMISS = 0.2
    """Seconds of silence after which suspected speech was none, though it still counts if more of it follows."""
    BLIP = 0.04
    """Seconds of speech that do not end a silence: a breath, a click of the tongue."""
    MURMUR = 0.3
    """Speech probability of what may be the beginning, if speech follows within a pause: an "uh" with half a voice."""
    MURMURED = 1.0
    """Seconds of such a beginning that are kept at most."""

    def __init__(
        self,
        rate: int,
        options: AlgoOptions | None = None,
        threshold: float = 0.5,
        patience: Patience | None = None,
    ) -> None:
        self.rate = rate
        self.options = options or AlgoOptions()
        self.threshold = threshold
        self.patience = patience
        self.clock = 0.0
        """Media time, in seconds."""
        self._hesitations = self._closed = 0
        self._ended: SpeechPaused | None = None
        self.reset()

    @property
    def talking(self) -> bool:
        return self._state is _State.TALKING

    @property
    def speaking(self) -> bool:
        """Whether the last hop was speech."""
        return self._speech

    @property
    def speech_began(self) -> float:
        """Media time of the first speech of the current utterance."""
        return self._speech_began

    @property
    def speech_ended(self) -> float:
        """Media time of its last speech so far."""
        return self._speech_ended

    @property
    def spoken(self) -> float:
        """Seconds of speech in the current utterance."""
        return self._spoken

    def is_open(self, number: int) -> bool:
        """Whether SpeechHesitated ``number`` is the newest, and still wants an answer."""
        return self._closed < number == self._hesitations

    def reset(self) -> None:
        """Forget the current utterance and what was heard before it."""
        self._wait: float | None = None
        self._completeness: float | None = None
        self._state = _State.QUIET
        self._speech = False
        self._held = False
        self._window: deque[tuple[float, float, float]] = deque()  # seconds, of them speech, of them surely speech
        self._window_length = 0.0
        self._window_speech = self._window_sure = 0.0
        self._kept: deque[Samples] = deque()
        self._kept_length = 0.0
        self._run = self._spoken = 0.0
        self._speech_began = self._speech_ended = self.clock
        self._murmur_began = self._murmur_ended = -math.inf
        self._forget_question()

    def captured(self, seconds: float | None = None) -> Samples:
        """The audio of the utterance so far, or its last ``seconds``; what was kept before it when nobody talks."""
        parts: list[Samples] = []
        wanted = float("inf") if seconds is None else seconds * self.rate
        for part in reversed(self._kept):
            if wanted <= 0:
                break
            parts.append(part)
            wanted -= part.size
        return np.concatenate(parts[::-1]) if parts else np.zeros(0, np.int16)

    def forget_before(self, moment: float) -> None:
        """Drop what was said before this media time."""
        while self._kept and self.clock - self._kept_length + self._kept[0].size / self.rate <= moment + 1e-9:
            self._kept_length -= self._kept.popleft().size / self.rate

    def push(self, samples: Samples, probability: float) -> list[Event]:
        hop = samples.size / self.rate
        self.clock += hop
        self._speech = probability >= self.threshold - (self.HYSTERESIS if self._speech else 0.0)
        self._run = self._run + hop if self._speech else 0.0
        self._spoken += hop * self._speech
        self._slide(hop, self._certainty(probability))
        self._follow_murmur(hop, probability)
        self._kept.append(samples)
        self._kept_length += hop
        if self._state is _State.TALKING:
            self._follow_speech()
            return self._while_talking()
        if self._speech:
            self._speech_ended = self.clock
        return self._while_not_talking(hop)

    def answer(self, number: int, completeness: float) -> list[Event]:
        """Take the answer to SpeechHesitated ``number``: 0 (broken off) to 1 (complete). Late answers do not count."""
        if number <= self._closed or self.patience is None or math.isnan(completeness):
            return []
        self._closed = number
        self._answers.append(completeness)
        self._completeness = together(self._answers)
        self._wait = self.patience.wait(self._completeness)
        return self._while_talking()

    def _certainty(self, probability: float) -> float:
        """From 0 at the threshold to 1: a model is sure of words, and in two minds about coughs and doors."""
        return float(max(probability - self.threshold, 0.0) / (1 - self.threshold)) ** 3

    def _slide(self, hop: float, certainty: float) -> None:
        self._window.append((hop, hop * self._speech, hop * certainty))
        self._window_length += hop
        self._window_speech += hop * self._speech
        self._window_sure += hop * certainty
        while self._window_length > self.options.audio_chunk_duration + 1e-9:
            old, speech, sure = self._window.popleft()
            self._window_length -= old
            self._window_speech -= speech
            self._window_sure -= sure

    # -- before an utterance ------------------------------------------------------------------------------------

    def _while_not_talking(self, hop: float) -> list[Event]:
        if self._state is _State.QUIET:
            if not self._speech:
                self._forget_quiet(self.clock)
                return []
            self._state = _State.SUSPECTED
            self._speech_began = self.clock - hop
        self._forget_quiet(max(self._speech_began, self.clock - self._window_length))
        if self._has_begun():
            self._state = _State.TALKING
            self._learn()
            return [SpeechStarted(self._speech_began)]
        if self._window_speech < 1e-9:
            self._state = _State.QUIET
            self._spoken = 0.0
            self._forget_quiet(self.clock)
        if self._held and self.clock - self._speech_ended >= self.DISMISS:
            self._held = False
            return [SpeechDismissed()]
        if self._window_speech > self.options.interruption_threshold and self._speech and not self._held:
            self._held = True
            return [SpeechSuspected()]
        return []

    def _follow_murmur(self, hop: float, probability: float) -> None:
        if probability < self.MURMUR:
            return
        if self.clock - hop - self._murmur_ended > self.options.longest_wait:
            self._murmur_began = self.clock - hop
        self._murmur_ended = self.clock

    def _forget_quiet(self, moment: float) -> None:
        """Drop what was heard before ``moment``, but for a murmur that may lead to it, and the pre-roll."""
        if moment - self._murmur_ended <= self.options.longest_wait:
            moment = min(moment, max(self._murmur_began, moment - self.MURMURED))
        self.forget_before(moment - self.options.pre_roll)

    def _has_begun(self) -> bool:
        if self._window_speech <= self.options.started_talking_threshold + 1e-9:
            return False
        return self._window_sure > self.SURE or self._window_speech > self.LASTING * self.options.audio_chunk_duration

    def _learn(self) -> None:
        """Was the last pause the end of what this speaker had to say, or did they only draw breath?"""
        ended, self._ended = self._ended, None
        if self.patience is None or ended is None:
            return
        if (silence := self._speech_began - ended.at) < CONTINUATION:
            self.patience.went_on(silence)
        else:
            self.patience.finished()

    # -- within an utterance ------------------------------------------------------------------------------------

    def _follow_speech(self) -> None:
        if not self._speech or (self._asked and self._run <= self.BLIP):
            return
        if self._asked:
            if self.patience is not None:
                self.patience.went_on(self.clock - self._run - self._speech_ended)
            self._forget_question()
        self._speech_ended = self.clock

    def _forget_question(self) -> None:
        self._asked = 0
        self._closed = self._hesitations
        self._answers: list[float] = []
        self._wait = self._completeness = None

    def _while_talking(self) -> list[Event]:
        over = self._is_over()
        if over or self._kept_length >= self.options.max_continuous_speech_s:
            return [self._pause(over)]
        silence = self.clock - self._speech_ended
        if self.patience is None or self._asked == len(self.ASK_AT) or silence < self.ASK_AT[self._asked]:
            return []
        self._asked += 1
        self._hesitations += 1
        return [SpeechHesitated(self._hesitations, self.captured(self.HEARD))]

    def _is_over(self) -> bool:
        if self._wait is None:
            return self._window_speech < self.options.speech_threshold - 1e-9 and not self._speech
        return not self._speech and self.clock - self._speech_ended >= self._wait - 1e-9

    def _pause(self, over: bool) -> SpeechPaused:
        paused = SpeechPaused(
            self.captured(), self._speech_ended, self.clock, self._speech_began, self._completeness if over else None
        )
        if over:
            self._ended = paused
            self.reset()
        else:  # still talking: what follows is the next utterance, and no interruption of the answer to this one
            self._kept.clear()
            self._kept_length = self._spoken = 0.0
            self._speech_began = self.clock
        return paused
