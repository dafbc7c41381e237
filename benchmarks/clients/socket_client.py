"""Open N WebSocket sessions that send chunks of audio, and keep what comes back with its time.

python -m benchmarks.clients.socket_client URL SESSIONS mulaw|pcm16 SAMPLES_PER_CHUNK chirps|quiet|nothing FOLDER

Prints "ready" when every session has started, and a JSON object for each line it reads: what happened since the last.
Then FOLDER has what each session heard, in the form that chirps.py measures. `nothing` is a client that is connected
and sends no audio.
"""

import asyncio
import base64
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks import chirps
from streams.media import mulaw

LOOP_CHIRPS = 30  # a whole number of rounds of their kinds
BETWEEN_SESSIONS = 0.107  # not a whole number of chunks: sessions do not send in step


def period(size: int) -> int:
    """Samples between chirps, so that each is at the start of a chunk."""
    return chirps.PERIOD // size * size


def messages(encoding: str, size: int, sound: str) -> list[str | bytes]:
    if sound == "nothing":
        return []
    seconds = LOOP_CHIRPS * period(size) / chirps.RATE
    samples = chirps.signal(seconds, period(size)) if sound == "chirps" else chirps.quiet_room(seconds)
    chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
    if encoding == "pcm16":
        return [chunk.tobytes() for chunk in chunks]
    return [media(mulaw.encode(chunk.astype(np.int16))) for chunk in chunks]


def media(payload: bytes) -> str:
    return json.dumps({"event": "media", "media": {"payload": base64.b64encode(payload).decode()}})


class Session:
    def __init__(self, encoding: str, size: int, chunks: list[str | bytes], out: Path) -> None:
        self.encoding, self.size, self.chunks, self.out = encoding, size, chunks, out
        self.pushed_at: list[float] = []
        self.heard_at: list[float] = []
        self.heard: list[bytes] = []
        self.pong = asyncio.Event()
        self.worst_lateness = 0.0

    async def open(self, url: str) -> None:
        self.socket: ClientConnection = await connect(url)
        start: dict[str, Any] = {"event": "start", "websocket_id": uuid.uuid4().hex}
        if self.encoding == "pcm16":
            start |= {"encoding": "pcm16", "sample_rate": chirps.RATE}
        await self.socket.send(json.dumps(start))

    async def send(self) -> None:
        started = time.perf_counter()
        while self.chunks:
            due = started + len(self.pushed_at) * self.size / chirps.RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.worst_lateness = max(self.worst_lateness, time.perf_counter() - due)
            chunk = self.chunks[len(self.pushed_at) % len(self.chunks)]
            self.pushed_at.append(time.perf_counter())
            await self.socket.send(chunk)

    async def listen(self) -> None:
        async for message in self.socket:
            now = time.perf_counter()
            if isinstance(message, bytes):
                self.keep(message, now)
                continue
            body = json.loads(message)
            if body.get("event") == "media":
                self.keep(base64.b64decode(body["media"]["payload"]), now)
            elif body.get("event") == "pong":
                self.pong.set()
            elif body.get("status") == "failed" or body.get("type") in ("error", "end_stream"):
                raise RuntimeError(f"the server says: {message}")
        raise RuntimeError("the server closed the socket")

    def keep(self, data: bytes, now: float) -> None:
        self.heard_at.append(now)
        self.heard.append(data)

    @property
    def seconds_heard(self) -> float:
        width = 2 if self.encoding == "pcm16" else 1
        return sum(map(len, self.heard)) / width / chirps.RATE

    async def ping(self) -> float:
        self.pong.clear()
        started = time.perf_counter()
        await self.socket.send('{"event": "ping"}')
        await asyncio.wait_for(self.pong.wait(), 15)
        return time.perf_counter() - started

    def save(self) -> None:
        decode = mulaw.decode if self.encoding == "mulaw" else lambda data: np.frombuffer(data, "<i2")
        heard = [decode(data) for data in self.heard]
        starts = np.cumsum([0, *map(len, heard)])[:-1].tolist()
        np.concatenate([*heard, np.zeros(0, np.int16)]).astype("<i2").tofile(self.out.with_suffix(".s16"))
        notes = {"pushedAt": self.pushed_at, "heardAt": self.heard_at, "starts": starts, "chunk": self.size}
        self.out.with_suffix(".json").write_text(json.dumps(notes))


async def run(url: str, count: int, encoding: str, size: int, sound: str, folder: Path) -> None:
    chunks = messages(encoding, size, sound)
    sessions = [Session(encoding, size, chunks, folder / str(number)) for number in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for session in sessions:
            await session.open(url)
            tasks.create_task(session.listen())
            tasks.create_task(session.send())
            await asyncio.sleep(BETWEEN_SESSIONS)
        print("ready", flush=True)
        heard, started = [session.seconds_heard for session in sessions], time.perf_counter()
        while await asyncio.to_thread(sys.stdin.readline):
            now, seconds_heard = time.perf_counter(), [session.seconds_heard for session in sessions]
            pings = [await session.ping() for session in sessions]
            result = {
                "back": [round((a - b) / (now - started), 3) for a, b in zip(seconds_heard, heard, strict=True)],
                "pong_ms": [round(ping * 1000, 2) for ping in pings],
                "worst_send_lateness_ms": round(max(session.worst_lateness for session in sessions) * 1000, 1),
                "compression": [type(item).__name__ for item in sessions[0].socket.protocol.extensions],
            }
            for session in sessions:
                session.save()
            print(json.dumps(result), flush=True)
            heard, started = seconds_heard, now
        raise SystemExit


if __name__ == "__main__":
    url, count, encoding, size, sound, folder = sys.argv[1:]
    asyncio.run(run(url, int(count), encoding, int(size), sound, Path(folder)))
