"""daphne's, autobahn's and Twisted's private parts that streams.daphne_socket uses, and what it makes of them.

When one of these fails after an update, that module must be read again; without it everything works, at twice the CPU.
"""

import asyncio
import functools
import random
import socket
import struct
from collections.abc import Callable
from typing import Any, Self

import pytest
from channels.sessions import CookieMiddleware, SessionMiddleware
from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory
from twisted.internet.address import IPv4Address
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server as TcpServer
from twisted.internet.testing import StringTransport

from streams.daphne_socket import BINARY, NAMES, TEXT, DaphneSocket, frame, unmasked
from tests.media.virtual_time import settled

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING = 0x89
CLOSE = 0x88
MASK = b"\x11\xf2\x33\xc4"


def client_frame(payload: bytes, first: int = BINARY, mask: bytes = MASK) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    if size >= 1 << 16:
        length = b"\xff" + struct.pack("!Q", size)
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Connection:
    """A WebSocket as daphne serves it, on a transport that only remembers. ``seen`` is all that came to anybody."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.below: DaphneSocket | None = None
        self.daphne = Server(CookieMiddleware(SessionMiddleware(self.application)), endpoints=["not opened"])
        self.daphne.connections = {}
        self.protocol = WebSocketFactory(self.daphne).buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        self.protocol._raw_query_string = b""
        self.transport: Any = StringTransport()

    async def open(self) -> Self:
        self.transport.registerProducer(Protocol(), True)  # as daphne's HTTP channel has done
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(HANDSHAKE)
        await settled()
        assert self.below is not None, f"not known any more: {NAMES - set(dir(self.protocol))}"
        self.below.listen(self.take)
        if isinstance(self.transport, StringTransport):
            self.transport.clear()
        return self

    def take(self, payload: bytes, binary: bool) -> bool:
        """Messages that begin with a small byte are wanted."""
        if payload[0] > 127:
            return False
        self.seen.append(("short", payload))
        return True

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
                self.below = DaphneSocket.below(send)
            else:
                text = message.get("text")
                self.seen.append(("usual", message["bytes"] if text is None else text.encode()))
                await asyncio.sleep(0)

    async def settled(self) -> None:
        """The application has dealt with everything."""
        while not self.protocol.application_queue.empty():  # noqa: ASYNC110 - queues announce nothing
            await asyncio.sleep(0)
        await settled()

    def receive(self, data: bytes) -> None:
        """What Twisted calls."""
        self.protocol.dataReceived(data)


@pytest.fixture
async def connection() -> Connection:
    return await Connection().open()


# -- what is below


async def test_other_servers_have_nothing_below(connection: Connection) -> None:
    async def send(message: Any) -> None:
        pass

    assert DaphneSocket.below(send) is None
    assert DaphneSocket.below(functools.partial(send, object())) is None
    assert DaphneSocket.below(connection.take) is None


async def test_an_unknown_daphne_has_nothing_below(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    send = functools.partial(connection.daphne.handle_reply, connection.protocol)
    assert DaphneSocket.below(send) is not None
    del connection.protocol.inside_message
    assert DaphneSocket.below(send) is None


# -- from the client


@pytest.mark.parametrize("size", [1, 2, 125, 126, 127, 128, 129, 2732, 65535])
@pytest.mark.parametrize("first", [TEXT, BINARY])
async def test_whole_messages_go_the_short_way(connection: Connection, size: int, first: int) -> None:
    payload = bytes(number % 128 for number in range(size))
    connection.receive(client_frame(payload, first))
    assert connection.seen == [("short", payload)]


@pytest.mark.parametrize("seed", range(20))
async def test_order_is_kept_however_the_bytes_are_cut(connection: Connection, seed: int) -> None:
    """Long and short messages, wanted and not, fragments, pings, in pieces of any size."""
    chance = random.Random(seed)
    sent: list[bytes] = []
    wire = b""
    for number in range(60):
        wanted = chance.choice([0, 200])
        payload = bytes([wanted, number]) + chance.randbytes(chance.choice([0, 5, 123, 124, 300, 2700]))
        sent.append(payload)
        if chance.random() < 0.2:
            cut = chance.randrange(len(payload))
            wire += client_frame(payload[:cut], first=0x02)
            wire += client_frame(b"hello", PING) + client_frame(payload[cut:], first=0x80)
        else:
            wire += client_frame(payload, mask=chance.randbytes(4))
    while wire:
        size = chance.choice([1, 7, 100, 1448, 10000])
        connection.receive(wire[:size])
        wire = wire[size:]
        if chance.random() < 0.5:
            await connection.settled()
    await connection.settled()
    assert [payload for _, payload in connection.seen] == sent


async def test_the_short_way_waits_for_the_application(connection: Connection) -> None:
    connection.receive(client_frame(b"\xff" * 200))
    connection.receive(client_frame(b"\x01" * 200))
    assert connection.seen == []
    await settled()
    assert [way for way, _ in connection.seen] == ["usual", "usual"]


@pytest.mark.parametrize(
    "data",
    [
        bytes([BINARY, 126, 0, 200]) + bytes(200),
        b"\xc2\xfe\x00\xc8" + MASK + bytes(200),
        b"\x83\xfe\x00\xc8" + MASK + bytes(200),
        b"\x82\xfe\x00\x05" + MASK + bytes(5),
        client_frame(b"\xff\xfe" * 100, TEXT),
    ],
    ids=["not masked", "compressed", "no such opcode", "a longer header than it needs", "not UTF-8"],
)
async def test_violations_are_autobahns_to_judge(connection: Connection, data: bytes) -> None:
    connection.receive(data)
    assert connection.transport.disconnecting
    connection.receive(client_frame(b"\x01" * 200))
    await connection.settled()
    assert connection.seen == []


async def test_a_ping_in_flight_is_answered_by_any_message(connection: Connection) -> None:
    """autobahn hangs up unless something comes after its ping; it must see what comes."""
    connection.protocol.autoPingTimeout = 30
    connection.protocol._sendAutoPing()
    assert connection.protocol.autoPingTimeoutCall is not None
    connection.receive(client_frame(b"\x01" * 200))
    assert connection.protocol.autoPingTimeoutCall is None


async def test_an_error_closes_the_socket_and_is_logged(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def take(payload: bytes, binary: bool) -> bool:
        raise ZeroDivisionError

    assert connection.below is not None
    connection.below.listen(take)
    connection.receive(client_frame(b"\x01" * 200))
    assert "ZeroDivisionError" in caplog.text
    assert connection.transport.value() == bytes([CLOSE, 2]) + struct.pack("!H", 1011)


def test_unmasking() -> None:
    for size in [*range(10), *range(126, 135)]:
        payload = random.Random(size).randbytes(size)
        assert unmasked(client_frame(payload)[6 if size < 126 else 8 :], MASK) == payload


# -- to the client


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536])
async def test_frames_are_as_autobahn_makes_them(connection: Connection, size: int) -> None:
    assert connection.below is not None
    for data in ("x" * size, b"y" * size):
        connection.protocol.sendMessage(data.encode() if isinstance(data, str) else data, isinstance(data, bytes))
        expected = connection.transport.value()
        connection.transport.clear()
        await connection.below.send(data)
        assert connection.transport.value() == expected == frame(data)
        connection.transport.clear()


async def test_nothing_is_sent_after_the_close(connection: Connection) -> None:
    assert connection.below is not None
    connection.protocol.sendClose(1000)
    connection.transport.clear()
    await connection.below.send("late")
    assert connection.transport.value() == b""


class Slow(Connection):
    """On a real TCP connection, whose other end is ``client``."""

    def __init__(self) -> None:
        super().__init__()
        ours, self.client = socket.socketpair()
        for end in (ours, self.client):
            end.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        reactor = AsyncioSelectorReactor(asyncio.get_running_loop())
        address = ("127.0.0.1", 1)
        self.transport = TcpServer(ours, self.protocol, address, None, 1, reactor)  # type: ignore[arg-type]
        self.transport.getHost = self.transport.getPeer = lambda: IPv4Address("TCP", *address)

    async def read(self, enough: Callable[[bytes], bool]) -> bytes:
        data = b""
        async with asyncio.timeout(5):
            while not enough(data):
                data += await asyncio.get_running_loop().sock_recv(self.client, 1 << 16)
        return data


async def hang_up(connection: Slow) -> None:
    connection.client.close()
    async with asyncio.timeout(5):
        while connection.transport.connected:  # noqa: ASYNC110 - Twisted's to notice
            await asyncio.sleep(0)


async def test_twisted_reads_only_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await Slow().open()
    read = connection.transport.doRead
    reads: list[int] = []

    def do_read() -> Any:
        reads.append(1)
        return read()

    monkeypatch.setattr(connection.transport, "doRead", do_read)
    connection.client.send(client_frame(b"\x01hello") + client_frame(b"\x02" * 200) + client_frame(b"\xff") * 2)
    async with asyncio.timeout(5):
        while len(connection.seen) < 4:  # noqa: ASYNC110 - what is below announces nothing
            await asyncio.sleep(0)
    assert [way for way, _ in connection.seen] == ["short", "short", "usual", "usual"]
    assert reads == []
    await hang_up(connection)
    assert reads == [1]


async def test_what_autobahn_cannot_bear_closes_the_socket(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await Slow().open()

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    assert connection.below is not None
    monkeypatch.setattr(connection.below, "_parse", fail)
    connection.client.send(client_frame(b"\xff"))
    end = bytes([CLOSE, 2]) + struct.pack("!H", 1011)
    assert (await connection.read(lambda data: data.endswith(end))).endswith(end)
    assert "ZeroDivisionError" in caplog.text
    await hang_up(connection)


async def test_a_client_that_does_not_read_is_waited_for() -> None:
    connection = await Slow().open()
    assert connection.below is not None
    await connection.read(lambda data: data.endswith(b"\r\n\r\n"))
    payloads = [bytes([number]) * 5000 for number in range(100)]
    done: list[int] = []

    async def send() -> None:
        for number, payload in enumerate(payloads):
            await connection.below.send(payload)  # type: ignore[union-attr]
            done.append(number)

    sending = asyncio.create_task(send())
    await settled()
    stopped = len(done)
    assert 10 < stopped < 50
    assert (
        len(connection.transport.dataBuffer) + connection.transport._tempDataLen < 2 * connection.transport.bufferSize
    )
    everything = b"".join(map(frame, payloads))
    assert await connection.read(lambda data: len(data) >= len(everything)) == everything
    await sending
    await hang_up(connection)


async def test_a_client_that_is_gone_is_not_waited_for() -> None:
    connection = await Slow().open()
    assert connection.below is not None

    async def send() -> None:
        for _ in range(100):
            await connection.below.send(bytes(5000))  # type: ignore[union-attr]

    sending = asyncio.create_task(send())
    await settled()
    assert not sending.done()
    await hang_up(connection)
    await sending
