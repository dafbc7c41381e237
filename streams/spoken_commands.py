"""Streams that words govern: what follows a stop word, or what "over" ends, is answered by the assistant's rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from streams.assistant import MOONSHINE, NOT_UNDERSTOOD, PICO, loaded
from streams.media import AdditionalOutputs, ReplyOnStopWords, WalkieTalkie, get_current_context
from streams.media.audio import Audio
from streams.media.outputs import Emitted
from streams.media.reply_on_words import ReplyOnWords
from streams.media.speech.recognition import get_stt_model, recognise
from streams.media.speech.synthesis import get_tts_model
from streams.media.stop_words import StopWords
from streams.media.threads import UserThread
from streams.responders import RuleResponder

_loading = UserThread("stream-commands")
"""Engines that failed are tried again, which may take long."""


class CommandHandler(ReplyOnWords):
    """Has its phrases and engines from the stream's options: ``phrases``, ``tolerance``, ``recogniser``, ``voice``."""

    def phrases(self, options: Mapping[str, Any]) -> StopWords:
        return phrases_in(options) if options.get("phrases") else super().phrases(options)

    def load(self) -> None:
        self.stt_model = get_stt_model(self.options.get("recogniser") or MOONSHINE)
        loaded(get_tts_model, self.options.get("voice") or PICO)
        super().load()


class StopWordCommands(CommandHandler, ReplyOnStopWords):
    """Answers what follows a stop word."""


class RadioCommands(CommandHandler, WalkieTalkie):
    """Answers what ends with "over"."""


def phrases_in(options: Mapping[str, Any]) -> StopWords:
    """The phrases of an options form, which are separated by commas. Raises ValueError."""
    phrases = [phrase.strip() for phrase in options["phrases"].split(",")]
    return StopWords([phrase for phrase in phrases if phrase], options.get("tolerance") or 0)


async def obey(audio: Audio) -> AsyncGenerator[Emitted]:
    """Write down what was said, and answer it in words and in sound."""
    options = get_current_context().options
    said = await recognise(await _loading.run(get_stt_model, options["recogniser"]), audio)
    if ending := phrases_in(options).at_end(said):  # "… over" is no part of it
        said = said[: ending.start].rstrip(" ,")
    answer = RuleResponder().answer([{"role": "user", "content": said}]) if said else NOT_UNDERSTOOD
    question = [{"role": "user", "content": said}] if said else []
    yield AdditionalOutputs([*question, {"role": "assistant", "content": answer}])
    voice = await _loading.run(loaded, get_tts_model, options["voice"])
    if voice is not None:
        async with aclosing(voice.stream_tts(answer)) as sound:
            async for part in sound:
                yield part
