"""Try a STUN or TURN server for real: ask who we are, allocate a relay, and send a packet through it and back.

A TURN server passes when a packet came from its relay to a UDP socket of this machine and back, as a session's media
does. Sources: RFC 8489 (STUN), RFC 8656 (TURN). aioice's modules ``stun`` and ``turn`` do the work; its documentation
does not speak of them.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aioice import stun
from aioice.turn import TurnTransport, create_turn_endpoint

from turn.failures import Stage, explain
from turn.ice_servers import URL, IceServer, expiry, urls_of

Address = tuple[str, int]

AGAIN = 0.2
"""Seconds until a packet that has not come back is sent again."""
SHORT = 1.0
"""Seconds for what can be done without: our public address, and a goodbye to the server."""
NOT_USED = "Neither browsers nor aiortc use STUN over TLS, or TURN over DTLS. Write stun:… or turns:…?transport=tcp."


@dataclass(frozen=True)
class Trial:
    """What became of one URL. No credential is in it."""

    url: str
    transport: str
    """udp, tcp or tls: how the server is reached. What it relays is always UDP."""
    stage: Stage
    """The one that failed, else ``Stage.DONE``."""
    address: str = ""
    """Where the relay receives, or, for STUN, where this machine is seen; empty if it did not get so far."""
    milliseconds: float | None = None
    """Round trip: to a STUN server, or through the relay to a socket here and back."""
    words: str = ""
    """What is wrong and what to do; empty if nothing is."""

    @property
    def passed(self) -> bool:
        return self.stage is Stage.DONE


async def try_servers(servers: Iterable[IceServer], timeout: float = 5.0) -> list[Trial]:
    """Try each URL of ``servers``, all at once, each for at most ``timeout`` seconds."""
    attempts = [Attempt(url, server) for server in servers for url in urls_of(server)]
    async with own_socket() as here:
        await asyncio.gather(*(here.ask(each.server) for each in attempts if each.transport == "udp"))
        return list(await asyncio.gather(*(attempt.run(here, timeout) for attempt in attempts)))


class Attempt:
    """One URL of a server, from its name to a packet relayed."""

    def __init__(self, url: str, server: IceServer) -> None:
        found = URL.fullmatch(url)
        if found is None:
            raise ValueError(f"{url!r} is no address of a STUN or TURN server.")
        self.url = url
        self.scheme = found["scheme"]
        secure = self.scheme.endswith("s")
        self.server: Address = found["host"].strip("[]"), int(found["port"] or (5349 if secure else 3478))
        self.transport = "tls" if secure else found["transport"] or "udp"
        self._is_used = self.scheme != "stuns" and not (secure and found["transport"] == "udp")
        self._credentials = server.get("username", ""), server.get("credential", "")
        self._expires = expiry(server)
        self._stage = Stage.NAME
        self._address = ""
        self._own = ""
        self._seconds: float | None = None

    async def run(self, here: OwnSocket, timeout: float) -> Trial:
        if not self._is_used:
            return Trial(self.url, self.transport, self._stage, words=NOT_USED)
        words = ""
        try:
            async with asyncio.timeout(timeout):
                await self._try(here)
        except (OSError, stun.TransactionError) as error:
            words = explain(
                self._stage,
                error,
                self.transport,
                self.server[1],
                expires=self._expires,
                relay=self._address,
                own=self._own,
            )
        else:
            self._stage = Stage.DONE
        milliseconds = None if self._seconds is None else 1000 * self._seconds
        return Trial(self.url, self.transport, self._stage, self._address, milliseconds, words)

    async def _try(self, here: OwnSocket) -> None:
        await asyncio.get_running_loop().getaddrinfo(*self.server)
        if self.scheme == "stun":
            self._stage = Stage.BINDING
            asked = time.perf_counter()
            self._address = written(await here.binding(self.server))
            self._seconds = time.perf_counter() - asked
            return
        self._stage = Stage.ALLOCATION
        async with self._allocation() as relay:
            self._address = written(relay.address)
            self._own = " or ".join(sorted({host for host, _ in here.reached_at(relay.address)}))
            self._stage = Stage.RELAY
            await relay.round_trip(here)  # this one binds a channel and opens the way
            self._seconds = await relay.round_trip(here)

    @asynccontextmanager
    async def _allocation(self) -> AsyncIterator[Relay]:
        transport, tls = ("udp", None) if self.transport == "udp" else ("tcp", self.transport == "tls" or None)
        endpoint, relay = await create_turn_endpoint(
            Relay, self.server, *self._credentials, ssl=tls, transport=transport
        )
        try:
            yield relay
        finally:
            endpoint.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(relay.gone.wait(), SHORT)


class Relay(asyncio.DatagramProtocol):
    """One allocation, and what comes out of it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self._events: asyncio.Queue[tuple[bytes, Address] | Exception] = asyncio.Queue()
        self._met: set[Address] = set()

    def connection_made(self, transport: TurnTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address: Address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._events.put_nowait((data, address))

    def error_received(self, error: Exception) -> None:
        self._events.put_nowait(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()

    async def round_trip(self, here: OwnSocket) -> float:
        """Seconds to our own socket and back. Raises stun.TransactionError if the server refuses to send there."""
        sent: dict[bytes, float] = {}
        refused: list[Exception] = []
        while True:
            here.knock(self.address)
            for address in here.reached_at(self.address) | self._met:
                packet = secrets.token_bytes(8)
                sent[packet] = time.perf_counter()
                self._transport.sendto(packet, address)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    return await self._answer(sent, refused)

    async def _answer(self, sent: Mapping[bytes, float], refused: list[Exception]) -> float:
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                refused.append(event)
                if len(refused) == len(sent):
                    raise event
            elif event[0] in sent:
                return time.perf_counter() - sent[event[0]]
            else:
                self._met.add(event[1])  # our own knock, from where a NAT has put us


class OwnSocket(asyncio.DatagramProtocol):
    """A UDP socket of this machine, as a session has one. It sends back what it receives."""

    def __init__(self) -> None:
        self._public: set[Address] = set()
        self._transactions: dict[bytes, stun.Transaction] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, address: Address) -> None:
        with suppress(ValueError):
            message = stun.parse_message(data)
            if transaction := self._transactions.get(message.transaction_id):
                transaction.response_received(message, address)
            return
        self._transport.sendto(data, address)

    async def ask(self, server: Address) -> None:
        """Learn a public address from a server, if it tells one."""
        with suppress(OSError, stun.TransactionError):
            self._public.add(await asyncio.wait_for(self.binding(server), SHORT))

    async def binding(self, server: Address) -> Address:
        """Where the server sees us. Raises OSError or stun.TransactionError."""
        found = await asyncio.get_running_loop().getaddrinfo(*server, family=socket.AF_INET)
        host, port = found[0][4][:2]
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        transaction = stun.Transaction(request, (str(host), int(port)), self)
        self._transactions[request.transaction_id] = transaction
        try:
            response, _ = await transaction.run()
        finally:
            del self._transactions[request.transaction_id]
        if "XOR-MAPPED-ADDRESS" not in response.attributes:
            raise ConnectionError("its answer holds no address")
        address: Address = response.attributes["XOR-MAPPED-ADDRESS"]
        return address

    def send_stun(self, message: stun.Message, address: Address) -> None:
        self._transport.sendto(bytes(message), address)

    def reached_at(self, relay: Address) -> set[Address]:
        """The addresses at which a relay may reach us."""
        with socket.socket(type=socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.connect(relay)
            return {(probe.getsockname()[0], self._transport.get_extra_info("sockname")[1]), *self._public}
        return self._public

    def knock(self, relay: Address) -> None:
        """Let a NAT or firewall in front of us know that we talk with the relay."""
        self._transport.sendto(b"knock", relay)


@asynccontextmanager
async def own_socket() -> AsyncIterator[OwnSocket]:
    transport, here = await asyncio.get_running_loop().create_datagram_endpoint(OwnSocket, ("0.0.0.0", 0))
    try:
        yield here
    finally:
        transport.close()


def written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
