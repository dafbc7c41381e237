"""The short way between daphne's WebSocket and a session.

ASGI hands each message over through a queue and a task's wake-up, and autobahn's parser does much that audio does not
need: about a third of the CPU of an echo. Here whole data frames of the usual size (RFC 6455 §5.2) are taken from
Twisted's transport and written to it directly. The handshake, control frames, fragments, violations and closing stay
with autobahn; and what nobody takes goes its usual way, in order.

tests/streams/test_daphne_socket.py watches the names taken from daphne, autobahn, Twisted and Channels.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from twisted.internet.abstract import FileDescriptor

logger = logging.getLogger(__name__)

TEXT, BINARY = 0x81, 0x82
"""First byte of a frame that is a whole message, not compressed."""
MASKED, MASKED_16 = 0x80, 0xFE
"""Second byte of a client's frame: plus its size up to 125; or of one of 126 to 65535 bytes. Larger are not taken."""
MASK_SIZE = 4
SMALL, LARGE = 126, 1 << 16
READ_SIZE = 1 << 14

NAMES = {
    *("STATE_OPEN", "application_queue", "autoPingTimeoutCall", "current_frame", "data", "dataReceived"),
    *("handle_exception", "inside_message", "state", "transport"),
}

Take = Callable[[bytes, bool], bool]
"""Takes a message, and whether it is binary, and returns True; or False: it shall go its usual way."""


class DaphneSocket:
    """One open WebSocket, below ASGI."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._is_plain = isinstance(self._transport, FileDescriptor) and not getattr(self._transport, "TLS", False)
        self._parse = protocol.dataReceived
        self._rest = b""
        self._room = asyncio.Event()
        self._room.set()

    @classmethod
    def below(cls, send: Any) -> Self | None:
        """What an ASGI ``send`` writes to, seen through Channels' session middleware. None for any other server."""
        while (inner := getattr(getattr(send, "__self__", None), "real_send", None)) is not None:
            send = inner
        protocol = next(iter(getattr(send, "args", ())), None)
        known = type(protocol).__module__ == "daphne.ws_protocol" and NAMES.issubset(dir(protocol))
        return cls(protocol) if known else None

    def listen(self, take: Take) -> None:
        self._take = take
        self._protocol.dataReceived = self._data_received
        self._transport.unregisterProducer()  # daphne's HTTP channel, which has handed this connection over
        self._transport.registerProducer(self, True)
        loop = asyncio.get_running_loop()
        if self._is_plain and getattr(self._transport.reactor, "_asyncioEventloop", None) is loop:
            loop.add_reader(self._transport.fileno(), self._readable)

    # -- from the client

    def _readable(self) -> None:
        """In the place of Twisted's own, which sets up a logging context for each read."""
        try:
            data = self._transport.socket.recv(READ_SIZE)
        except OSError:
            data = b""
        if not data:  # an end, which Twisted shall find
            self._transport.stopReading()
            self._transport.startReading()
            return
        try:
            self._protocol.dataReceived(data)
        except Exception as error:
            logger.exception("What came on a socket could not be handled")
            self._protocol.handle_exception(error)

    def _data_received(self, data: bytes) -> None:
        data, self._rest = self._rest + data, b""
        while len(data) >= 4 and data[0] in (TEXT, BINARY) and MASKED <= data[1] <= MASKED_16 and self._is_between():
            size, start = (int.from_bytes(data[2:4]), 8) if data[1] == MASKED_16 else (data[1] - MASKED, 6)
            if start == 8 and size < SMALL:  # a longer header than it needs: a violation
                break
            end = start + size
            if len(data) < end:
                self._rest = data
                return
            if not self._taken(unmasked(data[start:end], data[start - MASK_SIZE : start]), data[0] == BINARY):
                break
            data = data[end:]
        if data:
            self._parse(data)

    def _is_between(self) -> bool:
        """Whether all that came before has been dealt with, by autobahn and by the application."""
        it = self._protocol
        busy = it.data or it.current_frame or it.inside_message or it.autoPingTimeoutCall
        return it.state == it.STATE_OPEN and not busy and bool(it.application_queue.empty())

    def _taken(self, payload: bytes, binary: bool) -> bool:
        try:
            return self._take(payload, binary)
        except Exception as error:  # as daphne does when an application raises; Twisted would only hang up
            logger.exception("A message could not be handled")
            self._protocol.handle_exception(error)
            return True

    # -- to the client

    async def send(self, data: str | bytes) -> None:
        """Send a message, unless the socket is closing. Waits while the client does not read."""
        if self._protocol.state != self._protocol.STATE_OPEN:
            return
        self._write(frame(data))
        if not self._room.is_set():
            await self._room.wait()

    def _write(self, data: bytes) -> None:
        """At once when nothing else waits; Twisted's ``write`` takes another round of the event loop."""
        to, sent = self._transport, 0
        if self._is_plain and not (to.dataBuffer or to._tempDataBuffer):
            with suppress(OSError):  # no room; or the connection is lost, which Twisted finds out by itself
                sent = to.socket.send(data)
        if sent < len(data):
            to.write(data[sent:])

    # -- Twisted's IPushProducer

    def pauseProducing(self) -> None:
        self._room.clear()

    def resumeProducing(self) -> None:
        self._room.set()

    def stopProducing(self) -> None:
        self._room.set()


def unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    repeated = (mask * (size // MASK_SIZE + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(size)


def frame(data: str | bytes) -> bytes:
    """A message as a server's frame."""
    first, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
    size = len(payload)
    if size < SMALL:
        return struct.pack("!BB", first, size) + payload
    if size < LARGE:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
