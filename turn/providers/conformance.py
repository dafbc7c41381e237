"""What every provider must do, as test classes: subclass one in your own tests, and pytest runs them all.

Nothing here needs Django or a network: providers that ask over HTTP are given a stand-in server on loopback.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from turn.ice_servers import has_relay, problem
from turn.providers.base import (
    Credentials,
    OutOfOrder,
    Provider,
    RateLimited,
    Refused,
    TooSlow,
    TurnError,
    Unreadable,
    WrongKey,
)

TTL = 3600
RELAY_PASSWORD = "relay-password-of-nobody"
"""In the answers of stand-in servers, where real ones have the credential."""
WAYS = ["async", "sync"]


def fetched(provider: Provider, way: str, user: str = "user-7") -> Credentials:
    return asyncio.run(provider.fetch(user, TTL)) if way == "async" else provider.fetch_sync(user, TTL)


class ProviderContract:
    """Override ``secrets`` if your provider's options hold others than the fixture's ``"secret-of-nobody"``."""

    secrets: ClassVar[list[str]] = ["secret-of-nobody", RELAY_PASSWORD]

    @pytest.fixture
    def provider(self) -> Provider:
        raise NotImplementedError("Give the test class a fixture called provider that returns your provider.")

    def assert_no_secret(self, text: str) -> None:
        assert not [secret for secret in self.secrets if secret in text], text

    @pytest.mark.parametrize("way", WAYS)
    def test_it_gives_a_relay(self, provider: Provider, way: str) -> None:
        before = time.time()
        found = fetched(provider, way)
        assert [problem(server) for server in found.ice_servers] == [""] * len(found.ice_servers)
        assert has_relay(found.ice_servers)
        assert found.ice_transport_policy in (None, "all", "relay")
        assert found.expires_at is None or int(before) < found.expires_at <= time.time() + TTL

    def test_nothing_shows_a_secret(self, provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            shown = [repr(provider), str(provider), *(repr(fetched(provider, way)) for way in WAYS)]
        self.assert_no_secret("\n".join([*shown, caplog.text]))

    def test_many_may_ask_at_once(self, provider: Provider) -> None:
        async def together() -> list[Credentials]:
            return await asyncio.gather(*(provider.fetch(f"user-{number}", TTL) for number in range(5)))

        assert all(has_relay(found.ice_servers) for found in asyncio.run(together()))


# -- providers that ask over HTTP ---------------------------------------------------------------------------------


@dataclass
class Reply:
    """What a stand-in server answers. Not ``ends``: that much and then nothing, or ``drips``."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ends: bool = True
    drips: bool = False


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class StandIn:
    """An HTTP server on loopback that answers every request with ``reply``; None: with nothing at all."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[StandIn]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stand_in.requests.append(Request(self.command, self.path, dict(self.headers), body))
                if stand_in.reply is None:
                    stand_in.over.wait()
                    return
                self._send(stand_in.reply)

            do_POST = do_GET

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                length = {"Content-Length": str(len(reply.body) if reply.ends else 100)}
                for name, value in {**length, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                with suppress(ConnectionError):  # the client has had enough
                    while not reply.ends and not stand_in.over.wait(0.02 if reply.drips else None):
                        self.wfile.write(b" ")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class HTTPProviderContract(ProviderContract):
    """Override ``make`` and ``good``."""

    good: ClassVar[bytes]
    """A real answer of the provider, with RELAY_PASSWORD for the credential."""
    without_relay: ClassVar[bytes]
    """An answer with a STUN server only."""

    def make(self, base_url: str, timeout: float) -> Provider:
        """Return your provider, which is to ask the server at this address, with "secret-of-nobody" as its key."""
        raise NotImplementedError("Give the test class a method called make that returns your provider.")

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls) -> Iterator[StandIn]:
        with StandIn().running() as server:
            yield server

    @pytest.fixture
    def server(self, running: StandIn) -> StandIn:
        running.requests.clear()
        running.reply = Reply(body=self.good)
        return running

    @pytest.fixture
    def provider(self, server: StandIn) -> Provider:
        return self.make(server.url, 5.0)

    def refused(self, provider: Provider, way: str, kind: type[TurnError]) -> TurnError:
        """The error, which is of this kind, told in a sentence, and holds no secret anywhere."""
        with pytest.raises(TurnError) as caught:
            fetched(provider, way)
        assert type(caught.value) is kind
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True, compact=True)
        assert (told.__cause__, told.__context__) == (None, None), "Nobody shows the error with what it came from."
        not_ours = [frame for frame in told.stack if frame.filename != __file__]
        self.assert_no_secret("\n".join([str(caught.value), *traceback.StackSummary.from_list(not_ours).format()]))
        return caught.value

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_wrong_key(self, provider: Provider, server: StandIn, status: int, way: str) -> None:
        server.reply = Reply(status, b'{"error": "secret-of-nobody is no key"}')
        error = self.refused(provider, way, WrongKey)
        assert "Check " in str(error)
        assert "is no key" in str(error), "What the provider says helps."

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("retry_after", "seconds"), [("17", 17), ("", None), ("soon", None), ("date", 60)])
    def test_too_many_requests(
        self, provider: Provider, server: StandIn, retry_after: str, seconds: float | None, way: str
    ) -> None:
        if retry_after == "date":
            retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        server.reply = Reply(429, b"slow down", {"Retry-After": retry_after} if retry_after else {})
        found = self.refused(provider, way, RateLimited).retry_after
        assert found == (seconds if seconds is None else pytest.approx(seconds, abs=30 if seconds == 60 else 0))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("status", [500, 503])
    def test_out_of_order(self, provider: Provider, server: StandIn, status: int, way: str) -> None:
        server.reply = Reply(status, b"<html>\xff oops</html>")
        assert str(status) in str(self.refused(provider, way, OutOfOrder))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("status", [302, 400, 404])
    def test_another_refusal(self, provider: Provider, server: StandIn, status: int, way: str) -> None:
        server.reply = Reply(status, b"no", {"Location": "http://127.0.0.1:9/"})
        self.refused(provider, way, Refused)
        assert len(server.requests) == 1, "The key is not sent elsewhere."

    @pytest.mark.parametrize("way", WAYS)
    def test_nobody_there(self, way: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert "cannot be reached" in str(self.refused(self.make(address, 5.0), way, OutOfOrder))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "reply",
        [None, Reply(body=b'{"ice', ends=False), Reply(body=b"{", ends=False, drips=True)],
        ids=["silent", "broken off", "dripping"],
    )
    def test_too_slow(self, server: StandIn, reply: Reply | None, way: str) -> None:
        server.reply = reply
        assert "0.1 s" in str(self.refused(self.make(server.url, 0.1), way, TooSlow))

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"", {}),
            (b"null", {}),
            (b"[]", {}),
            (b"{}", {}),
            (b"<!doctype html><title>Sign in</title>", {}),
            (b'{"iceServers": "\xff"}', {}),
            (b'{"iceServers": 5, "ice_servers": 5}', {}),
            (b'{"iceServers": [5], "ice_servers": [5]}', {}),
            (b'{"%s": [{"urls": 5, "username": "u", "credential": "%s"}]}', {}),
            (b'{"%s": [{"urls": "turn:a?transport=smoke", "username": "u", "credential": "%s"}]}', {}),
            (b"[" * 50_000, {}),
            (b"%s" + b" " * 100_000, {}),
            (b"no gzip", {"Content-Encoding": "gzip"}),
        ],
        ids=lambda value: str(value)[:30] if isinstance(value, bytes) else "",
    )
    def test_garbage(self, provider: Provider, server: StandIn, body: bytes, headers: dict[str, str], way: str) -> None:
        key = b"ice_servers" if b'"ice_servers"' in self.good else b"iceServers"
        fill = {0: (), 1: (self.good,), 2: (key, RELAY_PASSWORD.encode())}[body.count(b"%s")]
        server.reply = Reply(body=body % fill, headers=headers)
        self.refused(provider, way, Unreadable)

    @pytest.mark.parametrize("way", WAYS)
    def test_no_relay_is_no_answer(self, provider: Provider, server: StandIn, way: str) -> None:
        server.reply = Reply(body=self.without_relay)
        assert "no TURN server" in str(self.refused(provider, way, Unreadable))
