"""Turn taking as on the radio: the user may pause as long as they like, and "over" ends the turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from streams.media.audio import Audio, Samples
from streams.media.pauses import SpeechPaused
from streams.media.reply_on_words import ReplyOnWords
from streams.media.stop_words import StopWords


class WalkieTalkie(ReplyOnWords):
    """Calls ``fn(audio)`` with all that the user has said since the last turn when its last word is ``over``.

    It is looked for at each pause, so "come over here" goes on. The word is in the audio, too.
    English only.

    over: the word or phrase, or several
    longest: seconds from the first word after which a pause ends the turn whatever was said
    tolerance: letters that may be misspelt, see StopWords
    All else is ReplyOnWords's; ``phrases`` may be overridden.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        over: str | Sequence[str] = "over",
        *args: Any,
        longest: float = 60.0,
        tolerance: int = 0,
        **kwargs: Any,
    ) -> None:
        words = StopWords([over] if isinstance(over, str) else over, tolerance)
        super().__init__(fn, *args, words=words, **kwargs)
        self.over = over
        self.longest = longest
        self._heard: list[SpeechPaused] = []

    async def begin(self) -> None:
        self._heard = []
        options = self.algo_options
        at_once = min(options.max_continuous_speech_s, self.longest)
        self.algo_options = dataclasses.replace(options, max_continuous_speech_s=at_once)
        await super().begin()

    async def handle(self, frame: Audio) -> None:
        await super().handle(frame)
        if self._heard and not self._detector.talking and self._too_long():
            self._stop_asking()
            self._answer()

    def _paused(self, paused: SpeechPaused) -> None:
        if self._subclass is not None:
            super()._paused(paused)
            return
        self._heard.append(paused)
        self._stop_asking()  # the next question is about all of it
        if self._too_long() or self._detector.talking:  # they do not even pause
            self._answer()
        else:
            self._work = self._in_background(self._answer_if_over())

    def _too_long(self) -> bool:
        return self._detector.clock - self._heard[0].began >= self.longest

    async def _answer_if_over(self) -> None:
        if self._phrases.at_end(await self._text(self._joined())) is not None:
            self._answer()

    def _answer(self) -> None:
        whole = dataclasses.replace(self._heard[-1], audio=self._joined(), began=self._heard[0].began)
        self._heard = []
        super()._paused(whole)

    def _joined(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *(part.audio for part in self._heard)])

    def _said_so_far(self) -> Samples:
        return np.concatenate([self._joined(), super()._said_so_far()])

    def _forget(self) -> None:
        self._stop_asking()
        self._heard = []
        super()._forget()
