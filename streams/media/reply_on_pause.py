"""Turn taking around a generator: it replies when the user pauses, and is silent when the user speaks."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np

from streams.media import weights
from streams.media.audio import Audio, Samples
from streams.media.determine_pause import (
    AppState,
    DeterminesPause,
    PauseDetermined,
    PauseQuestions,
    options_for_interruptions,
)
from streams.media.functions import is_coroutine
from streams.media.interruptions import InterruptionOptions
from streams.media.messages import log
from streams.media.outputs import WebRTCData
from streams.media.patience import CONTINUATION, Patience
from streams.media.pauses import (
    AlgoOptions,
    Event,
    PauseDetector,
    SpeechDismissed,
    SpeechHesitated,
    SpeechPaused,
    SpeechStarted,
    SpeechSuspected,
)
from streams.media.smart_turn import EndOfUtteranceModel, get_smart_turn
from streams.media.speech.engines import load_engine
from streams.media.threads import UserThread
from streams.media.vad import (
    ModelSpeech,
    PauseDetectionModel,
    SileroVad,
    SileroVadOptions,
    SpeechProbability,
    get_silero_model,
)

SILERO = "silero"
"""The name of the voice activity model that is used where none is given."""

RECOGNISE_EACH = 0.3
"""Seconds of new audio after which the recogniser is asked again whether an interruption has words."""

JOINED_SECONDS = 20.0
"""The longest utterance that parts are joined to; what follows stands alone, else a radio would be one utterance."""
STALL_SECONDS = 1.0
"""A client that sends nothing for so long in the middle of an utterance has been muted: that is silence, too."""

_judging_utterances = UserThread("stream-end-of-utterance")
"""One for the process: the model has one session, and answers in less time than a pause takes."""
_recognising = UserThread("stream-interruption")
_loading = UserThread("stream-models")


class ReplyOnPause(DeterminesPause):
    """Collects what the user says and calls ``fn(audio)`` with the whole utterance when they pause.

    fn: a generator function, an async generator function, or a function that returns one item. It receives
        (input_sample_rate, int16 array of shape (1, n)), and the stream's inputs if it takes more arguments, and
        yields (sample_rate, array), AdditionalOutputs or CloseStream. Sync functions run in a thread of their own.
    startup_fn: the same without the audio, played when the session starts.
    algo_options, model_options: when speech counts as an utterance, and when it has ended.
    model: another voice activity model, or the name of a registered one; it is asked once per
        ``audio_chunk_duration``, with model_options. A SileroVad of another file is listened to as a stream, like the
        one that is used without it.
    can_interrupt: whether speaking over a reply ends it. If not, the user is not listened to until it has been played.
    needs_args: fn receives a WebRTCData, with the audio and typed text, in place of the audio.
    interruption: what it takes to end a reply by speaking over it.
    recogniser: ``recogniser(audio) -> str``, sync or async; finds the words of an interruption.
    end_of_utterance: another model than Smart Turn to tell whether an utterance is complete.

    A subclass that overrides ``determine_pause`` says itself when the speaker has finished (see DeterminesPause).
    """

    live_edge: ClassVar[bool] = False

    _judging: UserThread | None = None
    """Where a model of somebody else's runs; it may take longer than a frame."""
    _subclass: PauseQuestions | None = None
    """Says when the speaker has finished, where a subclass overrides ``determine_pause``."""
    # As long as it has not begun, there is nothing to end.
    _words: asyncio.Task[None] | None = None
    _questions: set[asyncio.Task[None]] = set()
    _stall: asyncio.TimerHandle | None = None

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
        model: PauseDetectionModel | str | None = None,
        needs_args: bool = False,
        interruption: InterruptionOptions | None = None,
        recogniser: Callable[[Audio], Any] | None = None,
        end_of_utterance: EndOfUtteranceModel | None = None,
    ) -> None:
        super().__init__(expected_layout, output_sample_rate, output_frame_size, input_sample_rate)
        self.fn = fn
        self.startup_fn = startup_fn
        self.algo_options = algo_options or AlgoOptions()
        self.model_options = _model_options(model) if model_options is None else model_options
        self.model = None if isinstance(model, str) else model
        self.model_name = model if isinstance(model, str) else SILERO
        self.can_interrupt = can_interrupt
        self.needs_args = needs_args
        self.interruption = interruption or InterruptionOptions()
        self.recogniser = recogniser
        self.end_of_utterance = end_of_utterance
        self.state = AppState()

    def copy(self) -> Self:
        fresh = copy.copy(self)
        fresh.algo_options = copy.copy(self.algo_options)  # subclasses assign to it
        return fresh

    def with_turn_taking(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with other values of ``can_interrupt``, ``threshold`` and the fields of both kinds of options.

        ``voice_detector`` is the name of another model. Names that the handler has no use for are ignored.
        """
        other = self.copy()
        if (detector := values.get("voice_detector")) is not None:
            keeps_options = detector == SILERO and isinstance(self.model_options, SileroVadOptions)
            other.model, other.model_name = None, detector
            other.model_options = self.model_options if keeps_options else _model_options(detector)
        other.algo_options = _replaced(other.algo_options, values)
        other.interruption = _replaced(other.interruption, values)
        other.model_options = _replaced(other.model_options, {k: values[k] for k in values if k == "threshold"})
        other.can_interrupt = values.get("can_interrupt", other.can_interrupt)
        return other

    def warm_up(self) -> None:
        """Load the models. Raises weights.WeightsMissing, engines.EngineUnavailable."""
        self._load_detector().warmup()
        self._completeness_model()

    def _load_detector(self) -> PauseDetectionModel:
        if self.model is not None:
            return self.model
        detector: PauseDetectionModel = (
            get_silero_model() if self.model_name == SILERO else load_engine("vad", self.model_name)
        )
        return detector

    async def _detector_off_the_loop(self) -> PauseDetectionModel:
        """A plug-in has a thread of its own: one that takes a minute keeps no other stream from beginning."""
        if self.model is not None or self.model_name == SILERO:
            return await _loading.run(self._load_detector)
        loading = UserThread("stream-vad-loading")
        try:
            return await loading.run(self._load_detector)
        finally:
            loading.stop()

    def _completeness_model(self) -> EndOfUtteranceModel | None:
        """What tells whether an utterance is complete; None where silence alone decides. Raises WeightsMissing."""
        if self.determines_pauses or not self.algo_options.wants_semantic:
            return None
        try:
            return self.end_of_utterance or get_smart_turn()
        except weights.WeightsMissing:
            if self.algo_options.end_of_utterance == "semantic":
                raise
            return None

    async def begin(self) -> None:
        rate, options = self.input_sample_rate, self.algo_options
        if self.determines_pauses:
            options = options_for_interruptions(options)
        self._words, self._stall = None, None
        self._questions = set()
        self._doubted = False
        self._answered: SpeechPaused | None = None
        # Off the loop: the first session of a stream may be the first that wants the model.
        self._judge = await _loading.run(self._completeness_model)
        detector = await self._detector_off_the_loop()
        patience = Patience(options.shortest_wait, options.longest_wait) if self._judge is not None else None
        is_ours = self.model is None and self.model_name == SILERO
        if is_ours or isinstance(detector, SileroVad):
            self.model_options = self.model_options or SileroVadOptions()
            self._speech: SpeechProbability | ModelSpeech = SpeechProbability(cast(SileroVad, detector), rate)
            self._detector = PauseDetector(rate, options, self.model_options.threshold, patience)
        else:
            self._speech = ModelSpeech(detector, self.model_options, rate, options.audio_chunk_duration)
            self._detector = PauseDetector(rate, options)
            self._judging = UserThread("stream-vad")
        self.model = detector  # for a subclass's determine_pause
        if self.determines_pauses:
            self._judging = self._judging or UserThread("stream-vad")
            self._subclass = PauseQuestions(self, self._detector, self._judging, self._determined)
        self._heard_at = self.port.loop.time()
        if self.startup_fn is not None:
            self.start_reply(self.startup_fn)

    async def handle(self, frame: Audio) -> None:
        self._heard_at = self.port.loop.time()
        if self.replying and not self.can_interrupt:
            self._forget()
            return
        for hop, probability in await self._judged(frame[1][0]):
            self._on_events(self._detector.push(hop, probability))
        if self._subclass is not None:
            self._subclass.push(frame)
        if self._doubted and self._words is None and self._detector.spoken >= self.interruption.min_speech:
            self._interrupt()

    async def _judged(self, samples: Samples) -> Iterable[tuple[Samples, float]]:
        if isinstance(self._speech, ModelSpeech) and self._judging is not None:
            return await self._judging.run(self._speech.push, samples)
        return self._speech.push(samples)

    @property
    def clock(self) -> float:
        return self._detector.clock + self.port.loop.time() - self._heard_at

    async def end(self) -> None:
        if self._subclass is not None:
            self._subclass.stop()
        for task in [*self._questions, *([self._words] if self._words else [])]:
            task.cancel()
        if self._stall is not None:
            self._stall.cancel()
        await super().end()
        if self._judging is not None:
            self._judging.stop()

    def reset(self) -> None:
        """Forget what the user has said so far and listen anew.

        A handler that determines pauses itself is also reset when a reply has been played and nobody speaks.
        """
        self._forget()
        self._resume()

    def replied(self) -> None:
        if self._subclass is not None and not (self._detector.talking or self._detector.speaking):
            self.reset()

    def _forget(self) -> None:
        self._detector.reset()
        if self._subclass is not None:
            self._subclass.forget()

    def trigger_response(self, text: str = "") -> None:
        """Reply now, to ``text`` or to what has been said so far, as if the user had paused."""
        said = self._said_so_far()
        self._forget()
        self._reply_to((self.input_sample_rate, said[None, :]), text)

    def _said_so_far(self) -> Samples:
        return self._detector.captured() if self._subclass is None else self.state.heard()

    # -- what is heard ------------------------------------------------------------------------------------------

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            self._on_event(event)

    def _on_event(self, event: Event) -> None:
        match event:
            case SpeechSuspected():
                self.port.hold()
            case SpeechDismissed():
                if not self._doubted:
                    self.port.release()
            case SpeechStarted():
                self._doubt()
                self.port.send_message(log("started_talking"))
                self._watch()
            case SpeechHesitated():
                self._ask(event)
            case SpeechPaused() if self._words is not None:
                self._words.cancel()
                self._words = self._in_background(self._recognise_all(event))
            case SpeechPaused() if self._doubted and self.replying:
                self._resume()
            case SpeechPaused():
                self._paused(event)

    def _watch(self) -> None:
        """While somebody talks, notice that nothing comes any more."""
        if not self._detector.talking:
            return
        missing = self.port.loop.time() - self._heard_at
        if missing >= STALL_SECONDS:
            self._on_events(self._detector.push(np.zeros(round(missing * self.input_sample_rate), np.int16), 0.0))
            return
        if self._stall is not None:
            self._stall.cancel()
        self._stall = self.port.loop.call_later(STALL_SECONDS - missing, self._watch)

    def _ask(self, hesitation: SpeechHesitated) -> None:
        question = self._in_background(self._judge_utterance(hesitation))
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)

    async def _judge_utterance(self, hesitation: SpeechHesitated) -> None:
        assert self._judge is not None
        is_open, judge = self._detector.is_open, self._judge.completeness

        def completeness() -> float | None:  # by now the speaker may have gone on, and others wait
            return judge(hesitation.audio, self.input_sample_rate) if is_open(hesitation.number) else None

        answer = await _judging_utterances.run(completeness)
        if answer is not None:
            self._on_events(self._detector.answer(hesitation.number, answer))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def contained() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - a model of the user's, or theirs to repair
                self.port.report(error)

        return asyncio.create_task(contained())

    # -- interruptions ------------------------------------------------------------------------------------------

    def _doubt(self) -> None:
        """Somebody speaks. Over a reply it may be an interruption, or only a cough that is long, or an "uh-huh"."""
        if not self.replying:
            self.cancel_reply()
            return
        self.port.hold()
        self._doubted = True
        if self.recogniser is not None and self.interruption.min_words:
            self._words = self._words or self._in_background(self._recognise())
        elif self._detector.spoken >= self.interruption.min_speech:
            self._interrupt()

    def _interrupt(self) -> None:
        self._settle()
        self.cancel_reply()

    def _settle(self) -> None:
        """It is decided what the speech over a reply was."""
        words, self._words = self._words, None
        self._doubted = False
        if words is not None and words is not asyncio.current_task():
            words.cancel()

    def _resume(self) -> None:
        if self._doubted and self.replying:
            self.port.send_message(log("response_resumed"))
        if self._doubted and self._subclass is not None:
            self._subclass.forget()
        self._settle()
        self.port.release()

    async def _recognise(self) -> None:
        """Ask the recogniser, again and again, whether what is being said over the reply is meant to end it."""
        while True:
            await asyncio.sleep(RECOGNISE_EACH)
            if await self._has_words(self._detector.captured()):
                self._interrupt()
                return

    async def _recognise_all(self, paused: SpeechPaused) -> None:
        if await self._has_words(paused.audio):
            self._interrupt()
            self._paused(paused)
        else:
            self._resume()

    async def _has_words(self, samples: Samples) -> bool:
        assert self.recogniser is not None
        audio = (self.input_sample_rate, samples[None, :])
        try:
            if is_coroutine(self.recogniser):
                text = await self.recogniser(audio)
            else:
                text = await _recognising.run(self.recogniser, audio)
            return self.interruption.means_it(text)
        except Exception as error:  # noqa: BLE001 - the user's; a reply that nobody can end would be held for ever
            self.port.report(error)
            return True

    # -- answering ----------------------------------------------------------------------------------------------

    def _determined(self, pause: PauseDetermined) -> None:
        if not self._detector.speaking:
            self._detector.reset()  # who goes on now, interrupts
        self._on_event(pause)

    def _paused(self, paused: SpeechPaused) -> None:
        if self._subclass is not None and not isinstance(paused, PauseDetermined):
            return
        self.port.send_message(log("pause_detected"))
        continues = self._continues(paused)
        if continues is not None:
            audio = np.concatenate([continues.audio, paused.audio])
            paused = dataclasses.replace(paused, audio=audio, began=continues.began)
        self._answered = paused
        self._reply_to(
            (self.input_sample_rate, paused.audio[None, :]),
            decided=paused.decided,
            speech_began=paused.began,
            speech_ended=paused.at,
            completeness=paused.completeness,
            continues=continues is not None,
        )

    def _continues(self, paused: SpeechPaused) -> SpeechPaused | None:
        """The utterance before, if it was answered too soon, and this is the rest of it."""
        before, reply = self._answered, self.timing
        if not self.interruption.rejoin or before is None or reply is None or not reply.interrupted:
            return None
        if reply.decided != before.decided or paused.began - before.at >= CONTINUATION:
            return None
        joined = before.audio.size + paused.audio.size
        return before if joined <= JOINED_SECONDS * self.input_sample_rate else None

    def _reply_to(self, audio: Audio, text: str = "", **times: Any) -> None:
        self._settle()
        self.cancel_reply()
        self.start_reply(self.fn, WebRTCData(self.port.id, text, audio) if self.needs_args else audio, **times)


def _model_options(model: PauseDetectionModel | str | None) -> SileroVadOptions | None:
    """Those of Silero; nobody knows those of another model."""
    return SileroVadOptions() if model is None or model == SILERO or isinstance(model, SileroVad) else None


def _replaced(options: Any, values: Mapping[str, Any]) -> Any:
    """Options of another model may be no dataclass, and are then left alone."""
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return options
    known = {field.name for field in dataclasses.fields(options)}
    return dataclasses.replace(options, **{name: value for name, value in values.items() if name in known})
