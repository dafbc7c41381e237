"""A UDP relay between a client and a server that loses chosen uplink RTP packets, the same ones for every system.

python -m benchmarks.relay PORT TARGET_URL LOSS_START

A client posts its offer to http://127.0.0.1:PORT/<pattern>/<path>; the relay passes it on to TARGET_URL/<path> and puts
its own addresses in place of the candidates of the offer and of the answer. Patterns: `none`; `one`: packet number
LOSS_START of the session; `random`: 2 % of the packets from LOSS_START on, by a fixed seed. `POST /report` tells what
happened.
"""

import asyncio
import random
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.json_http import Json, post_json, serve_json

Address = tuple[str, int]
CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*$", re.IGNORECASE)
LOSS = 0.02
BURST_WINDOW = 0.1  # seconds after the first packet


def is_rtp(data: bytes) -> bool:
    return len(data) > 12 and 128 <= data[0] <= 191 and not 64 <= data[1] & 0x7F <= 95


def lost_packets(pattern: str, start: int, seed: int) -> Callable[[int], bool]:
    if pattern == "none":
        return lambda number: False
    if pattern == "one":
        return lambda number: number == start
    if pattern == "random":
        dice = random.Random(seed)
        return lambda number: number >= start and dice.random() < LOSS
    raise ValueError(f"unknown loss pattern {pattern!r}")


def host_address(sdp: str) -> Address:
    for line in sdp.splitlines():
        if found := CANDIDATE.match(line):
            return found[1], int(found[2])
    raise ValueError("no IPv4 host candidate: the machine needs a network interface beside loopback")


def with_candidate(sdp: str, address: Address) -> str:
    """Replace the candidates of each media section with one."""
    lines, placed = [], False
    for line in sdp.splitlines():
        placed = placed and not line.startswith("m=")
        if not line.startswith("a=candidate:"):
            lines.append(line)
        elif not placed:
            lines.append(f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host")
            placed = True
    return "\r\n".join(lines) + "\r\n"


class Leg(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self.receive = receive

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.receive(data, addr)

    @property
    def address(self) -> Address:
        name: Address = self.transport.get_extra_info("sockname")
        return name


class Path:
    """One session's two sockets: the client talks to `front`, the server to `back`."""

    def __init__(self, pattern: str, is_lost: Callable[[int], bool], client: Address) -> None:
        self.pattern, self.is_lost, self.client = pattern, is_lost, client
        self.server: Address | None = None
        self.front, self.back = Leg(self.from_client), Leg(self.from_server)
        self.first_at = 0.0
        self.packets = self.lost = self.packets_in_burst = 0

    async def bind(self) -> None:
        loop = asyncio.get_running_loop()
        for leg in (self.front, self.back):
            await loop.create_datagram_endpoint(lambda leg=leg: leg, local_addr=(self.client[0], 0))  # type: ignore[misc]

    def from_client(self, data: bytes, address: Address) -> None:
        self.client = address
        if is_rtp(data) and self.loses_next():
            return
        if self.server:
            self.back.transport.sendto(data, self.server)

    def from_server(self, data: bytes, address: Address) -> None:
        self.server = address
        self.front.transport.sendto(data, self.client)

    def loses_next(self) -> bool:
        now, number = time.perf_counter(), self.packets
        self.first_at = self.first_at or now
        self.packets_in_burst += now - self.first_at <= BURST_WINDOW
        self.packets += 1
        lost = self.is_lost(number)
        self.lost += lost
        return lost


async def relay(port: int, target: str, loss_start: int) -> None:
    paths: list[Path] = []

    async def handle(url: str, body: Json) -> Json:
        if url == "/report":
            fields = ("pattern", "packets", "lost", "packets_in_burst")
            return {"sessions": [{field: getattr(path, field) for field in fields} for path in paths]}
        pattern, rest = url[1:].split("/", 1)
        path = Path(pattern, lost_packets(pattern, loss_start, seed=len(paths)), host_address(body["sdp"]))
        await path.bind()
        paths.append(path)
        offer = body | {"sdp": with_candidate(body["sdp"], path.back.address)}
        answer = await asyncio.to_thread(post_json, f"{target}/{rest}", offer)
        path.server = host_address(answer["sdp"])
        return answer | {"sdp": with_candidate(answer["sdp"], path.front.address)}

    await serve_json(port, handle)


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
