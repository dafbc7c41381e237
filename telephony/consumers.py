"""The socket that carries a call's audio."""

from __future__ import annotations

import asyncio
import logging

from streams.daphne_socket import DaphneSocket
from streams.media.errors import StreamsError
from streams.socket_consumer import MAX_MISTAKES, POLICY_VIOLATION, SocketConsumer
from telephony import services
from telephony.media_streams import Digit, Marked, Media, ProtocolError, Started, Stopped
from telephony.providers import get_provider
from telephony.services import CallRefused
from telephony.transport import TelephoneTransport

logger = logging.getLogger(__name__)

START_SECONDS = 10.0
"""After which a socket that has not started a call is closed."""


class CallConsumer(SocketConsumer):
    """One socket, one call."""

    at_door = False
    transport: TelephoneTransport | None = None

    async def connect(self) -> None:
        self.provider = get_provider(self.scope["url_route"]["kwargs"]["provider"])
        self.codec = self.provider.codec()
        self.patience = asyncio.get_running_loop().call_later(START_SECONDS, self._give_up)
        await super().connect()

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
        self.transport = await services.connect(self.provider, self.codec, started, write, self.close, self.at_door)
        if self.patience is not None:
            self.patience.cancel()
        if socket is not None:
            socket.listen(self.take)

    def take(self, data: bytes, binary: bool) -> bool:
        """What comes often, by the short way. False for the rest, and for what there is something to say about."""
        if binary or self.transport is None or self.closing:
            return False
        if (media := self.codec.parse_media(data)) is not None:
            self.transport.hear(media.chunk, media.samples)
            return True
        try:
            event = self.codec.parse(data.decode())
        except ValueError:
            return False
        if not isinstance(event, Media | Marked | Digit):
            return False
        self.transport.receive(event)
        return True

    async def refuse(self, why: str) -> None:
        if not self.closing:
            logger.warning("Media socket of %s closed: %s", self.provider.name, why)
            await self.close(POLICY_VIOLATION)


class DoorConsumer(CallConsumer):
    """Where FastRTC's service of temporary numbers knocks."""

    at_door = True
