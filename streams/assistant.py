"""A conversation: speech to text, a responder, text to speech, and a chat that shows what has been heard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Self, TypeVar

from streams.media import AdditionalOutputs, InterruptionOptions, ReplyOnPause, WebRTCData, get_reply_timing
from streams.media.audio import Audio
from streams.media.outputs import AudioOut
from streams.media.pauses import Event, SpeechHesitated, SpeechPaused, SpeechStarted
from streams.media.speech.engines import EngineUnavailable, UnknownEngine
from streams.media.speech.pico import PicoTTSOptions
from streams.media.speech.recognition import SpeechToText, Transcriber, get_stt_model, recognise
from streams.media.speech.sentences import SentenceSplitter
from streams.media.speech.synthesis import SynthesisFailed, TextToSpeech, get_tts_model
from streams.media.threads import UserThread
from streams.media.weights import WeightsMissing
from streams.responders import Message, Responder, ResponderError, RuleResponder

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEPT = 40
"""Messages of a conversation that are shown and remembered."""
LONGEST = 2000
"""Characters of what is said at once, by either side."""
AHEAD = 10.0
"""Seconds of an utterance up to which it is recognised at each hesitation. It would take too much of longer ones."""
MOONSHINE, PICO = "moonshine/tiny", "pico"
"""The engines that work anywhere, the first one once its weights are there."""

GREETING = "Hello! I am listening. What can I do for you?"
SYSTEM_PROMPT = (
    "You are a friendly voice assistant. What you write is spoken: answer in one to three short sentences of plain "
    "words, without lists, markup or emoji. A message of yours that ends with … was interrupted there."
)
NOT_UNDERSTOOD = "Sorry, I did not catch that. Could you say it again?"
CANNOT_HEAR = "I cannot understand speech at the moment. You can write to me instead."

_loading = UserThread("stream-assistant")
"""One for the process: of two sessions that want a model, the second waits for it."""


class Assistant(ReplyOnPause):
    """Answers what is said, or typed, in words and in sound.

    responder: makes what says the answers, one for each session

    Options, of which any may be missing: ``recogniser`` and ``voice`` (names of engines), ``language`` (of Pico),
    ``greeting``, ``system_prompt``.
    """

    def __init__(self, responder: Callable[[], Responder] = RuleResponder, **turn_taking: Any) -> None:
        words_end_a_reply = {"interruption": InterruptionOptions(min_words=1, rejoin=True)}
        super().__init__(self.answer, self.greet, needs_args=True, **{**words_end_a_reply, **turn_taking})
        self._make_responder = responder
        self._begin_anew()

    def copy(self) -> Self:
        fresh = super().copy()
        fresh.fn, fresh.startup_fn = fresh.answer, fresh.greet
        fresh._begin_anew()
        return fresh

    def _begin_anew(self) -> None:
        self.chat: deque[dict[str, str]] = deque(maxlen=KEPT)
        """Messages as chat endpoints want them. What the assistant says is in it once it begins to be heard."""
        self._being_said = ""
        self._question: dict[str, str] | None = None
        """What was said last, if it was understood."""
        self._responder = self._make_responder()
        self._stt: SpeechToText | None = None
        self._tts: TextToSpeech | None = None
        self._ahead: tuple[float, asyncio.Task[str]] | None = None
        """When the last word ended, and the text up to there."""
        self._captions: Transcriber | None = None
        self._publishing: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        self._load()
        super().warm_up()

    def _load(self) -> None:
        """Without one of its engines the assistant still reads and writes; the log says what is missing."""
        self._stt = loaded(get_stt_model, self.options.get("recogniser") or MOONSHINE)
        self._tts = loaded(get_tts_model, self.options.get("voice") or PICO)
        self._responder.prepare()

    async def begin(self) -> None:
        await _loading.run(self._load)
        if self._stt is not None:
            self.recogniser = self._words_of
            self._captions = Transcriber(self._stt, self.input_sample_rate, self._caption)
        await super().begin()

    async def end(self) -> None:
        if self._captions is not None:
            self._captions.cancel()
        self._drop_ahead()
        await super().end()
        await self._responder.close()

    # -- what is heard ------------------------------------------------------------------------------------------

    async def handle(self, frame: Audio) -> None:
        talked = self._detector.talking
        await super().handle(frame)
        if talked and self._captions is not None:
            # At a pause, and over a reply, a recogniser at work would hold up the answer.
            self._captions.push(frame[1][0], ask=self._detector.speaking and not self.replying)

    def on_dtmf(self, key: str) -> None:
        """A key of the telephone is answered like words."""
        self.trigger_response(f"Key {key}.")

    async def _words_of(self, audio: Audio | None) -> str:
        return await recognise(self._stt, audio) if self._stt and audio else ""

    def _on_event(self, event: Event) -> None:
        super()._on_event(event)
        match event:
            case SpeechStarted() if self._captions is not None:
                self._captions.cancel()
                self._captions.push(self._detector.captured(), ask=False)
            case SpeechHesitated():
                self._recognise_ahead()
            case SpeechPaused():
                self._forget_captions()

    def _forget(self) -> None:
        super()._forget()
        self._forget_captions()

    def _forget_captions(self) -> None:
        self._being_said = ""
        if self._captions is not None:
            self._captions.cancel()

    def _recognise_ahead(self) -> None:
        """While it is being judged whether that was all, recognise it: if it was, the text is there."""
        ended, samples = self._detector.speech_ended, self._detector.captured()
        if self._ahead is not None and self._ahead[0] == ended:
            return
        self._drop_ahead()
        if samples.size <= AHEAD * self.input_sample_rate:
            recognition = self._words_of((self.input_sample_rate, samples[None, :]))
            self._ahead = ended, asyncio.create_task(recognition)

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead[1].cancel()
        self._ahead = None

    async def _recognised(self, audio: Audio | None) -> str:
        """The text of the utterance that is to be answered."""
        ahead, self._ahead = self._ahead, None
        timing = get_reply_timing()
        if ahead is not None and ahead[0] == timing.speech_ended and not timing.continues:
            return await ahead[1]
        return await self._words_of(audio)

    def _caption(self, text: str) -> None:
        """Show what somebody is saying while they say it."""
        self._being_said = text
        self._publishing = self._in_background(self._publish())

    # -- what is said -------------------------------------------------------------------------------------------

    async def greet(self) -> AsyncGenerator[AudioOut]:
        greeting = self.options.get("greeting", GREETING)
        words = greeting if self._stt else f"{greeting} {CANNOT_HEAR}".strip()
        async with aclosing(self._aloud(_whole(words))) as sound:
            async for audio in sound:
                yield audio

    async def answer(self, data: WebRTCData) -> AsyncGenerator[AudioOut]:
        async with aclosing(self._aloud(self._text(data))) as sound:
            async for audio in sound:
                yield audio

    async def _text(self, data: WebRTCData) -> AsyncGenerator[str]:
        """The words of the answer as they come, or of an excuse."""
        if not get_reply_timing().continues:
            self._question = None  # before recognition, in which this reply may end
        said = data.textbox.strip() or await self._recognised(data.audio)
        self._note("recognised")
        self._being_said = ""
        self._take_back()
        if not said:
            yield NOT_UNDERSTOOD if self._stt else CANNOT_HEAR
            return
        self._question = {"role": "user", "content": said[:LONGEST]}
        self.chat.append(self._question)
        await self._publish()
        answered = 0
        try:
            async with aclosing(self._responder.respond(self._messages())) as pieces:
                async for piece in pieces:
                    yield piece[: LONGEST - answered]
                    answered += len(piece)
                    if answered >= LONGEST:
                        return
        except ResponderError as error:
            logger.warning("Session %s: no answer: %s", self.port.id, error)
            yield f"… {error.spoken}" if answered else error.spoken

    def _take_back(self) -> None:
        """What was answered too soon is no message of its own, and neither is the answer."""
        if any(message is self._question for message in self.chat):
            while self.chat.pop() is not self._question:
                pass
        self._question = None

    async def _aloud(self, text: AsyncGenerator[str]) -> AsyncGenerator[AudioOut]:
        """Speak it sentence by sentence. Each is in the chat when it begins to be heard; at last, what was heard."""
        timing = get_reply_timing()
        message = {"role": "assistant", "content": ""}
        places: list[Place] = []
        silent = ""
        try:
            async with aclosing(text):
                async for sentence in _sentences(text):
                    self._note("worded")
                    silent = f"{silent} {sentence}".strip()
                    async with aclosing(self._sound(sentence)) as sound:
                        async for audio in sound:
                            if silent:
                                places.append((timing.generated_seconds, silent))
                                self.port.mark(partial(self._show, message, silent))
                                silent = ""
                            yield audio
            self.port.finish()
            await self.port.played()
            if silent:
                self._show(message, silent)
        finally:
            if timing.interrupted and message["content"]:
                message["content"] = heard_text(places, timing.generated_seconds, timing.heard_seconds)
                await self._publish()

    async def _sound(self, sentence: str) -> AsyncGenerator[AudioOut]:
        """Without a voice, or when it fails, what was to be said is read."""
        if self._tts is None:
            return
        try:
            async with aclosing(self._tts.stream_tts(sentence, self._voice_options())) as parts:
                async for audio in parts:
                    yield audio
        except (SynthesisFailed, EngineUnavailable) as error:
            logger.warning("Session %s: not spoken: %s", self.port.id, error)

    def _voice_options(self) -> PicoTTSOptions | None:
        if self.options.get("voice", PICO) != PICO:
            return None
        return PicoTTSOptions(self.options.get("language") or PicoTTSOptions.language)

    def _note(self, step: str) -> None:
        get_reply_timing().steps.setdefault(step, self.clock)

    # -- what is shown ------------------------------------------------------------------------------------------

    def _show(self, message: dict[str, str], text: str) -> None:
        """Let a message of the assistant's begin, or go on, with this text."""
        if not message["content"]:
            self.chat.append(message)
        message["content"] = f"{message['content']} {text}".strip()
        self._publishing = self._in_background(self._publish())

    async def _publish(self) -> None:
        so_far = self._being_said.rstrip(".?!")
        saying = [{"role": "user", "content": f"{so_far} …"}] if so_far else []
        await self.port.play(AdditionalOutputs([*map(dict, self.chat), *saying]))

    def _messages(self) -> list[Message]:
        prompt = self.options.get("system_prompt") or SYSTEM_PROMPT
        return [{"role": "system", "content": prompt}, *map(dict, self.chat)]


Place = tuple[float, str]
"""Where in the audio of a reply a text begins, in seconds, and the text."""


def heard_text(places: Sequence[Place], seconds: float, heard: float) -> str:
    """Return the words of a reply of which so many of its ``seconds`` were ``heard``, and "…" where it broke off."""
    words = []
    for (start, text), end in zip(places, [*(start for start, _ in places[1:]), seconds], strict=True):
        if heard >= end:
            words.append(text)
            continue
        share = (heard - start) / (end - start) if heard > start else 0.0
        words += [*text.split()[: int(share * len(text.split()))], "…"]
        break
    return " ".join(words)


async def _sentences(text: AsyncGenerator[str]) -> AsyncGenerator[str]:
    splitter = SentenceSplitter()
    async for piece in text:
        for sentence in splitter.push(piece):
            yield sentence
    for sentence in splitter.flush():
        yield sentence


async def _whole(text: str) -> AsyncGenerator[str]:
    yield text


def loaded(load: Callable[[str], T], name: str) -> T | None:
    """The engine, or None where it cannot work; the log says what to do."""
    try:
        return load(name)
    except (UnknownEngine, EngineUnavailable, WeightsMissing) as error:
        logger.warning("The assistant does without %s: %s", name, error)
        return None
