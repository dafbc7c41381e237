"""Turn taking by a subclass: ``determine_pause`` is asked, frame by frame, whether the speaker has finished."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Audio, Samples, to_mono
from streams.media.messages import Message, understood
from streams.media.pauses import AlgoOptions, PauseDetector, SpeechPaused
from streams.media.replying import ReplyingHandler
from streams.media.threads import UserThread
from streams.media.vad import PauseDetectionModel, get_silero_model

WAITING = 500
"""Frames that wait for a slow ``determine_pause``: 10 s, the oldest are dropped."""


@dataclass
class AppState:
    """What is known of the turn that is going on; FastRTC's fields. A subclass may add some, with defaults.

    stream: the utterance so far, mono int16; what the reply gets when the pause is determined
    started_talking: whether there is one
    buffer: heard since ``determine_pause`` last set it to None; this is what it is asked about
    before: the end of the chunk before, which an utterance begins with
    responding: whether a reply is being generated or played
    stopped, responded_audio, interrupted: not used here
    """

    stream: Samples | None = None
    sampling_rate: int = 0
    pause_detected: bool = False
    started_talking: bool = False
    responding: bool = False
    buffer: Samples | None = None
    before: Samples | None = None
    stopped: bool = False
    responded_audio: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def new(self) -> AppState:
        """The state of the next turn."""
        return type(self)()

    def utterance(self) -> Samples:
        """What the reply is to get."""
        return np.zeros(0, np.int16) if self.stream is None else to_mono(self.stream)

    def heard(self) -> Samples:
        """All that has been said in this turn."""
        parts = [part for part in (self.stream, self.buffer) if part is not None]
        return np.concatenate([np.zeros(0, np.int16), *parts])


@dataclass(frozen=True)
class PauseDetermined(SpeechPaused):
    """The subclass says that the speaker has finished."""


class DeterminesPause(ReplyingHandler):
    """The part of ReplyOnPause that a subclass may replace. It is not used unless one does.

    ``determine_pause`` and ``process_audio`` run in a thread of the session, one call at a time.
    """

    algo_options: AlgoOptions
    model: PauseDetectionModel | None
    model_options: Any
    state: AppState
    event: threading.Event
    """FastRTC's; subclasses clear it. Nothing waits for it here."""

    def determine_pause(self, audio: Samples, sampling_rate: int, state: AppState) -> bool:
        """Tell whether the speaker has finished; then ``state.stream`` is the utterance.

        audio: ``state.buffer``, mono int16 of shape (n,), longer by 20 ms at each call until ``state.buffer`` is None

        By itself it waits for ``audio_chunk_duration``, and compares the speech in it with the thresholds.
        """
        options = self.algo_options
        if audio.size < options.audio_chunk_duration * sampling_rate or self.model is None:
            return False
        seconds, _ = self.model.vad((sampling_rate, audio), self.model_options)
        before, state.before = state.before, audio[max(audio.size - round(options.pre_roll * sampling_rate), 0) :]
        state.buffer = None
        if not state.started_talking:
            if seconds <= options.started_talking_threshold:
                return False
            state.started_talking = True
            state.stream = before
        state.stream = audio if state.stream is None else np.concatenate([state.stream, audio])
        too_long = state.stream.size >= options.max_continuous_speech_s * sampling_rate
        return too_long or seconds < options.speech_threshold

    def process_audio(self, audio: tuple[int, NDArray[Any]], state: AppState) -> None:
        """Take one frame: add it to ``state.buffer`` and set ``state.pause_detected``."""
        rate, frame = audio
        samples = to_mono(frame)
        state.sampling_rate = state.sampling_rate or rate
        state.buffer = samples if state.buffer is None else np.concatenate([state.buffer, samples])
        state.pause_detected = self.determine_pause(state.buffer, state.sampling_rate, state)

    def send_message_sync(self, message: Message | str) -> None:
        """Send a message to the client, from any thread: a dict with type and data, or its JSON text."""
        self.port.loop.call_soon_threadsafe(self.port.send_message, understood(message))

    def clear_queue(self) -> None:
        self.port.loop.call_soon_threadsafe(self.port.clear)

    @property
    def determines_pauses(self) -> bool:
        """Whether a subclass decides when the speaker has finished."""
        kind, base = type(self), DeterminesPause
        return kind.determine_pause is not base.determine_pause or kind.process_audio is not base.process_audio


def utterances(handler: DeterminesPause, audio: Audio) -> Iterator[Samples]:
    """What a handler takes for utterances in a recording, without a session: for the tests of a subclass."""
    rate, samples = audio[0], to_mono(audio[1])
    handler.model = handler.model or get_silero_model()
    state = handler.state.new()
    for at in range(0, samples.size, rate // 50):
        handler.process_audio((rate, samples[at : at + rate // 50]), state)
        if state.pause_detected:
            yield state.utterance()
            state = state.new()


def options_for_interruptions(options: AlgoOptions) -> AlgoOptions:
    """What is left to a PauseDetector beside a ``determine_pause``: when speech begins."""
    return AlgoOptions(
        started_talking_threshold=options.started_talking_threshold,
        interruption_threshold=options.interruption_threshold,
        pre_roll=options.pre_roll,
        end_of_utterance="silence",
    )


class PauseQuestions:
    """Asks a handler about each frame, in ``thread``, and keeps up with the talk while the answers are slow."""

    def __init__(
        self,
        handler: DeterminesPause,
        detector: PauseDetector,
        thread: UserThread,
        determined: Callable[[PauseDetermined], None],
    ) -> None:
        self._handler = handler
        self._detector = detector
        self._thread = thread
        self._determined = determined
        self._frames: asyncio.Queue[Audio] = asyncio.Queue(WAITING)
        self._began: float | None = None
        self._ended = 0.0
        handler.event = threading.Event()
        self._begin_turn()
        self._asking = asyncio.create_task(self._ask())

    def push(self, frame: Audio) -> None:
        self._handler.state.responding = self._handler.replying
        if self._detector.talking:
            self._began = self._detector.speech_began if self._began is None else self._began
            self._ended = self._detector.speech_ended
        if self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(frame)

    def forget(self) -> None:
        """Forget what has been said so far."""
        while not self._frames.empty():
            self._frames.get_nowait()
        self._begin_turn()

    def stop(self) -> None:
        self._asking.cancel()

    def _begin_turn(self) -> None:
        self._handler.state = self._handler.state.new()
        self._began = None

    async def _ask(self) -> None:
        while True:
            frame, state = await self._frames.get(), self._handler.state
            try:
                await self._thread.run(self._handler.process_audio, frame, state)
            except Exception as error:  # noqa: BLE001 - user code: contained
                state.buffer = None  # or it would be asked the same again, at greater length
                self._handler.port.report(error)
                continue
            if state.pause_detected and state is self._handler.state:
                self._tell(state)

    def _tell(self, state: AppState) -> None:
        now = self._detector.clock
        began, ended = (now, now) if self._began is None else (self._began, self._ended)
        self._begin_turn()
        self._determined(PauseDetermined(state.utterance(), ended, now, began))
