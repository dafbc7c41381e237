"""An event loop whose clock jumps to the next timer when there is nothing else to do.

An hour of a conversation passes in a moment, and always in the same order. While user code runs in a thread the clock
stands still, so that what a thread does takes no time, unless it waits at a Gate.
"""

import asyncio
import contextlib
import selectors
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from streams.media.threads import UserThread

MAX_JUMPS = 500_000
_this = threading.local()


class Stuck(RuntimeError):
    """The test waits for something that will never happen."""


class _Selector(selectors.SelectSelector):
    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.loop.threads_at_work():
            return super().select(None)  # a thread wakes us when it is done
        self.loop.jump(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self._now = 1000.0
        self._jumps = 0
        self.jobs: Counter[UserThread] = Counter()
        self.at_gates: set[UserThread] = set()
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float | None) -> None:
        self._jumps += 1
        if seconds is None or self._jumps > MAX_JUMPS:
            raise Stuck("Nothing that the test waits for will happen.")
        self._now += seconds

    def threads_at_work(self) -> bool:
        return any(count and thread not in self.at_gates for thread, count in self.jobs.items())

    def job_done(self, thread: UserThread) -> None:
        self.jobs[thread] -= 1


class Gate:
    """Where user code blocks in its thread until the test opens it. Time goes on meanwhile."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self._loop = loop
        self._open = threading.Event()
        self._waiting: set[UserThread] = set()
        self.reached = asyncio.Event()

    def wait(self) -> None:
        """Called in the thread."""
        with contextlib.suppress(RuntimeError):  # the test is over
            self._loop.call_soon_threadsafe(self._arrive, _this.thread)
        self._open.wait()

    def _arrive(self, thread: UserThread) -> None:
        self.reached.set()
        if not self._open.is_set():
            self._waiting.add(thread)
            self._loop.at_gates.add(thread)

    def open(self) -> None:
        self._loop.at_gates -= self._waiting
        self._open.set()


def count_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let virtual loops know of the jobs in user threads."""
    submit = UserThread.submit

    def counting(self: UserThread, job: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualTimeLoop):
            return submit(self, job)
        loop.jobs[self] += 1

        def counted() -> None:
            _this.thread = self
            try:
                job()
            finally:
                with contextlib.suppress(RuntimeError):  # the test is over
                    loop.call_soon_threadsafe(loop.job_done, self)

        submit(self, counted)

    monkeypatch.setattr(UserThread, "submit", counting)


async def settled() -> None:
    """Let everything happen that happens now: all but timers."""
    for _ in range(5):
        await asyncio.sleep(1e-6)


def now() -> float:
    return asyncio.get_running_loop().time()
