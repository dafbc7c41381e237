from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import AsyncClient

from rtcproject.asgi import application  # here, because it configures logging, which in a test undoes caplog
from telephony.simulator import Caller, ProviderSide, Socket, TelnyxSide, TwilioSide
from tests.loopback.conftest import no_session_left, stream  # noqa: F401 - fixtures
from tests.media.conftest import _virtual_threads  # noqa: F401
from tests.site.server import Site, running_site
from tests.virtual_time_marker import pytest_asyncio_loop_factories, pytest_configure  # noqa: F401 - hooks

SITE = "http://testserver"
AUTH_TOKEN = "a secret"
KEY = Ed25519PrivateKey.generate()
PRIVATE_KEY = base64.b64encode(KEY.private_bytes_raw()).decode()
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()

SIDES: Mapping[str, Callable[[], ProviderSide]] = {
    "twilio": lambda: TwilioSide(AUTH_TOKEN),
    "telnyx": lambda: TelnyxSide(PRIVATE_KEY),
}
MakeCaller = Callable[..., Caller]


@pytest.fixture(autouse=True)
def _secrets(settings: Any) -> None:
    settings.TWILIO_AUTH_TOKEN, settings.TELNYX_PUBLIC_KEY = AUTH_TOKEN, PUBLIC_KEY
    settings.TELEPHONY_PUBLIC_URL = ""


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real one, in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        patch.setenv("TELNYX_PUBLIC_KEY", PUBLIC_KEY)
        with running_site(tmp_path_factory.mktemp("site")) as site:
            yield site


async def post(url: str, form: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """To the site in this process."""
    parts = urlsplit(url)
    kind = "application/x-www-form-urlencoded"
    others = {name: value for name, value in headers.items() if name != "Content-Type"}
    response = await AsyncClient().post(parts.path, form, content_type=kind, headers=others)
    return response.status_code, response.content.decode()


class AsgiSocket:
    """A socket to the site's ASGI application, as a server makes one."""

    def __init__(self, path: str) -> None:
        self.close_code: int | None = None
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": [], "subprotocols": []}
        self.task = asyncio.ensure_future(application(scope, self._incoming.get, self._take))
        self.task.add_done_callback(lambda task: self.end(1011))
        self._incoming.put_nowait({"type": "websocket.connect"})

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.close":
            self.end(event.get("code", 1000))
        elif event["type"] == "websocket.send":
            assert self.close_code is None, f"sent after the socket was closed: {event}"
            self._outgoing.put_nowait(event["text"])

    def end(self, code: int) -> None:
        if self.close_code is None:
            self.close_code = code
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})
            self._outgoing.put_nowait(None)

    async def send(self, text: str) -> None:
        if self.close_code is None:
            self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> str | None:
        return await self._outgoing.get()

    async def closed(self) -> int:
        """Wait until the site has closed it, and its application has returned, which must not raise."""
        async with asyncio.timeout(20):
            while await self.receive() is not None:
                pass
            await self.task
        assert self.close_code is not None
        return self.close_code


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[Socket]:
    socket = AsgiSocket(urlsplit(url).path)
    try:
        yield socket
    finally:
        socket.end(1001)
        async with asyncio.timeout(10):
            await socket.task


@pytest.fixture
async def caller() -> AsyncIterator[MakeCaller]:
    """Make a caller of the site in this process: of a stream by its slug, or of a number."""
    callers: list[Caller] = []

    def make(slug: str = "", provider: str = "twilio", **kwargs: Any) -> Caller:
        path = f"/api/streams/{slug}/telephone/{provider}/incoming" if slug else f"/telephony/{provider}/incoming"
        side = kwargs.pop("side", None) or SIDES[provider]()
        callers.append(Caller(SITE, path, side, post=post, open_socket=open_socket, **kwargs))
        return callers[-1]

    yield make


def unique_number() -> str:
    return f"+49{uuid.uuid4().int % 10**10:010d}"
