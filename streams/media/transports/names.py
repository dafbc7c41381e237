"""Whether the names of STUN and TURN servers resolve.

aioice looks names up in the loop's default executor, where aiortc encodes. While a name server is silent each offer
would hold a thread of it for many seconds, and a few offers would stop everybody's pictures. So a name is asked for
here first, in one thread, and once for all who wait.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

from streams.media.threads import UserThread


class NameGate:
    def __init__(self) -> None:
        self._thread = UserThread("ice-names")
        self._asking: dict[str, asyncio.Task[Any]] = {}

    async def passes(self, host: str) -> None:
        """Return when the name resolves. Raises OSError when it does not."""
        if is_address(host):
            return
        asking = self._asking.get(host)
        if asking is None or asking.get_loop() is not asyncio.get_running_loop():
            asking = asyncio.create_task(self._thread.run(socket.getaddrinfo, host, None))
            self._asking[host] = asking
            asking.add_done_callback(lambda task: self._answered(host, task))
        await asyncio.shield(asking)

    def _answered(self, host: str, task: asyncio.Task[Any]) -> None:
        if self._asking.get(host) is task:
            del self._asking[host]
        if not task.cancelled():
            task.exception()  # those who asked may have gone


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


name_gate = NameGate()
