"""What turn taking by words has in common: a recogniser that is asked about what the user has just said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from streams.media.audio import Samples
from streams.media.errors import WebRTCError
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.speech.engines import EngineUnavailable, UnknownEngine
from streams.media.speech.recognition import SpeechToText, get_stt_model, recognise
from streams.media.stop_words import StopWords
from streams.media.threads import UserThread
from streams.media.weights import WeightsMissing

STT_MODEL = "moonshine/tiny"
HEARD = 3.0
"""Seconds of audio that the recogniser is asked about: enough for a phrase and what is around it."""

CANNOT_HEAR = "This stream cannot understand speech at the moment. Please try again later."

_loading = UserThread("stream-words")


class ReplyOnWords(ReplyOnPause):
    """Of all that is said, words decide what is answered.

    words: the phrases, and how exactly they must be said
    stt_model: the recogniser or its name; Moonshine tiny when it is None, loaded once per process
    All else is ReplyOnPause's, in its order.

    ``phrases`` may be overridden.
    """

    _work: asyncio.Task[None] | None = None

    def __init__(
        self,
        fn: Callable[..., Any],
        *args: Any,
        words: StopWords,
        stt_model: SpeechToText | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fn, *args, **kwargs)
        self._phrases = words
        self.stt_name = stt_model if isinstance(stt_model, str) else STT_MODEL
        self.stt_model = None if isinstance(stt_model, str) else stt_model

    def phrases(self, options: Mapping[str, Any]) -> StopWords:
        """What a session with these options of its stream listens for; by itself, what the constructor was given."""
        return self._phrases

    def warm_up(self) -> None:
        super().warm_up()
        self.load()

    def load(self) -> None:
        """Get ready what takes time; called in a thread. Raises WeightsMissing, EngineUnavailable, UnknownEngine."""
        self.stt_model = self.stt_model or get_stt_model(self.stt_name)

    async def begin(self) -> None:
        self._phrases = self.phrases(self.options)
        try:
            # Off the loop: the first session of a stream may be the first that wants the model.
            await _loading.run(self.load)
        except (WeightsMissing, EngineUnavailable, UnknownEngine) as error:
            raise WebRTCError(CANNOT_HEAR) from error
        await super().begin()

    async def end(self) -> None:
        self._stop_asking()
        await super().end()

    def _stop_asking(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _text(self, audio: Samples) -> str:
        """Return the words in the last HEARD seconds of ``audio``."""
        assert self.stt_model is not None
        heard = audio[-round(HEARD * self.input_sample_rate) :]
        return await recognise(self.stt_model, (self.input_sample_rate, heard))
