"""Turn taking around a generator: it replies when the user pauses, and is silent when the user speaks."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any, Literal, Self

from streams.media.audio import Audio
from streams.media.handlers import SHUTDOWN_SECONDS, StreamHandlerBase
from streams.media.messages import log
from streams.media.outputs import Emitted
from streams.media.pauses import (
    AlgoOptions,
    Event,
    PauseDetector,
    SpeechDismissed,
    SpeechPaused,
    SpeechStarted,
    SpeechSuspected,
)
from streams.media.replies import Reply
from streams.media.threads import raise_if_cancelled
from streams.media.vad import SileroVadOptions, SpeechProbability, get_silero_model


class ReplyOnPause(StreamHandlerBase):
    """Collects what the user says and calls ``fn(audio)`` with the whole utterance when they pause.

    fn: a generator function, an async generator function, or a function that returns one item. It receives
        (input_sample_rate, int16 array of shape (1, n)) and yields (sample_rate, array), AdditionalOutputs or
        CloseStream. Sync functions run in a thread of their own.
    startup_fn: the same without arguments, played when the session starts.
    algo_options, model_options: when speech counts as a turn.
    can_interrupt: whether speaking over a reply ends it. If not, the user is not listened to until it has been played.
    """

    live_edge = False
    emits = False

    def __init__(
        self,
        fn: Callable[..., Any],
        startup_fn: Callable[..., Any] | None = None,
        algo_options: AlgoOptions | None = None,
        model_options: SileroVadOptions | None = None,
        can_interrupt: bool = True,
        expected_layout: Literal["mono", "stereo"] = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, output_frame_size, input_sample_rate)
        self.fn = fn
        self.startup_fn = startup_fn
        self.algo_options = algo_options or AlgoOptions()
        self.model_options = model_options or SileroVadOptions()
        self.can_interrupt = can_interrupt
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None

    def copy(self) -> Self:
        return copy.copy(self)

    def warm_up(self) -> None:
        """Load the model. Raises weights.WeightsMissing."""
        get_silero_model()

    async def begin(self) -> None:
        self._listen()
        if self.startup_fn is not None:
            self._start_reply(self.startup_fn)

    async def end(self) -> None:
        task = self._reply_task
        self.cancel_reply()
        if task is not None:
            await asyncio.wait({task}, timeout=SHUTDOWN_SECONDS)

    @property
    def replying(self) -> bool:
        """Whether a reply is being generated or played."""
        return self._reply_task is not None

    async def handle(self, frame: Audio) -> None:
        if self.replying and not self.can_interrupt:
            self._detector.reset()
            return
        for hop, probability in self._speech.push(frame[1][0]):
            for event in self._detector.push(hop, probability):
                self._on_event(event)

    def cancel_reply(self) -> None:
        """End the reply that is running and drop what has not been played of it."""
        if self._reply_task is not None:
            self._reply_task.cancel()
            self._reply_task = None
        self.port.clear()

    def reset(self) -> None:
        """Forget what the user has said so far and listen anew."""
        self._detector.reset()
        self.port.release()

    def _listen(self) -> None:
        self._speech = SpeechProbability(get_silero_model(), self.input_sample_rate)
        self._detector = PauseDetector(self.input_sample_rate, self.algo_options, self.model_options.threshold)

    def _on_event(self, event: Event) -> None:
        match event:
            case SpeechSuspected():
                self.port.hold()
            case SpeechDismissed():
                self.port.release()
            case SpeechStarted():
                self.cancel_reply()
                self.port.send_message(log("started_talking"))
            case SpeechPaused(audio=audio):
                self.cancel_reply()
                self.port.send_message(log("pause_detected"))
                self._start_reply(self.fn, (self.input_sample_rate, audio[None, :]))

    def _start_reply(self, function: Callable[..., Any], *args: Any) -> None:
        task = asyncio.create_task(self._run_reply(function, args))
        self._reply_task = task
        task.add_done_callback(self._reply_done)

    async def _run_reply(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        announced = False

        async def play(item: Emitted) -> None:
            nonlocal announced
            if not announced:
                announced = True
                self.port.send_message(log("response_starting"))
            await self.port.play(item)

        try:
            await Reply(function, args, play).run()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
            raise_if_cancelled(error)
            self.port.report(error)
        self.port.finish()
        await self.port.played()
        if announced:
            self.port.send_message(log("response_finished"))

    def _reply_done(self, task: asyncio.Task[None]) -> None:
        if self._reply_task is task:
            self._reply_task = None
