"""The socket that carries a call's audio."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from streams.daphne_socket import DaphneSocket
from streams.media.errors import StreamsError
from telephony import services
from telephony.media_streams import Media, ProtocolError, Started, Stopped
from telephony.providers import get_provider
from telephony.services import CallRefused
from telephony.transport import TelephoneTransport

logger = logging.getLogger(__name__)

START_SECONDS = 10.0
"""After which a socket that has not started a call is closed."""
MAX_MISTAKES = 20
POLICY_VIOLATION = 4008


class CallConsumer(AsyncWebsocketConsumer):
    """One socket, one call."""

    transport: TelephoneTransport | None = None
    mistakes = 0
    closing = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the socket directly; see streams.consumers.AudioConsumer."""
        self.scope, self.base_send = scope, send
        self.channel_layer = None
        self.provider = get_provider(scope["url_route"]["kwargs"]["provider"])
        self.codec = self.provider.codec()
        patience = asyncio.get_running_loop().call_later(START_SECONDS, self._give_up)
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.receive":
                    await self.receive(message.get("text"))
                    if self.transport is not None:
                        patience.cancel()
                else:
                    await self.dispatch(message)
        except StopConsumer:
            return
        finally:
            patience.cancel()
            if self.transport is not None:
                self.transport.gone()

    def _give_up(self) -> None:
        self._giving_up = asyncio.ensure_future(self.refuse("The socket started no call."))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closing:
            return
        try:
            event = self.codec.parse(text_data or "")
            if isinstance(event, Started):
                await self.start(event)
            elif self.transport is not None:
                self.transport.receive(event)
            if isinstance(event, Stopped):
                await self.close()
        except ProtocolError as error:
            self.mistakes += 1
            if self.mistakes >= MAX_MISTAKES:
                await self.refuse(str(error))
        except (CallRefused, StreamsError) as error:
            await self.refuse(str(error))

    async def start(self, started: Started) -> None:
        if self.transport is not None:
            raise ProtocolError("The call has started already.")
        socket = DaphneSocket.below(self.base_send)
        write = self.write if socket is None else socket.send
        self.transport = await services.connect(self.provider, self.codec, started, write, self.close)
        if socket is not None:
            socket.listen(self.take)

    def take(self, data: bytes, binary: bool) -> bool:
        """Audio by the short way. False for everything else, and for what there is something to say about."""
        if binary or self.transport is None or self.closing:
            return False
        try:
            event = self.codec.parse(data.decode())
        except ValueError:
            return False
        if not isinstance(event, Media):
            return False
        self.transport.receive(event)
        return True

    async def refuse(self, why: str) -> None:
        if not self.closing:
            logger.warning("Media socket of %s closed: %s", self.provider.name, why)
            await self.close(POLICY_VIOLATION)

    async def write(self, text: str) -> None:
        if not self.closing:
            await self.base_send({"type": "websocket.send", "text": text})

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        if not self.closing:
            self.closing = True
            await super().close(code, reason)
