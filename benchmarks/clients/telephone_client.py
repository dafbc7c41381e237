"""Make N telephone calls that send 20 ms of audio 50 times a second, and keep what comes back with its time.

python -m benchmarks.clients.telephone_client URL CALLS chirps|quiet [FOLDER]

URL is a webhook, signed as Twilio signs, whose TwiML is followed, or (ws://…) the media socket itself. Prints "ready"
when every call has been answered, and a JSON object for each line it reads: what happened since the last. From
the second on, FOLDER has what each call heard, in the form that chirps.py measures: writing it holds the calls up.
"""

import asyncio
import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import numpy as np
from websockets.frames import Opcode
from websockets.speedups import apply_mask

from benchmarks import chirps
from benchmarks.environments import SITE_ENV
from streams.media import mulaw
from streams.media.audio import FRAME_SECONDS, resample
from telephony.media_streams import FRAME, RATE
from telephony.simulator import TwilioSide
from telephony.simulator.caller import post

LOOP_CHIRPS = 30  # a whole number of rounds of their kinds
BETWEEN_CALLS = 0.107  # not a whole number of frames: calls do not send in step
ANSWER_SECONDS = 30
FIN, MASKED = 0x80, 0x80
UP = chirps.RATE // RATE


def payloads(sound: str) -> list[str]:
    seconds = LOOP_CHIRPS * chirps.PERIOD / chirps.RATE
    samples = chirps.signal(seconds) if sound == "chirps" else chirps.quiet_room(seconds)
    line = resample(samples.astype(np.int16), chirps.RATE, RATE)
    frames = [line[start : start + FRAME] for start in range(0, len(line) - FRAME + 1, FRAME)]
    return [base64.b64encode(mulaw.encode(frame)).decode() for frame in frames]


async def answered(webhook: str, side: TwilioSide) -> tuple[str, dict[str, str]]:
    """The media socket of a call, and the parameters of its start, as the webhook's TwiML says."""
    form = {"CallSid": side.call_id, "From": "+4930100100", "To": "+4930200200"}
    body = urlencode(form).encode()
    headers = side.headers(webhook, form, body) | {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = await post(webhook, body, headers)
    stream = ElementTree.fromstring(text).find("Connect/Stream") if status == 200 else None
    if stream is None:
        raise RuntimeError(f"the webhook does not connect the call: {status} {text[:200]}")
    return stream.get("url", ""), {each.get("name", ""): each.get("value", "") for each in stream}


class Socket(asyncio.Protocol):
    """A WebSocket by hand: a library's would cost this process more than all the rest."""

    def __init__(self, call: "Call") -> None:
        self.call, self.rest = call, b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_exception(error or RuntimeError("the server closed the socket"))

    def request(self, url: str) -> None:
        parts = urlsplit(url)
        lines = [
            f"GET {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def send(self, text: str) -> None:
        self.send_frame(Opcode.TEXT, text.encode())

    def send_frame(self, opcode: Opcode, data: bytes) -> None:
        mask = os.urandom(4)
        size = bytes([MASKED | len(data)]) if len(data) < 126 else bytes([MASKED | 126]) + len(data).to_bytes(2)
        self.transport.write(bytes([FIN | opcode]) + size + mask + apply_mask(data, mask))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.rest += data
        if not self.opened.done():
            head, end, rest = self.rest.partition(b"\r\n\r\n")
            if not end:
                return
            self.rest = rest
            if b" 101 " in head.partition(b"\r\n")[0]:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(f"no socket: {head[:200]!r}"))
        while (frame := self.next_frame()) is not None:
            opcode, payload = frame
            if opcode == Opcode.TEXT:
                self.call.take(json.loads(payload), now)
            elif opcode == Opcode.PING:
                self.send_frame(Opcode.PONG, payload)
            elif opcode == Opcode.CLOSE:
                self.transport.close()

    def next_frame(self) -> tuple[int, bytes] | None:
        data, start = self.rest, 2
        if len(data) < start:
            return None
        size = data[1]
        if size >= 126:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[2 : 2 + width]), 2 + width
        if len(data) < start + size:
            return None
        self.rest = data[start + size :]
        return data[0] & 0x0F, data[start : start + size]


class Call:
    def __init__(self, sound: list[str]) -> None:
        self.sound = sound
        self.side = TwilioSide(SITE_ENV["TWILIO_AUTH_TOKEN"])
        self.pushed_at: list[float] = []
        self.came_at: list[float] = []
        self.heard_at: list[float] = []  # as the line plays it: in real time, without gaps
        self.heard: list[bytes] = []
        self.seconds_heard = self.plays_until = self.worst_lateness = 0.0
        self.position: list[float] = []  # seconds of audio before each message
        self.seen = 0

    async def open(self, url: str) -> None:
        parameters: dict[str, str] = {}
        if url.startswith("http"):
            url, parameters = await answered(url, self.side)
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, self.socket = await loop.create_connection(lambda: Socket(self), parts.hostname, parts.port)
        self.socket.request(url)
        await asyncio.wait_for(self.socket.opened, ANSWER_SECONDS)
        self.socket.send(self.side.connected())
        self.socket.send(self.side.start(parameters, "+4930100100", "+4930200200"))

    async def lost(self) -> None:
        await self.socket.closed

    async def send(self) -> None:
        started = time.perf_counter()
        while True:
            number = len(self.pushed_at)
            due = started + number * FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.worst_lateness = max(self.worst_lateness, time.perf_counter() - due)
            self.pushed_at.append(time.perf_counter())
            self.socket.send(self.media(number))

    def media(self, number: int) -> str:
        """As Twilio writes it. What is sent most is not worth a JSON writer."""
        payload = self.sound[number % len(self.sound)]
        return (
            f'{{"event":"media","sequenceNumber":"{number + 2}","media":{{"track":"inbound","chunk":"{number + 1}",'
            f'"timestamp":"{number * 20}","payload":"{payload}"}},"streamSid":"{self.side.stream_id}"}}'
        )

    def take(self, body: dict[str, Any], now: float) -> None:
        if body["event"] == "media":
            audio = base64.b64decode(body["media"]["payload"])
            self.plays_until = max(self.plays_until, now)
            self.came_at.append(now)
            self.heard_at.append(self.plays_until)
            self.position.append(self.seconds_heard)
            self.heard.append(audio)
            self.plays_until += len(audio) / RATE
            self.seconds_heard += len(audio) / RATE
        elif body["event"] == "mark":
            wait = max(0.0, self.plays_until - now)
            echo = self.side.message("mark", mark=body["mark"])
            asyncio.get_running_loop().call_later(wait, self.socket.send, echo)

    def offsets(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Since the last time: when each message came, by a clock that stands still for audio that comes in time."""
        came, position = np.array(self.came_at[self.seen :]), np.array(self.position[self.seen :])
        self.seen = len(self.came_at)
        return came - position

    def save(self, out: Path) -> None:
        heard = [mulaw.decode(data) for data in self.heard]
        starts = np.cumsum([0, *map(len, heard)])[:-1] * UP
        line = np.concatenate([*heard, np.zeros(0, np.int16)])
        resample(line, RATE, chirps.RATE).astype("<i2").tofile(out.with_suffix(".s16"))
        notes = {
            "pushedAt": self.pushed_at,
            "heardAt": self.heard_at,
            "starts": starts.tolist(),
            "chunk": FRAME * UP,
        }
        out.with_suffix(".json").write_text(json.dumps(notes))


def report(calls: list[Call], before: list[tuple[int, float]], seconds: float) -> dict[str, Any]:
    """Lateness of a message: how much later than the most punctual one of its call, by the audio before each."""
    offsets = [call.offsets() for call in calls]
    late = np.concatenate([each - each.min() for each in offsets if each.size] or [np.zeros(1)]) * 1000
    sent = [len(call.pushed_at) - count for call, (count, _) in zip(calls, before, strict=True)]
    heard = [call.seconds_heard - earlier for call, (_, earlier) in zip(calls, before, strict=True)]
    return {
        "back": [round(each / seconds, 3) for each in heard],
        "frames_sent": sum(sent),
        "frames_back": round(sum(heard) / FRAME_SECONDS),
        "late_ms": {str(share): round(float(np.percentile(late, share)), 2) for share in (50, 95, 99, 100)},
        "worst_send_lateness_ms": round(max(call.worst_lateness for call in calls) * 1000, 1),
    }


async def run(url: str, count: int, sound: str, folder: Path | None) -> None:
    frames = payloads(sound)
    calls = [Call(frames) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            await call.open(url)
            tasks.create_task(call.send())
            tasks.create_task(call.lost())
            await asyncio.sleep(BETWEEN_CALLS)
        print("ready", flush=True)
        before, started, is_measured = [(0, 0.0)] * count, calls[0].pushed_at[0], False
        while await asyncio.to_thread(sys.stdin.readline):
            now = time.perf_counter()
            after = [(len(call.pushed_at), call.seconds_heard) for call in calls]
            result = report(calls, before, now - started)
            for number, call in enumerate(calls):
                call.worst_lateness = 0.0
                if folder is not None and is_measured:
                    call.save(folder / str(number))
            print(json.dumps(result), flush=True)
            before, started, is_measured = after, now, True
        raise SystemExit


if __name__ == "__main__":
    url, count, sound, *folders = sys.argv[1:]
    asyncio.run(run(url, int(count), sound, Path(folders[0]) if folders else None))
