"""JSON over HTTP with nothing but the standard library, so that no web framework is part of what is measured."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]
Handle = Callable[[str, Json], Awaitable[Json]]


async def serve_json(port: int, handle: Handle) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            answer = json.dumps(await handle(head[0].split()[1], json.loads(body or b"{}"))).encode()
            fields = f"Content-Type: application/json\r\nContent-Length: {len(answer)}\r\nConnection: close"
            writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + answer)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # a caller that only looked whether the port is open
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


def post_json(url: str, body: Json) -> Json:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            answer: Json = json.load(response)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from error
    if answer.get("status") == "failed":
        raise RuntimeError(f"{url} refused: {answer}")
    return answer
