"""A thread of its own for user code that may block."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

GIVING_WAY = 10
"""Niceness of what computes for long: the event loop, which has 20 ms for everybody's audio, comes first."""


class UserThread:
    """Runs callables one after the other, off the event loop.

    A daemon thread: user code that never returns cannot keep the process from exiting. The loop's default executor
    is no place for it, since aiortc encodes there and a few blocked handlers would silence everybody.

    gives_way: for work that keeps a core busy. The event loop is served first where there are too few of them.
    """

    def __init__(self, name: str, *, gives_way: bool = False) -> None:
        self._name = name
        self._gives_way = gives_way
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call ``function`` with the caller's context variables and await its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def job() -> None:
            try:
                result = context.run(function, *args)
            except BaseException as error:  # noqa: BLE001 - whatever user code raises belongs to the awaiting task
                _deliver(loop, future, _set_exception, error)
            else:
                _deliver(loop, future, _set_result, result)

        self.submit(job)
        return await future

    def submit(self, job: Callable[[], object]) -> None:
        """Queue ``job``, which must not raise, and do not wait for it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def stop(self) -> None:
        """End the thread after the jobs it has, if they ever return."""
        self._jobs.put(None)

    def _work(self) -> None:
        if self._gives_way:
            give_way()
        while (job := self._jobs.get()) is not None:
            job()


def give_way() -> None:
    """Let the other threads of this process go first. Only on Linux does a thread have a priority of its own."""
    if sys.platform == "linux":
        os.nice(GIVING_WAY)


def raise_if_cancelled(error: BaseException) -> None:
    """User code that awaits its own cancelled task raises CancelledError too; only ours ends the task."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def _deliver(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], setter: Callable[[Any, Any], None], value: object
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
        loop.call_soon_threadsafe(setter, future, value)


def _set_result(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        # Futures refuse StopIteration; SystemExit would end the loop, CancelledError the awaiting task.
        if isinstance(error, StopIteration) or not isinstance(error, Exception):
            wrapped = RuntimeError(f"User code raised {type(error).__name__}.")
            wrapped.__cause__ = error
            error = wrapped
        future.set_exception(error)
