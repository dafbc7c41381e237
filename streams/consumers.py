"""WebSockets that carry a session."""

from __future__ import annotations

import asyncio
import json
import sys

from django.conf import settings

from streams import services
from streams.callers import socket_caller
from streams.daphne_socket import DaphneSocket
from streams.media.errors import StreamsError
from streams.media.messages import encode, message
from streams.media.transports.websocket import (
    Media,
    Ping,
    ProtocolError,
    Start,
    Stop,
    WebSocketTransport,
    parse,
    parse_binary,
    parse_media,
)
from streams.models import Stream
from streams.socket_consumer import MAX_MISTAKES, POLICY_VIOLATION, SocketConsumer


class AudioConsumer(SocketConsumer):
    """One socket, one session. What the protocol is: streams.media.transports.websocket."""

    stream: Stream | None = None
    """None for a socket that has been refused; what it still sends is ignored."""
    transport: WebSocketTransport | None = None

    async def connect(self) -> None:
        self.caller, headers = await socket_caller(self.scope)
        await self.accept_with(headers)
        loop = asyncio.get_running_loop()
        self.patience = loop.call_later(settings.STREAMS_CONNECT_TIMEOUT, lambda: loop.create_task(self.give_up()))
        try:
            self.stream = await services.find_stream(self.scope["url_route"]["kwargs"]["slug"], self.caller.user)
        except StreamsError as error:
            await self.refuse(error)

    async def accept_with(self, headers: dict[str, str]) -> None:
        if headers and "daphne.server" in sys.modules:
            # daphne drops an accept message's headers, but hands its subprotocol to autobahn, which takes both.
            await self.base_send({"type": "websocket.accept", "subprotocol": (None, headers)})
        else:
            await self.accept(headers=[(name.encode(), value.encode()) for name, value in headers.items()])

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closing or self.stream is None:
            return
        try:
            event = parse(text_data) if text_data is not None else parse_binary(bytes_data or b"")
            await self.on_event(event, binary=text_data is None)
        except ProtocolError as error:
            await self.complain(str(error))
        except StreamsError as error:
            await self.refuse(error)

    async def on_event(self, event: Start | Media | Stop | Ping, *, binary: bool) -> None:
        match event:
            case Ping():
                await self.send('{"event":"pong"}')
            case Stop():
                await self.close()
            case Start():
                await self.start(event)
            case Media(samples):
                if self.transport is None:
                    raise ProtocolError('Send "start" before audio.')
                if binary != (self.transport.wire.encoding == "pcm16"):
                    raise ProtocolError(f'The encoding is {self.transport.wire.encoding}; see "start".')
                self.transport.receive(samples)

    def take(self, data: bytes, binary: bool) -> bool:
        """Audio by the short way. False for everything else, and for audio that there is something to say about."""
        if self.transport is None or self.closing or binary != (self.transport.wire.encoding == "pcm16"):
            return False
        try:
            if (media := parse_binary(data) if binary else parse_media(data)) is None:
                return False
            self.transport.receive(media.samples)
        except ProtocolError:
            return False
        return True

    async def start(self, start: Start) -> None:
        if self.transport is not None:
            raise ProtocolError("The session has started already.")
        assert self.stream is not None
        socket = DaphneSocket.below(self.base_send)
        write = self.write if socket is None else socket.send
        self.transport = services.open_websocket(self.stream, self.caller, start, write, self.close)
        if socket is not None:
            socket.listen(self.take)
        if self.patience is not None:
            self.patience.cancel()
        if start.negotiated:
            started = {
                "event": "started",
                "encoding": start.encoding,
                "sample_rate": self.transport.session.playout.rate,
            }
            await self.send(json.dumps(started))

    async def complain(self, sentence: str) -> None:
        self.mistakes += 1
        await self.send(encode(message("error", sentence)))
        if self.mistakes >= MAX_MISTAKES:
            await self.close(POLICY_VIOLATION)

    async def refuse(self, error: StreamsError) -> None:
        self.stream = None
        await self.send(json.dumps(error.body()))
        await self.close()

    async def give_up(self) -> None:
        if self.closing:
            return
        await self.complain('Nothing was started: send {"event": "start"} first.')
        await self.close(POLICY_VIOLATION)

    async def disconnect(self, code: int) -> None:
        self.closing = True  # the rest is done when the application returns
