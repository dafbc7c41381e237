"""A visitor on another host: reaches the site's HTTP by a Unix socket, and its media however ICE finds a way.

    python -m tests.network.visit SOCKET STREAM…

prints as JSON, for each stream, how like what was heard is to what was said (1.0: the same), or null if ICE found none.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from aioice import stun

from streams.media.audio import resample
from tests import speech
from tests.listening import find
from tests.loopback.peer import RATE, Peer


async def visit(site: httpx.AsyncClient, stream: str) -> float | None:
    async def post(body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = (await site.post(f"/api/streams/{stream}/webrtc/offer", json=body)).json()
        return answer

    peer = Peer(configuration=(await site.get(f"/api/streams/{stream}/rtc_configuration")).json())
    connecting, failing = asyncio.ensure_future(peer.connect(post)), asyncio.ensure_future(peer.closed.wait())
    try:
        await asyncio.wait([connecting, failing], return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            return None
        await connecting
        return await likeness(peer)
    finally:
        connecting.cancel()
        failing.cancel()
        await peer.close()


async def likeness(peer: Peer) -> float:
    rate, samples = speech.sentence(1)
    said = resample(samples, rate, RATE)[RATE // 2 : RATE]
    peer.voice.say(np.tile(said, 2))
    await peer.hears(0.5)
    return find(said[RATE // 8 : RATE // 4], np.concatenate(peer.heard))[1]


async def main(socket: str, *streams: str) -> None:
    transport = httpx.AsyncHTTPTransport(uds=socket)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=20) as site:
        found = await asyncio.gather(*(visit(site, stream) for stream in streams))
    print(json.dumps(dict(zip(streams, found, strict=True))))  # noqa: T201 - the answer


if __name__ == "__main__":
    stun.RETRY_MAX = 2  # a way that is none is given up after 4 s instead of 32
    asyncio.run(main(*sys.argv[1:]))
