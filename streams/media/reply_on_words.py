"""What turn taking by words has in common: a recogniser that is asked about what the user has just said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from streams.media.audio import Samples
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.speech.recognition import SpeechToText, get_stt_model, recognise
from streams.media.threads import UserThread

STT_MODEL = "moonshine/tiny"
HEARD = 3.0
"""Seconds of audio that the recogniser is asked about: enough for a phrase and what is around it."""

_loading = UserThread("stream-words")


class ReplyOnWords(ReplyOnPause):
    """Of all that is said, words decide what is answered.

    stt_model: the recogniser; Moonshine tiny when it is None, loaded once per process
    All else is ReplyOnPause's, in its order.
    """

    def __init__(
        self, fn: Callable[..., Any], *args: Any, stt_model: SpeechToText | None = None, **kwargs: Any
    ) -> None:
        super().__init__(fn, *args, **kwargs)
        self.stt_model = stt_model

    def warm_up(self) -> None:
        super().warm_up()
        self._load()

    def _load(self) -> None:
        """Raises weights.WeightsMissing."""
        self.stt_model = self.stt_model or get_stt_model(STT_MODEL)

    async def begin(self) -> None:
        self._work: asyncio.Task[None] | None = None
        # Off the loop: the first session of a stream may be the first that wants the model.
        await _loading.run(self._load)
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
