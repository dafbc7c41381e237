"""One run of a reply: a generator of the user's, sync or async, that can be cancelled at any moment."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from streams.media.functions import is_async_generator, is_coroutine
from streams.media.outputs import Emitted
from streams.media.threads import UserThread

logger = logging.getLogger(__name__)

Play = Callable[[Emitted], Awaitable[None]]
END = object()


class Reply:
    """Runs ``function(*args)`` and plays what it yields, until it ends, raises or is cancelled.

    ``function`` is a generator function, an async generator function, or one that returns a single item (sync or
    async). Sync code runs in a thread of its own: cancelling cannot interrupt it in the middle of a step, so the thread
    finishes that step, closes the generator, and what the step yielded is dropped.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], play: Play) -> None:
        self._function = function
        self._args = args
        self._play = play
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    async def run(self) -> None:
        """Play the whole reply. Raises what the user's code raises."""
        if is_async_generator(self._function):
            await self._run_async(self._function(*self._args))
        elif is_coroutine(self._function):
            await self._play(await self._function(*self._args))
        else:
            await self._run_sync()

    async def _run_async(self, items: AsyncIterator[Any]) -> None:
        try:
            async for item in items:
                await self._play(item)
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    async def _run_sync(self) -> None:
        thread = UserThread("stream-reply")
        try:
            produced = await thread.run(self._function, *self._args)
            if inspect.isawaitable(produced):
                produced = await produced
            if inspect.isasyncgen(produced):
                await self._run_async(produced)
            elif not isinstance(produced, Iterator):
                await self._play(produced)
            else:
                await self._drain(thread, produced)
        finally:
            thread.stop()

    async def _drain(self, thread: UserThread, items: Iterator[Emitted]) -> None:
        try:
            while (item := await thread.run(self._step, items)) is not END:
                await self._play(item)
        except asyncio.CancelledError:
            self.cancel()
            thread.submit(lambda: close_generator(items))
            raise

    def _step(self, items: Iterator[Emitted]) -> Any:
        return END if self._cancelled.is_set() else next(items, END)


def close_generator(items: Iterator[Any]) -> None:
    """Run a generator's ``finally`` blocks, in the thread that runs its steps. What they raise is logged."""
    try:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    except Exception:
        logger.exception("A generator raised while it was being closed")
