"""Start and stop with the server.

daphne has no ASGI lifespan, and cancels only application instances when it stops: without the trigger below, clients
would hear nothing and sessions would die without their ``finally``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from streams.live.manager import manager
from streams.media.session import Reason

SHUTDOWN_SECONDS = 4.0
LAST_SECONDS = 0.5


def install(on_start: Callable[[], None], on_stop: Callable[[], Awaitable[None]]) -> None:
    """Hook into daphne's reactor, if daphne is what runs this process. ``on_stop`` comes after the last session."""
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None or "daphne.server" not in sys.modules:
        return
    reactor.callWhenRunning(on_start)
    reactor.addSystemEventTrigger("before", "shutdown", partial(_close_sessions, on_stop))


def _close_sessions(on_stop: Callable[[], Awaitable[None]]) -> object:
    from twisted.internet.defer import Deferred

    return Deferred.fromFuture(asyncio.ensure_future(_close(on_stop)))


async def _close(on_stop: Callable[[], Awaitable[None]]) -> None:
    await manager.close_all(Reason.SERVER_SHUTDOWN, SHUTDOWN_SECONDS)
    await asyncio.wait({asyncio.ensure_future(on_stop())}, timeout=LAST_SECONDS)
    # aiortc cancels tasks without awaiting them. One that is still suspended when the interpreter tears down is closed
    # by the garbage collector, which has crashed the process.
    remaining = asyncio.all_tasks() - {asyncio.current_task()}
    for task in remaining:
        task.cancel()
    if remaining:
        await asyncio.wait(remaining, timeout=LAST_SECONDS)
