"""A server under a load client, and what both use of their cores over a window of time."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.environments import BENCH_DIR
from benchmarks.processes import CLIENT_CORE, Failed, cpu_seconds, last_line, running
from benchmarks.systems import Server, System

Values = dict[str, float]
Details = dict[str, Any]

PACKETS_PER_SECOND = 50
MIN_ECHO = 0.9  # of what was sent; less is not an echo
MIN_HEARD = 0.8  # of the chirps; with fewer, percentiles say little


@dataclass(frozen=True)
class Plan:
    sessions: int = 8
    warm_up: float = 3
    cpu_window: float = 10
    excluded: float = 3  # seconds at the start of a delay session
    loss_start: float = 9
    after: tuple[float, float] = (4, 6)  # seconds after the loss: "5 s later"
    seconds: float = 17  # of a delay session
    idle_seconds: float = 60  # of a WebSocket session in which nobody speaks
    passes: int = 3  # through the recordings
    most_recordings: int | None = None
    barge_ins: int = 8
    calls: int = 100  # at the same time, on one core
    recordings: Literal["tune", "report"] = "report"

    @property
    def loss_packet(self) -> int:
        return round(self.loss_start * PACKETS_PER_SECOND)


FULL = Plan()
QUICK = Plan(
    sessions=4,
    warm_up=1,
    cpu_window=3,
    excluded=1.5,
    loss_start=3.5,
    seconds=10.5,
    idle_seconds=10,
    passes=1,
    most_recordings=3,
    barge_ins=2,
    calls=20,
)


class Client:
    """A client process that says "ready", and answers each line with what happened since the line before."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise Failed("the load client has no pipes")
        self.pid, self.stdin, self.stdout, self.log = process.pid, process.stdin, process.stdout, log

    async def read_line(self, timeout: float) -> bytes:
        line = await asyncio.wait_for(self.stdout.readline(), timeout)
        if not line:
            raise Failed(f"load client: {last_line(self.log)}")
        return line

    async def report(self) -> Details:
        self.stdin.write(b"\n")
        details: Details = json.loads(await self.read_line(20))
        return details


@asynccontextmanager
async def load_client(system: System, run: str, module: str, *arguments: object) -> AsyncIterator[Client]:
    log = BENCH_DIR / "log" / f"{system.name}-{run}-client.log"
    command = [sys.executable, "-m", f"benchmarks.clients.{module}", *map(str, arguments)]
    async with running(command, CLIENT_CORE, log, piped=True) as process:
        client = Client(process, log)
        await client.read_line(60)
        yield client


async def run_client(name: str, command: Sequence[str | Path], seconds: float) -> float:
    """Run a client that ends by itself; its CPU seconds."""
    log = BENCH_DIR / "log" / f"{name}.log"
    async with running(command, CLIENT_CORE, log) as client:
        used = 0.0
        deadline = asyncio.get_running_loop().time() + seconds
        while client.returncode is None:
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"{name} did not end in time")
            used = max(used, cpu_seconds(client.pid))
            await asyncio.sleep(0.2)
        if client.returncode:
            raise Failed(f"{name}: {error_line(log)}")
        return used


def error_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in lines if line.startswith("Error")), last_line(log))


async def watch(server: Server, client: Client, seconds: float) -> Details:
    """The client's report on a window of time, and what server and client used meanwhile."""
    await client.report()
    before = snapshot(server, client)
    await asyncio.sleep(seconds)
    after = snapshot(server, client)
    details = await client.report()
    elapsed = after[0] - before[0]
    details["server_core_used"] = (after[1] - before[1]) / elapsed
    details["client_core_used"] = (after[2] - before[2]) / elapsed
    details["server_growth_mb"] = after[3] - before[3]
    return details


def snapshot(server: Server, client: Client) -> tuple[float, float, float, float]:
    now = asyncio.get_running_loop().time()
    return now, cpu_seconds(server.pid), cpu_seconds(client.pid), resident_mb(server.pid)


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_ms(details: Details, sessions: int) -> float:
    """Milliseconds of CPU per session and second."""
    return float(details["server_core_used"]) / sessions * 1000
