"""What the consumers of a session's socket have in common."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

MAX_MISTAKES = 20
"""Messages that cannot be understood, after which the socket is closed."""
POLICY_VIOLATION = 4008
"""1008 in the range for applications: of the lower codes daphne's WebSockets can send 1000 alone."""


class SocketTransport(Protocol):
    def gone(self) -> None:
        """The client has closed the socket."""


class SocketConsumer(AsyncWebsocketConsumer):
    """One socket, one session, once ``transport`` is set."""

    transport: SocketTransport | None = None
    mistakes = 0
    closing = False
    """Nothing is read or sent any more, though the client may not know yet."""
    patience: asyncio.TimerHandle | None = None
    """Runs until the session has started."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the socket directly.

        Channels' own loop costs two tasks for each message and its dispatch a hop through the database thread; these
        consumers listen to nothing but their socket.
        """
        self.scope, self.base_send = scope, send
        self.channel_layer = None
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.receive":
                    await self.receive(message.get("text"), message.get("bytes"))
                else:
                    await self.dispatch(message)
        except StopConsumer:
            return
        finally:  # also when this raises, or the server cancels it: the session must not outlive its socket
            if self.patience is not None:
                self.patience.cancel()
            if self.transport is not None:
                self.transport.gone()

    async def write(self, data: str | bytes) -> None:
        if self.closing:
            return
        await self.base_send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        if not self.closing:
            self.closing = True
            await super().close(code, reason)
