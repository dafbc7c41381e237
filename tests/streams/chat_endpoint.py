"""A chat endpoint that speaks OpenAI's protocol over HTTP/1.1, well or badly, as a test wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

EVENTS = "text/event-stream"
DONE = b"data: [DONE]\n\n"


def event(text: str | None = None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return raw({"object": "chat.completion.chunk", "choices": [choice]})


def raw(data: Any) -> bytes:
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


@dataclass
class Reply:
    """How one request is answered. ``complete`` sends HTTP's own end; without it the connection is cut."""

    writer: asyncio.StreamWriter

    async def head(self, status: int = 200, type: str = EVENTS) -> None:
        self.writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await self.writer.drain()

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await self.writer.drain()

    async def complete(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def fail(self, status: int, body: bytes, type: str = "application/json") -> None:
        await self.head(status, type)
        await self.send(body)
        await self.complete()


Behaviour = Callable[[Reply], Awaitable[None]]


@dataclass
class ChatEndpoint:
    behaviour: Behaviour
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client has closed its connection."""
    _open: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")
                )
                self.headers.append(head)
                self.requests.append(json.loads(await reader.readexactly(length)))
                answering = asyncio.create_task(self._answer(writer))
                self._open.add(answering)
                gone = asyncio.create_task(self._wait_until_gone(reader))
                await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    answering.cancel()
                    break
                gone.cancel()
                if not answering.result():
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.left.set()
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> bool:
        try:
            await self.behaviour(Reply(writer))
        except ConnectionError:
            return False
        return not writer.is_closing()

    @staticmethod
    async def _wait_until_gone(reader: asyncio.StreamReader) -> None:
        while not (reader.at_eof() or reader.exception()):  # noqa: ASYNC110 - to read would take the next request
            await asyncio.sleep(0.01)


@asynccontextmanager
async def chat_endpoint(behaviour: Behaviour, port: int = 0) -> AsyncIterator[ChatEndpoint]:
    endpoint = ChatEndpoint(behaviour)
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", port)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield endpoint
    finally:
        server.close()


def says(*pieces: str) -> Behaviour:
    """A good answer, with all that real ones have: a role first, comments, costs at the end."""

    async def behave(reply: Reply) -> None:
        await reply.head()
        await reply.send(raw({"choices": [{"delta": {"role": "assistant", "content": None}}]}), b": still here\n\n")
        await reply.send(*map(event, pieces), event(finish="stop"), raw({"choices": [], "usage": {}}), DONE)
        await reply.complete()

    return behave
