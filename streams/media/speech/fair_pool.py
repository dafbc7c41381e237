"""A few threads that are shared fairly: those who wait are served by turns, however much each of them asks."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from streams.media.threads import UserThread

T = TypeVar("T")

THREADS = min(2, os.cpu_count() or 1)
"""More would only take the processor from whoever is being heard."""


class FairPool:
    """THREADS threads of one name, for any number of event loops. ``gives_way``: see UserThread."""

    def __init__(self, name: str, *, gives_way: bool = False) -> None:
        self._name = name
        self._threads = [UserThread(name, gives_way=gives_way) for _ in range(THREADS)]
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _FairQueue] = WeakKeyDictionary()

    async def run(self, speaker: Hashable, function: Callable[..., T], *args: Any) -> T:
        """Call ``function`` in a thread, in its speaker's turn. Cancelled while it waits, it is never called."""
        queue = self._queues.setdefault(asyncio.get_running_loop(), _FairQueue(self._name, self._threads))
        return await queue.run(speaker, function, *args)


class _FairQueue:
    """Runs what is asked on a few threads, and takes those who wait by turns. Belongs to one event loop."""

    def __init__(self, name: str, threads: Sequence[UserThread]) -> None:
        self._name = name
        self._idle = list(threads)
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[UserThread]]] = OrderedDict()

    async def run(self, speaker: Hashable, function: Callable[..., T], *args: Any) -> T:
        thread = await self._thread(speaker)
        # Whoever asked may be cancelled; the thread is busy until it has the answer.
        job = asyncio.create_task(thread.run(function, *args), name=self._name)
        job.add_done_callback(lambda _: self._hand_over(thread))
        return await asyncio.shield(job)

    async def _thread(self, speaker: Hashable) -> UserThread:
        if self._idle:
            return self._idle.pop()
        turn: asyncio.Future[UserThread] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(speaker, deque()).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came in the same moment
                self._hand_over(turn.result())
            raise

    def _hand_over(self, thread: UserThread) -> None:
        while self._waiting:
            speaker, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[speaker] = turns  # behind the others
            if not turn.cancelled():
                turn.set_result(thread)
                return
        self._idle.append(thread)
