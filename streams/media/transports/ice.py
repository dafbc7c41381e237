"""The server's own end of ICE (RFC 8445): the sockets it binds, the addresses it announces, the time an answer waits.

aioice binds any port, announces what its interfaces are called, and lets a silent STUN or TURN server hold every
answer back for five seconds. ``IceConnection`` takes its place in gathering, and in nothing else.

Private names of aioice touched here, each with a test in tests/media/transports/test_aiortc_contract.py:
Connection._protocols, ._local_candidates, ._local_candidates_end, ._remote_candidates, ._check_list, ._check_list_done,
._early_checks_done, ._nominated, ._transport_policy, ._pair_remote_candidate; TurnTransport.__close_task.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import random
import socket
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass

from aioice import Candidate, Connection, TransportPolicy, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol, relayed_candidate, server_reflexive_candidate
from aioice.turn import UDP_SOCKET_BUFFER_SIZE, TurnTransport

from streams.media.errors import NoCandidates, PortsExhausted

logger = logging.getLogger(__name__)

LOOKUP_SECONDS = 5.0
"""How long a STUN or TURN server is waited for in all; what it says after the answer is trickled."""
RELEASE_SECONDS = 1.0
"""How long a TURN server is waited for when its allocation is given back; it expires by itself."""
LOCAL_PREFERENCE = 65535
NO_ANSWER = "no answer"

Lookup = Coroutine[None, None, tuple[Candidate, StunProtocol | None]]
"""Asks one server for a candidate, and for the relay's own socket."""


@dataclass(frozen=True)
class IceConfig:
    """How the server's end of a connection is reached."""

    patience: float = 0.3
    """Seconds that an answer waits for STUN and TURN servers, once there is a candidate without them."""
    ports: tuple[int, int] | None = None
    """First and last UDP port to bind; None leaves it to the system."""
    public_addresses: Sequence[str] = ()
    """Announced in place of the interfaces' addresses, for each of the same IP version (1:1 NAT)."""
    bind_addresses: Sequence[str] = ()
    """Addresses of the interfaces to use; none: all but loopback."""


class IceConnection(Connection):
    """An aioice connection that gathers its candidates our way."""

    config: IceConfig
    late: list[Candidate]
    """Found after the answer, and not yet told to the client."""
    relay_error: str
    """Why the TURN server has given no relay: "401 Unauthorized", "no answer" …; else empty."""
    _gathered: list[Candidate]
    _lookups: set[asyncio.Task[None]]

    @classmethod
    def adopt(cls, connection: Connection, config: IceConfig) -> IceConnection:
        """Make a connection that aiortc has created, and that gathers nothing yet, one of ours."""
        connection.__class__ = cls
        assert isinstance(connection, cls)
        connection.config = config
        connection.late, connection.relay_error = [], ""
        connection._gathered, connection._lookups = [], set()
        return connection

    # -- gathering ----------------------------------------------------------------------------------------------

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: float = LOOKUP_SECONDS
    ) -> list[Candidate]:
        """Gather, and return as soon as there is enough to answer with.

        Raises NoCandidates and PortsExhausted.
        """
        if self._transport_policy is TransportPolicy.ALL:  # else none of these is asked for
            addresses = list(self.config.bind_addresses) or addresses
        hosts = [protocol for address in addresses if (protocol := await self._bind(address, component))]
        for protocol in hosts:
            self._gathered += self._announced(protocol.local_candidate)
        for server, lookup in self._servers(component, hosts):
            task = asyncio.create_task(self._look_up(server, lookup))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
        await self._enough()
        if not self._gathered:
            raise NoCandidates
        return self._gathered

    async def _bind(self, address: str, component: int) -> StunProtocol | None:
        try:
            bound = self._socket(address)
        except OSError as error:  # an address that has just gone
            logger.info("No socket on an interface's address: %s", error)
            return None
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: StunProtocol(self), sock=bound)
        host, port = bound.getsockname()[:2]
        protocol.local_candidate = host_candidate(component, host, port)
        self._protocols.append(protocol)
        return protocol

    def _socket(self, address: str) -> socket.socket:
        bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
            for port in in_any_order(self.config.ports):
                try:
                    bound.bind((address, port))
                    return bound
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
            raise PortsExhausted
        except BaseException:
            bound.close()
            raise

    def _announced(self, host: Candidate) -> list[Candidate]:
        version = ipaddress.ip_address(host.host).version
        public = [each for each in self.config.public_addresses if ipaddress.ip_address(each).version == version]
        return [host_candidate(host.component, each, host.port, rank) for rank, each in enumerate(public)] or [host]

    def _servers(self, component: int, hosts: list[StunProtocol]) -> Iterator[tuple[str, Lookup]]:
        if self.stun_server:
            for protocol in hosts:
                if ipaddress.ip_address(protocol.local_candidate.host).version == 4:
                    yield "STUN", server_reflexive_candidate(protocol, self.stun_server)
        if self.turn_server:
            self.relay_error = NO_ANSWER  # until it comes
            yield (
                "TURN",
                relayed_candidate(
                    component=component,
                    hide_related_address=self._transport_policy is TransportPolicy.RELAY,
                    protocol_factory=lambda: StunProtocol(self),
                    turn_server=self.turn_server,
                    turn_username=self.turn_username,
                    turn_password=self.turn_password,
                    turn_ssl=self.turn_ssl,
                    turn_transport=self.turn_transport,
                ),
            )

    async def _look_up(self, server: str, lookup: Lookup) -> None:
        error = ""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                candidate, protocol = await lookup
        except Exception as problem:  # noqa: BLE001 - whatever a server on the network makes of it
            error = words_for(problem)
            logger.info("The %s server gave no candidate: %s", server, error)
        if server == "TURN":
            self.relay_error = error
        if not error:
            await self._add(candidate, protocol)

    async def _enough(self) -> None:
        if self._lookups:
            await asyncio.wait(self._lookups, timeout=self.config.patience)
        while self._lookups and not self._gathered:
            await asyncio.wait(self._lookups, return_when=asyncio.FIRST_COMPLETED)

    async def _add(self, candidate: Candidate, protocol: StunProtocol | None) -> None:
        if protocol is not None:
            if self._check_list_done:  # connected without it, or closed
                return await protocol.close()
            self._protocols.append(protocol)
        if not self._local_candidates_end:
            self._gathered.append(candidate)
            return
        self._local_candidates.append(candidate)
        self.late.append(candidate)
        if protocol is not None:
            self._check_from(protocol)

    def _check_from(self, protocol: StunProtocol) -> None:
        """Pair a late relay with what the client has offered so far (RFC 8838 section 10)."""
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()
        if self._early_checks_done:
            for pair in self._check_list:
                if pair.protocol is protocol:
                    self.check_start_task(pair)

    @property
    def is_gathering(self) -> bool:
        """Whether more candidates may come."""
        return bool(self._lookups)

    async def all_gathered(self) -> None:
        """Wait until no STUN or TURN server is waited for any more."""
        while self._lookups:
            await asyncio.wait(self._lookups)

    def take_late(self) -> list[Candidate]:
        late, self.late = self.late, []
        return late

    # -- what became of it --------------------------------------------------------------------------------------

    def kinds(self) -> Counter[str]:
        """How many candidates of each kind this end has."""
        return Counter(candidate.type for candidate in self._local_candidates)

    def tried(self) -> int:
        """On how many pairs a check was sent."""
        unused = (CandidatePair.State.FROZEN, CandidatePair.State.WAITING)
        return sum(pair.state not in unused for pair in self._check_list)

    def path(self) -> str:
        """The kinds of the selected pair, ours first, and how ours is carried; empty without one."""
        for pair in self._nominated.values():
            local, remote = pair.local_candidate.type, pair.remote_candidate.type
            carried = ("tls" if self.turn_ssl else self.turn_transport) if local == "relay" else "udp"
            return f"{local} ↔ {remote} · {carried}"
        return ""

    # -- the end ------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let go of everything; a TURN server that does not answer any more is not waited for."""
        lookups = list(self._lookups)
        for task in lookups:
            task.cancel()
        if lookups:
            await asyncio.wait(lookups)
        closing = asyncio.ensure_future(super().close())
        await asyncio.wait({closing}, timeout=RELEASE_SECONDS)
        if not closing.done():
            for protocol in self._protocols:
                abandon(protocol)
        await closing


def host_candidate(component: int, host: str, port: int, rank: int = 0) -> Candidate:
    """``rank``: 0 for the address to be tried first."""
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host", LOCAL_PREFERENCE - rank),
        host=host,
        port=port,
        type="host",
    )


def in_any_order(ports: tuple[int, int] | None) -> Iterator[int]:
    """From a random one on, so that neighbours in time are none in number; 0 is any."""
    first, last = ports or (0, 0)
    count = last - first + 1
    begin = random.randrange(count)
    return (first + (begin + step) % count for step in range(count))


def abandon(protocol: StunProtocol) -> None:
    """Give up giving an allocation back."""
    if isinstance(protocol.transport, TurnTransport):
        task: asyncio.Task[None] | None = getattr(protocol.transport, "_TurnTransport__close_task", None)
        if task is not None:
            task.cancel()


def words_for(error: Exception) -> str:
    """What a TURN server answered, or did not."""
    if isinstance(error, stun.TransactionFailed):
        code, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
        return f"{code} {reason}".strip()[:100]
    if isinstance(error, TimeoutError | stun.TransactionTimeout):
        return NO_ANSWER
    return type(error).__name__
