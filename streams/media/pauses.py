"""When has somebody started to speak, and when have they finished? Pure: no clock, no model, no audio I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from streams.media.audio import Samples


@dataclass(frozen=True)
class AlgoOptions:
    """When to take a turn. All values are seconds of audio.

    audio_chunk_duration: the window in which speech is counted; it slides with the audio
    started_talking_threshold: more speech than this within the window, and the user is talking
    speech_threshold: less speech than this within the window, and the user has paused
    max_continuous_speech_s: an utterance this long is answered although the user goes on
    interruption_threshold: this much speech holds a reply that is playing, until it proves to be talking or noise
    pre_roll: audio from before the first speech that is kept, so that no first syllable is lost
    """

    audio_chunk_duration: float = 0.6
    started_talking_threshold: float = 0.2
    speech_threshold: float = 0.1
    max_continuous_speech_s: float = float("inf")
    interruption_threshold: float = 0.09
    pre_roll: float = 0.3


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
class SpeechPaused:
    audio: Samples
    """The utterance, from ``pre_roll`` before its first speech to the decision."""
    at: float
    """Media time of the last speech, in seconds."""


Event = SpeechSuspected | SpeechDismissed | SpeechStarted | SpeechPaused


class _State(Enum):
    QUIET = "quiet"
    SUSPECTED = "suspected"
    TALKING = "talking"


class PauseDetector:
    """Turns (samples, speech probability) hops of any length into events.

    ``rate`` is the sample rate of the samples pushed. A hop is speech from ``threshold`` up, and stays speech
    until the probability falls ``HYSTERESIS`` below it.
    """

    HYSTERESIS = 0.15

    def __init__(self, rate: int, options: AlgoOptions | None = None, threshold: float = 0.5) -> None:
        self.rate = rate
        self.options = options or AlgoOptions()
        self.threshold = threshold
        self._clock = 0.0
        self.reset()

    @property
    def talking(self) -> bool:
        return self._state is _State.TALKING

    def reset(self) -> None:
        """Forget the current utterance and what was heard before it."""
        self._state = _State.QUIET
        self._speech = False
        self._held = False
        self._window: deque[tuple[float, bool]] = deque()
        self._window_length = 0.0
        self._window_speech = 0.0
        self._kept: deque[Samples] = deque()
        self._kept_length = 0.0
        self._speech_began = self._speech_ended = self._clock

    def captured(self) -> Samples:
        """The audio of the utterance so far; what was kept before it when nobody talks."""
        return np.concatenate(list(self._kept)) if self._kept else np.zeros(0, np.int16)

    def push(self, samples: Samples, probability: float) -> list[Event]:
        hop = samples.size / self.rate
        self._clock += hop
        self._speech = probability >= self.threshold - (self.HYSTERESIS if self._speech else 0.0)
        if self._speech:
            self._speech_ended = self._clock
        self._slide(hop)
        self._kept.append(samples)
        self._kept_length += hop
        if self._state is _State.TALKING:
            return self._while_talking()
        return self._while_not_talking(hop)

    def _slide(self, hop: float) -> None:
        self._window.append((hop, self._speech))
        self._window_length += hop
        self._window_speech += hop * self._speech
        while self._window_length > self.options.audio_chunk_duration + 1e-9:
            old, was_speech = self._window.popleft()
            self._window_length -= old
            self._window_speech -= old * was_speech

    def _while_not_talking(self, hop: float) -> list[Event]:
        if self._state is _State.QUIET:
            if not self._speech:
                self._forget_before(self._clock - self.options.pre_roll)
                return []
            self._state = _State.SUSPECTED
            self._speech_began = self._clock - hop
            self._forget_before(self._speech_began - self.options.pre_roll)
        self._forget_before(self._clock - self._window_length - self.options.pre_roll)
        if self._window_speech > self.options.started_talking_threshold + 1e-9:
            self._state = _State.TALKING
            return [SpeechStarted(self._speech_began)]
        if self._window_speech < 1e-9:
            return self._dismiss()
        if self._window_speech > self.options.interruption_threshold and self._speech and not self._held:
            self._held = True
            return [SpeechSuspected()]
        return []

    def _dismiss(self) -> list[Event]:
        events: list[Event] = [SpeechDismissed()] if self._held else []
        self._state = _State.QUIET
        self._held = False
        self._forget_before(self._clock - self.options.pre_roll)
        return events

    def _while_talking(self) -> list[Event]:
        paused = self._window_speech < self.options.speech_threshold - 1e-9
        if not paused and self._kept_length < self.options.max_continuous_speech_s:
            return []
        event = SpeechPaused(self.captured(), self._speech_ended)
        if paused:
            self.reset()
        else:  # still talking: what follows is the next utterance, and no interruption of the answer to this one
            self._kept.clear()
            self._kept_length = 0.0
        return [event]

    def _forget_before(self, moment: float) -> None:
        while self._kept and self._clock - self._kept_length + self._kept[0].size / self.rate <= moment + 1e-9:
            self._kept_length -= self._kept.popleft().size / self.rate
