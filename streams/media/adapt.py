"""What may be registered as a handler, brought to one shape."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from streams.media.functions import is_coroutine
from streams.media.handlers import Handler, StreamHandlerBase
from streams.media.replying import AudioGenerator
from streams.media.threads import UserThread
from streams.media.video import VideoHandler, VideoStreamHandler


def as_handler(handler: Handler | Callable[..., Any], modality: str, mode: str) -> Handler:
    """Return a prototype for sessions. Raises TypeError, in words, for one that does not fit modality and mode."""
    if not isinstance(handler, Handler):
        handler = _wrapped(handler, modality, mode)
    hears, sees = isinstance(handler, StreamHandlerBase), isinstance(handler, VideoHandler)
    if (hears, sees) != (modality != "video", modality != "audio"):
        fitting = {"audio": "audio", "video": "video", "audio-video": "audio and video"}[modality]
        raise TypeError(f"{type(handler).__name__} is no handler for {fitting}, which modality {modality!r} needs.")
    if isinstance(handler, AudioGenerator) and mode != "receive":
        raise TypeError('A generator function plays to a client that only listens: register it with mode="receive".')
    return handler


def _wrapped(function: Callable[..., Any], modality: str, mode: str) -> Handler:
    if not callable(function):
        raise TypeError(f"{function!r} is neither a handler nor a function.")
    if modality == "video":
        return VideoStreamHandler(function)
    if modality == "audio" and mode == "receive":
        return AudioGenerator(function)
    needed = "AudioVideoStreamHandler" if modality == "audio-video" else "ReplyOnPause(function) or a StreamHandler"
    raise TypeError(
        f"Modality {modality!r} in mode {mode!r} needs {needed}; a plain function cannot say when it is asked."
    )


def as_async(function: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """Return what calls ``function``, sync or async; a sync one in a thread of its own."""

    @functools.wraps(function)
    async def call() -> Any:
        if is_coroutine(function):
            return await function()
        thread = UserThread(f"stream-{getattr(function, '__name__', 'function')}")
        try:
            result = await thread.run(function)
        finally:
            thread.stop()
        return await result if inspect.isawaitable(result) else result  # a lambda around an async function

    return call
