"""Speech to text: what an engine is, how it is asked without disturbing anybody, and text while somebody speaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Samples
from streams.media.context import current_context
from streams.media.speech.engines import load_engine
from streams.media.speech.fair_pool import FairPool

logger = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds of new audio between two partial texts."""


class SpeechToText(Protocol):
    """A speech recogniser. One serves all sessions of a process, so several threads may ask it at once."""

    def stt(self, audio: tuple[int, NDArray[Any]]) -> str:
        """Return what is said in (rate in Hz, array); "" where nobody speaks. Called in a thread, and may take long.

        The array is int16 or float in [-1, 1], of shape (n,), (1, n) or (2, n); n may be 0.
        """


def get_stt_model(model: str = "moonshine/base") -> SpeechToText:
    """Load a recogniser by name, once per process.

    "moonshine/tiny", "moonshine/base", or what a plug-in is called. Raises UnknownEngine, or weights.WeightsMissing
    with the command that fetches them.
    """
    engine: SpeechToText = load_engine("stt", model)
    return engine


async def recognise(model: SpeechToText, audio: tuple[int, NDArray[Any]], speaker: Hashable = None) -> str:
    """Ask the model in a thread of this module's.

    While the threads are busy, speakers are served by turns, however much each of them asks. speaker: the session
    that asks, where it is not the one whose handler is running. Cancelled while it waits, the question is not asked.
    """
    context = current_context.get(None)
    speaker = speaker or (context and context.webrtc_id) or object()
    return await _pool.run(speaker, model.stt, audio)


_pool = FairPool("stream-recognition", gives_way=True)


class Transcriber:
    """Text of one speaker's utterances while they speak. Belongs to the event loop.

    model: what recognises. rate: of the samples in Hz. partial: called in the loop with the text so far, each time it
    has changed. The utterance so far is recognised anew after each half second of it, but never more than one time at
    once, nor for more than half of the time: on a busy machine partial texts become rare, and the last one is no later.
    """

    def __init__(self, model: SpeechToText, rate: int, partial: Callable[[str], object] | None = None) -> None:
        self.model = model
        self.rate = rate
        self.text = ""
        """What was heard up to now."""
        self._partial = partial
        self._heard: list[Samples] = []
        self._new = 0
        self._not_before = 0.0
        self._listening: asyncio.Task[None] | None = None

    def push(self, samples: Samples, ask: bool = True) -> None:
        """Take what was said next: mono int16 of shape (n,). ask: whether this is a moment for a partial text."""
        self._heard.append(samples)
        self._new += samples.size
        if not ask or self._partial is None or self._listening is not None or self._new < EVERY * self.rate:
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._not_before:
            self._new = 0
            self._listening = loop.create_task(self._listen(), name="stream-transcriber")

    async def finish(self, audio: tuple[int, NDArray[Any]] | None = None) -> str:
        """Return the text of the whole utterance: ``audio``, or else what was pushed. The next one may begin."""
        heard = audio or (self.rate, self._utterance())
        self.cancel()
        return await recognise(self.model, heard, self)

    def cancel(self) -> None:
        """Forget the utterance. No partial text of it comes any more."""
        if self._listening is not None:
            self._listening.cancel()
        self._listening, self._heard, self._new, self._not_before, self.text = None, [], 0, 0.0, ""

    async def _listen(self) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        try:
            text = await recognise(self.model, (self.rate, self._utterance()), self)
            if text != self.text and self._partial is not None:
                self.text = text
                self._partial(text)
        except Exception:
            # The text of the whole utterance is asked for in any case, and tells whoever waits for it.
            logger.exception("What is being said could not be recognised.")
        finally:
            if self._listening is asyncio.current_task():
                self._listening = None
                self._not_before = 2 * now() - began

    def _utterance(self) -> Samples:
        return np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)
