"""Turn taking around a generator: it replies when the user pauses, and is silent when the user speaks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Self

from streams.media.audio import Audio, Samples
from streams.media.messages import log
from streams.media.outputs import WebRTCData
from streams.media.pauses import (
    AlgoOptions,
    Event,
    PauseDetector,
    SpeechDismissed,
    SpeechPaused,
    SpeechStarted,
    SpeechSuspected,
)
from streams.media.replying import ReplyingHandler
from streams.media.threads import UserThread
from streams.media.vad import ModelSpeech, PauseDetectionModel, SileroVadOptions, SpeechProbability, get_silero_model


class ReplyOnPause(ReplyingHandler):
    """Collects what the user says and calls ``fn(audio)`` with the whole utterance when they pause.

    fn: a generator function, an async generator function, or a function that returns one item. It receives
        (input_sample_rate, int16 array of shape (1, n)), and the stream's inputs if it takes more arguments, and
        yields (sample_rate, array), AdditionalOutputs or CloseStream. Sync functions run in a thread of their own.
    startup_fn: the same without the audio, played when the session starts.
    algo_options, model_options: when speech counts as a turn.
    model: another voice activity model than Silero; it is asked once per ``audio_chunk_duration``, with model_options.
    can_interrupt: whether speaking over a reply ends it. If not, the user is not listened to until it has been played.
    needs_args: fn receives a WebRTCData, with the audio and typed text, in place of the audio.
    """

    live_edge: ClassVar[bool] = False

    _judging: UserThread | None = None
    """Where a model of somebody else's runs; it may take longer than a frame."""

    def __init__(
        self,
        fn: Callable[..., Any],
        startup_fn: Callable[..., Any] | None = None,
        algo_options: AlgoOptions | None = None,
        model_options: Any = None,
        can_interrupt: bool = True,
        expected_layout: Literal["mono", "stereo"] = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        model: PauseDetectionModel | None = None,
        needs_args: bool = False,
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, output_frame_size, input_sample_rate)
        self.fn = fn
        self.startup_fn = startup_fn
        self.algo_options = algo_options or AlgoOptions()
        self.model_options = model_options or SileroVadOptions()
        self.model = model
        self.can_interrupt = can_interrupt
        self.needs_args = needs_args

    def copy(self) -> Self:
        return copy.copy(self)

    def warm_up(self) -> None:
        """Load the model. Raises weights.WeightsMissing."""
        (self.model or get_silero_model()).warmup()

    async def begin(self) -> None:
        rate, options = self.input_sample_rate, self.algo_options
        if self.model is None:
            self._speech: SpeechProbability | ModelSpeech = SpeechProbability(get_silero_model(), rate)
            self._detector = PauseDetector(rate, options, self.model_options.threshold)
        else:
            self._speech = ModelSpeech(self.model, self.model_options, rate, options.audio_chunk_duration)
            self._detector = PauseDetector(rate, options)
            self._judging = UserThread("stream-vad")
        if self.startup_fn is not None:
            self.start_reply(self.startup_fn)

    async def handle(self, frame: Audio) -> None:
        if self.replying and not self.can_interrupt:
            self._detector.reset()
            return
        for hop, probability in await self._judged(frame[1][0]):
            for event in self._detector.push(hop, probability):
                self._on_event(event)

    async def _judged(self, samples: Samples) -> Iterable[tuple[Samples, float]]:
        if isinstance(self._speech, ModelSpeech) and self._judging is not None:
            return await self._judging.run(self._speech.push, samples)
        return self._speech.push(samples)

    async def end(self) -> None:
        await super().end()
        if self._judging is not None:
            self._judging.stop()

    def reset(self) -> None:
        """Forget what the user has said so far and listen anew."""
        self._detector.reset()
        self.port.release()

    def trigger_response(self, text: str = "") -> None:
        """Reply now, to ``text`` or to what has been said so far, as if the user had paused."""
        captured = self._detector.captured()
        self._detector.reset()
        self._reply_to((self.input_sample_rate, captured[None, :]), text)

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
                self.port.send_message(log("pause_detected"))
                self._reply_to((self.input_sample_rate, audio[None, :]))

    def _reply_to(self, audio: Audio, text: str = "") -> None:
        self.cancel_reply()
        self.start_reply(self.fn, WebRTCData(self.port.id, text, audio) if self.needs_args else audio)
