"""Text to speech, sentence by sentence: the first is heard while the rest is still being written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Audio, Samples
from streams.media.replies import END, close_generator
from streams.media.speech.engines import load_engine
from streams.media.speech.fair_pool import FairPool
from streams.media.speech.sentences import SentenceSplitter, sentences, speakable
from streams.media.threads import UserThread

Text = str | Iterable[str] | AsyncIterable[str]
"""What is to be said, whole or in pieces of any size, as language models write it."""

Options = TypeVar("Options")
T = TypeVar("T")


class TextToSpeech(Protocol):
    """What `get_tts_model` returns. Arrays are int16, or float32 in [-1, 1], of shape (n,) or (1, n)."""

    def tts(self, text: str, options: Any = None) -> tuple[int, NDArray[Any]]:
        """Return (sample rate, all of it). No samples if there is nothing to say. Blocks."""

    def stream_tts_sync(self, text: str | Iterable[str], options: Any = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield it in parts, each as soon as there is text enough. Blocks."""

    def stream_tts(self, text: Text, options: Any = None) -> AsyncGenerator[tuple[int, NDArray[Any]], None]:
        """The same in the event loop, without blocking it. Closing the generator ends the synthesis and the text."""


def get_tts_model(model: str = "pico", **options: Any) -> TextToSpeech:
    """Return the engine of this name, loaded once per process.

    options: the engine's own, such as ``cartesia_api_key``

    Raises engines.UnknownEngine, and engines.EngineUnavailable when something that it needs is missing.
    """
    engine: TextToSpeech = load_engine("tts", model, **options)
    return engine


class SynthesisFailed(RuntimeError):
    """The engine could not say this text; the message says why."""


_pool = FairPool("stream-synthesis")


class Synthesizer(ABC, Generic[Options]):
    """TextToSpeech for an engine that can `say` one sentence. Its audio is int16 of shape (1, n).

    options_class: a dataclass with a default for each of its fields
    """

    options_class: type[Options]

    @abstractmethod
    def rate(self, options: Options) -> int:
        """The sample rate in Hz."""

    @abstractmethod
    def say(self, text: str, options: Options) -> Samples:
        """Return a sentence as mono int16. Called in several threads at once. Raises SynthesisFailed."""

    def parts(self, text: str, options: Options) -> Iterator[Samples]:
        """Say a sentence in parts, where the engine can."""
        yield self.say(text, options)

    async def async_parts(self, text: str, options: Options) -> AsyncGenerator[Samples, None]:
        # A stream asks for one sentence at a time, so streams take turns. Cancelled while it waits, it is never said.
        yield await _pool.run(object(), self.say, text, options)

    def tts(self, text: str, options: Options | None = None) -> Audio:
        parts = [samples for _, samples in self.stream_tts_sync(text, options)]
        silence = np.zeros((1, 0), np.int16)
        return self.rate(self._chosen(options)), np.concatenate([silence, *parts], axis=1)

    def stream_tts_sync(self, text: str | Iterable[str], options: Options | None = None) -> Iterator[Audio]:
        chosen = self._chosen(options)
        if isinstance(text, AsyncIterable):
            raise TypeError("Text that comes asynchronously needs stream_tts; stream_tts_sync cannot wait for it.")
        for sentence in filter(None, map(speakable, sentences(text))):
            for samples in self.parts(sentence, chosen):
                if samples.size:
                    yield self.rate(chosen), samples[None]

    async def stream_tts(self, text: Text, options: Options | None = None) -> AsyncGenerator[Audio, None]:
        chosen = self._chosen(options)
        async with aclosing(_async_sentences(text)) as spoken:
            async for sentence in spoken:
                async with aclosing(self.async_parts(sentence, chosen)) as parts:
                    async for samples in parts:
                        if samples.size:
                            yield self.rate(chosen), samples[None]

    def _chosen(self, options: Options | None) -> Options:
        if options is None:
            return self.options_class()
        if not isinstance(options, self.options_class):
            expected, found = self.options_class.__name__, type(options).__name__
            raise TypeError(f"{type(self).__name__} takes {expected}, not {found}.")
        return options


async def _async_sentences(text: Text) -> AsyncGenerator[str, None]:
    splitter = SentenceSplitter()
    async with aclosing(_pieces(text)) as pieces:
        async for piece in pieces:
            for sentence in filter(None, map(speakable, splitter.push(piece))):
                yield sentence
    for sentence in filter(None, map(speakable, splitter.flush())):
        yield sentence


async def _pieces(text: Text) -> AsyncGenerator[str, None]:
    """The text as it comes. Closed early, it closes the text too: nobody listens to the model's answer any more."""
    if isinstance(text, str | list | tuple):
        for piece in [text] if isinstance(text, str) else text:
            yield piece
    elif isinstance(text, AsyncIterable):
        iterator = aiter(text)
        try:
            async for piece in iterator:
                yield piece
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
    else:  # it may wait for the network at each step
        async with aclosing(in_thread(iter(text), "stream-text")) as pieces:
            async for piece in pieces:
                yield piece


async def in_thread(items: Iterator[T], name: str) -> AsyncGenerator[T, None]:
    """Iterate over what blocks in a thread of its own, and close it there when nobody wants more."""
    thread = UserThread(name)
    try:
        while (item := await thread.run(next, items, END)) is not END:
            yield cast(T, item)
    finally:
        thread.submit(lambda: close_generator(items))
        thread.stop()
