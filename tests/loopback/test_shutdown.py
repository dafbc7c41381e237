"""SIGTERM to the real server process, with sessions alive."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from streams.media.session import Reason
from tests.loopback.conftest import MakePeer
from tests.loopback.test_conversation import spoken
from tests.site.server import running_site


async def test_sigterm_tells_clients_and_exits_within_five_seconds(tmp_path: Path, peer: MakePeer) -> None:
    with running_site(tmp_path) as site:
        async with httpx.AsyncClient(base_url=site.url) as http:

            async def connect(slug: str) -> Any:
                async def post(body: dict[str, Any]) -> Any:
                    return (await http.post(f"/api/streams/{slug}/webrtc/offer", json=body)).json()

                client = peer()
                await client.connect(post)
                await client.message_channel_open()
                return client

            clients = [await connect(slug) for slug in ("echo", "echo-live", "long-reply")]
            clients[2].voice.say(spoken(4))
            await clients[2].hears(0.2)
            asked = time.monotonic()
            site.process.terminate()
            for client in clients:
                assert (await client.message("end_stream"))["data"] == Reason.SERVER_SHUTDOWN.value
            status = await asyncio.to_thread(site.process.wait, 20)
            took = time.monotonic() - asked
        assert status == 0
        assert took < 5, "what an init system grants before it kills"
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        ends = database.execute("SELECT end_reason, ended_at IS NULL FROM streams_sessionrecord").fetchall()
    assert ends == [("server_shutdown", 0)] * 3
