"""The WebSocket transport: FastRTC's JSON protocol with mu-law audio, and binary PCM16.

Client:  {"event": "start", "websocket_id": id}   optional "encoding": "mulaw" | "pcm16", "sample_rate": Hz, both ways
         {"event": "media", "media": {"payload": base64}}, or a binary frame of little-endian int16 after pcm16
         {"event": "ping"}   {"event": "stop"}
Server:  {"event": "media", "media": {"payload": base64}} or binary, {"event": "pong"}, messages {"type", "data"},
         {"event": "clear"} when what was sent and not played is void, and {"event": "started", …} to a client that
         named an encoding or a rate
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from streams.media import mulaw
from streams.media.audio import FRAME_SECONDS, Chunker, Samples
from streams.media.messages import Message, encode
from streams.media.session import Reason, Session

AHEAD_SECONDS = 0.2
"""How far ahead of real time audio is sent: enough for the network, little enough that ``clear`` means something."""
CHUNK_FRAMES = 5
"""Frames of 20 ms in one message, at most."""
GATHER_SECONDS = 0.004
"""When the client sends several frames a message, so do we, if as many come within this time: messages cost CPU."""
BURST_FRAMES = 50
"""Frames that one message may bring to a live handler; of more only the last are heard."""
FLOOD_SECONDS = 30.0
"""A client may be this far ahead of real time with its audio."""
FAREWELL_SECONDS = 1.0
"""How long the last messages may take; a client that does not read is not waited for."""
RATES = range(8000, 48001)
IDS = re.compile(r"[\w.:-]{1,64}")
"""As in the HTTP routes, where inputs and outputs are asked for by this id."""
MEDIA = re.compile(rb'\{"event": ?"media", ?"media": ?\{"payload": ?"')
"""How a media message begins, as browsers' and as Python's JSON write it."""

Encoding = Literal["mulaw", "pcm16"]


class ProtocolError(ValueError):
    """What the client sent cannot be understood; the text says why."""


@dataclass(frozen=True)
class Start:
    websocket_id: str
    encoding: Encoding = "mulaw"
    sample_rate: int | None = None
    negotiated: bool = False


@dataclass(frozen=True)
class Media:
    samples: Samples


@dataclass(frozen=True)
class Stop:
    pass


@dataclass(frozen=True)
class Ping:
    pass


Event = Start | Media | Stop | Ping


def parse(text: str) -> Event:
    """Understand a text message. Raises ProtocolError."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("The message is not JSON.") from None
    if not isinstance(body, dict) or not isinstance(body.get("event"), str):
        raise ProtocolError('The message has no "event".')
    match body["event"]:
        case "start":
            return _start(body)
        case "media":
            return Media(mulaw.decode(_payload(body)))
        case "stop":
            return Stop()
        case "ping":
            return Ping()
    raise ProtocolError(f"There is no event {body['event'][:40]!r}. Send start, media, ping or stop.")


def _start(body: dict[str, Any]) -> Start:
    name, encoding, rate = body.get("websocket_id"), body.get("encoding", "mulaw"), body.get("sample_rate")
    if not isinstance(name, str) or not IDS.fullmatch(name):
        raise ProtocolError('"start" needs a "websocket_id" of 1 to 64 letters, digits, dots, colons and hyphens.')
    if encoding not in ("mulaw", "pcm16"):
        raise ProtocolError('"encoding" is "mulaw" or "pcm16".')
    if rate is not None and (not isinstance(rate, int) or rate not in RATES or rate % 50):
        raise ProtocolError('"sample_rate" is a multiple of 50 between 8000 and 48000.')
    if encoding == "pcm16" and rate is None:
        raise ProtocolError('"pcm16" needs a "sample_rate".')
    return Start(name, encoding, rate, negotiated="encoding" in body or rate is not None)


def _payload(body: dict[str, Any]) -> bytes:
    media = body.get("media")
    payload = media.get("payload") if isinstance(media, dict) else None
    if not isinstance(payload, str):
        raise ProtocolError('"media" needs {"payload": base64}.')
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("The payload is not base64.") from None


def parse_media(data: bytes) -> Media | None:
    """The usual media message, without a JSON parser. None for any other text, which may be a media message too.

    What is base64 throughout needs no unescaping, so nothing passes here that JSON would not let pass.
    """
    head = MEDIA.match(data)
    if head is None or not data.endswith(b'"}}', head.end()):
        return None
    try:
        return Media(mulaw.decode(binascii.a2b_base64(data[head.end() : -3], strict_mode=True)))
    except binascii.Error:
        return None


def parse_binary(data: bytes) -> Media:
    """Understand a binary message: little-endian int16. Raises ProtocolError."""
    if len(data) % 2:
        raise ProtocolError("A binary message has an odd number of bytes; PCM16 has two per sample.")
    return Media(np.frombuffer(data, "<i2").astype(np.int16, copy=False))


class WebSocketTransport:
    """``send`` sends a text or a binary message, ``hang_up`` closes the socket."""

    name = "websocket"

    def __init__(
        self,
        start: Start,
        send: Callable[[str | bytes], Awaitable[None]],
        hang_up: Callable[[], Awaitable[None]],
    ) -> None:
        self.wire = start
        self._send = send
        self._hang_up = hang_up
        self._session: Session | None = None
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        self._chunker = Chunker()
        self._received = 0
        self._started = 0.0
        self._played_until = 0.0
        self._together = 1
        self._gone = False

    @property
    def session(self) -> Session:
        """Whom it serves, once it has started."""
        assert self._session is not None
        return self._session

    def output_rate(self, wanted: int) -> int:
        return self.wire.sample_rate or wanted

    def start(self, session: Session) -> None:
        """Bring the session to life: an open socket is a connection."""
        assert session.audio is not None
        self._session = session
        self._started = self._played_until = session.loop.time()
        self._input_rate = self.wire.sample_rate or session.audio.handler.input_sample_rate
        session.connected()
        session.run(self._write_messages())
        session.run(self._write_audio(session))

    def receive(self, samples: Samples) -> None:
        """Hand audio to the session, in frames of 20 ms. Raises ProtocolError for a flood."""
        session = self._session
        if session is None:
            return
        self._received += samples.size
        if self._received / self._input_rate - (session.loop.time() - self._started) > FLOOD_SECONDS:
            session.close(Reason.FLOODED)
            raise ProtocolError(Reason.FLOODED.value)
        self._chunker.push(samples)
        rate, frame = self._input_rate, int(self._input_rate * FRAME_SECONDS)
        assert session.audio is not None
        frames = len(self._chunker) // frame
        self._together = min(frames, CHUNK_FRAMES)
        session.audio.make_room(min(frames, BURST_FRAMES))
        # No frame of a message could come before the last sample of that message was spoken: none of them is late.
        while (chunk := self._chunker.take(frame)) is not None:
            session.receive_audio(chunk, rate, self._received / rate)

    def gone(self) -> None:
        """The client has closed the socket."""
        self._gone = True
        if self._session is not None:
            self._session.close(Reason.CLIENT_CLOSED)

    # -- to the client ------------------------------------------------------------------------------------------

    def send_message(self, message: Message) -> None:
        self._messages.put_nowait(encode(message))

    def clear(self) -> None:
        if self.ahead():
            self._played_until = 0.0
            self._messages.put_nowait('{"event":"clear"}')

    def hold(self) -> float:
        """What is dropped can come again only for a client that named an encoding: others may not know "clear"."""
        ahead = self.ahead()
        self.clear()
        return ahead if self.wire.negotiated else 0.0

    def ahead(self) -> float:
        return max(self._played_until - self._session.loop.time(), 0.0) if self._session is not None else 0.0

    async def latency(self) -> float:
        return 0.0

    async def _write_messages(self) -> None:
        while True:
            await self._send(await self._messages.get())

    async def _write_audio(self, session: Session) -> None:
        assert session.audio is not None
        playout, loop = session.audio.playout, session.loop
        while True:
            if not await playout.wait():
                continue
            early = self._played_until - loop.time() - (AHEAD_SECONDS - CHUNK_FRAMES * FRAME_SECONDS)
            if early > 0:
                await asyncio.sleep(early)
            elif self._together > 1:
                await playout.wait(GATHER_SECONDS, self._together)
            frames: list[Samples] = []
            while len(frames) < CHUNK_FRAMES and (frame := playout.read()) is not None:
                frames.append(frame)
            if frames:
                samples = np.concatenate(frames)
                self._played_until = max(self._played_until, loop.time()) + samples.size / playout.rate
                await self._send(self._encode(samples))

    def _encode(self, samples: Samples) -> str | bytes:
        if self.wire.encoding == "pcm16":
            return samples.astype("<i2", copy=False).tobytes()
        payload = base64.b64encode(mulaw.encode(samples)).decode()
        return f'{{"event":"media","media":{{"payload":"{payload}"}}}}'

    def transfer(self, number: str) -> None:
        """Only a telephone call can go on elsewhere."""

    async def played(self) -> None:
        await asyncio.sleep(self.ahead())

    async def close(self) -> None:
        if self._gone:
            return
        await self.played()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while not self._messages.empty():
                    await self._send(self._messages.get_nowait())
        await self._hang_up()
