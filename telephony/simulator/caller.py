"""Calls a site as a provider does, speaks, presses keys, hears, and hangs up."""

from __future__ import annotations

import asyncio
import base64
import bisect
import itertools
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlencode
from xml.etree import ElementTree

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from streams.media import mulaw
from streams.media.audio import FRAME_SECONDS, Chunker, Samples
from telephony.media_streams import FRAME, RATE
from telephony.simulator.player import Lateness, Player
from telephony.simulator.provider_side import ProviderSide

LOUD = 500
"""int16 peak from which a frame is something to hear."""
QUIET_SECONDS = 0.5
"""After which sound is told as something new."""
HTTP_SECONDS = 15.0
"""How long a provider waits for a webhook's answer."""
MAX_DOCUMENTS = 10
"""That a site may have a call go through."""

Stage = Literal["greeting", "connected", "started"]
"""Where a caller hangs up: before the socket, before its "start", right after it."""


class CallFailed(Exception):
    """The call cannot be made, or the site's answer not be followed; the text says why."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class Socket(Protocol):
    async def send(self, text: str) -> None:
        """What is sent to a socket that has closed meanwhile is lost."""

    async def receive(self) -> str | None:
        """None when the site has closed the socket."""


Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[tuple[int, str]]]
"""URL, form, headers → status, text."""
Open = Callable[[str], AbstractAsyncContextManager[Socket]]
Network = Callable[[int, str], list[str]]
"""A chunk's number, its message → what arrives in its place."""


@dataclass(frozen=True)
class Happening:
    seconds: float
    """Since dialling."""
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.seconds:7.2f}  {self.what}{': ' if self.detail else ''}{self.detail}"


async def post(url: str, form: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Raises CallFailed when nobody answers."""

    def ask() -> tuple[int, str]:
        request = urllib.request.Request(url, form, dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError) as error:
            raise CallFailed(f"{url} does not answer: {error}") from error

    return await asyncio.to_thread(ask)


class _WebSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        with suppress(ConnectionClosed):
            await self._connection.send(text)

    async def receive(self) -> str | None:
        try:
            return str(await self._connection.recv())
        except ConnectionClosed:
            return None


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[Socket]:
    """Raises CallFailed when the site does not take the socket."""
    try:
        connection = await connect(url, compression=None, open_timeout=HTTP_SECONDS)
    except (OSError, WebSocketException, TimeoutError) as error:
        raise CallFailed(f"{url} takes no socket: {error}") from error
    async with connection:
        yield _WebSocket(connection)


class Caller:
    """One call. ``await call()`` makes it; meanwhile ``say``, ``press`` and ``hang_up`` do what a person does.

    ``path`` is the webhook's, ``public_url`` the site's address as the provider knows it, where that is not ``site``.
    ``details`` is what else the provider tells of the call, or tells otherwise. Whom the site has called is a Caller,
    too: one with ``details={"Direction": "outbound-api", "CallStatus": "in-progress"}``.
    """

    def __init__(
        self,
        site: str,
        path: str,
        provider: ProviderSide,
        *,
        number: str = "+4930100100",
        called: str = "+4930200200",
        public_url: str = "",
        details: Mapping[str, str] | None = None,
        network: Network = lambda chunk, message: [message],
        post: Post = post,
        open_socket: Open = open_socket,
        tell: Callable[[Happening], None] = lambda happening: None,
    ) -> None:
        self.site, self.path, self.provider = site.rstrip("/"), path, provider
        self.number, self.called = number, called
        self.public_url = public_url.rstrip("/") or self.site
        self.details = dict(details or {})
        self.happenings: list[Happening] = []
        self.outcome = ""
        """How the call ended, in words."""
        self.transferred_to = ""
        self.told: list[str] = []
        """What the provider's own voice said."""
        self.lateness = Lateness()
        self.sizes: set[int] = set()
        """Samples of the messages with audio that came."""
        self.marks = 0
        self.cleared: list[float] = []
        """When what waited to be played was dropped, on the line's clock."""
        self.dropped = 0.0
        """Seconds of it, and of what had not been played when the socket closed."""
        self.answered = False
        self.player = Player()
        self._network, self._post, self._open, self._tell = network, post, open_socket, tell
        self._mouth = Chunker()
        self._keys: list[str] = []
        # What is heard in a tick follows what is said in it, which has been said when it is sent.
        self._heard: list[Samples] = [np.zeros(FRAME, np.int16)]
        self._said: list[Samples] = []
        self._loud: list[int] = []
        self._hung_up = False
        self._stage: Stage | None = None
        self._socket: Socket | None = None
        self._began = 0.0
        self._ticked = asyncio.Event()

    # -- what a person does -------------------------------------------------------------------------------------

    def say(self, samples: Samples) -> float:
        """Say this, mono int16 at 8 kHz, after what is being said. Returns when it begins, on the line's clock."""
        begins = self.line_seconds + len(self._mouth) / RATE
        self._mouth.push(samples)
        return begins

    def press(self, key: str) -> None:
        self._keys.append(key)

    def hang_up(self) -> None:
        self._hung_up = True

    # -- what a person hears ------------------------------------------------------------------------------------

    @property
    def line_seconds(self) -> float:
        """How long the line has been open."""
        return len(self._said) * FRAME_SECONDS

    @property
    def heard(self) -> Samples:
        """Mono int16 at 8 kHz, from the opening of the line, with the silence in between."""
        return np.concatenate(self._heard)

    @property
    def said(self) -> Samples:
        """The same, of what this caller said."""
        return np.concatenate([np.zeros(0, np.int16), *self._said])

    @property
    def talking(self) -> bool:
        return len(self._mouth) > 0

    def loud_seconds(self, since: float = 0.0) -> float:
        """How much sound there was since then."""
        return (len(self._loud) - bisect.bisect_left(self._loud, round(since / FRAME_SECONDS))) * FRAME_SECONDS

    @property
    def last_sound(self) -> float:
        """When the last sound ended, on the line's clock; 0 if there was none."""
        return (self._loud[-1] + 1) * FRAME_SECONDS if self._loud else 0.0

    async def until(self, condition: Callable[[], bool], timeout: float | None = 20.0) -> None:
        """Wait for something that is looked at in each tick. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._ticked.clear()
                await self._ticked.wait()

    async def picked_up(self) -> None:
        await self.until(lambda: self.answered)

    async def hears(self, seconds: float, since: float = 0.0) -> None:
        """Wait for that much sound since then."""
        await self.until(lambda: self.loud_seconds(since) >= seconds)

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing has been heard for so long."""
        await self.until(lambda: self.line_seconds - self.last_sound >= seconds)

    # -- the call -----------------------------------------------------------------------------------------------

    async def call(self, hang_up_at: Stage | None = None) -> str:
        """Dial, and follow what the site answers to its end. Returns the outcome.

        Raises CallFailed, and Misbehaved for a message that the provider would not take.
        """
        self._began = asyncio.get_running_loop().time()
        self._stage = hang_up_at
        self._note("dialled", self.called)
        url, documents = f"{self.public_url}{self.path}", 0
        while url and not self.outcome:
            if (documents := documents + 1) > MAX_DOCUMENTS:
                raise CallFailed("The site sends the call around in circles.")
            url = await self._follow(await self._ask(url))
        self._end("hung up by the site")
        return self.outcome

    def _note(self, what: str, detail: str = "") -> None:
        happening = Happening(asyncio.get_running_loop().time() - self._began, what, detail)
        self.happenings.append(happening)
        self._tell(happening)
        self._ticked.set()

    def _end(self, outcome: str) -> None:
        if not self.outcome:
            self.outcome = outcome
            self._note(outcome)

    def _local(self, url: str) -> str:
        """The way from here to a URL that the provider was given. Sockets too."""
        public, site = (address.partition("://")[2] for address in (self.public_url, self.site))
        scheme, _, rest = url.partition("://")
        if not rest.startswith(public):
            return url
        kind = "ws" if scheme.startswith("ws") else "http"
        secure = "s" if self.site.startswith("https") else ""
        return f"{kind}{secure}://{site}{rest.removeprefix(public)}"

    async def _ask(self, url: str) -> ElementTree.Element:
        form = {
            "CallSid": self.provider.call_id,
            "AccountSid": "AC" + "0" * 32,
            "From": self.number,
            "To": self.called,
            "CallStatus": "in-progress" if self.answered else "ringing",
            "Direction": "inbound",
            **self.details,
        }
        body = urlencode(form).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **self.provider.headers(url, form, body),
        }
        status, text = await self._post(self._local(url), body, headers)
        if status != 200:
            raise CallFailed(f"The site answers {status}: {text[:200]}", status)
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise CallFailed(f"The site's answer is no TwiML: {error}: {text[:200]}") from None

    async def _follow(self, document: ElementTree.Element) -> str:
        """Do what the document says. Returns the URL to ask what comes next."""
        for verb in document:
            match verb.tag:
                case "Say":
                    self.told.append(verb.text or "")
                    self._note("told", verb.text or "")
                    if self._stage == "greeting":
                        self.hang_up()
                case "Connect":
                    if self._stage == "greeting":
                        self.hang_up()
                    if not self._hung_up:
                        await self._connect(verb)
                    if not self._hung_up and (action := verb.get("action")):
                        return action
                case "Dial":
                    self.transferred_to = (verb.text or "").strip()
                    self._end(f"transferred to {self.transferred_to}")
                case "Redirect":
                    return (verb.text or "").strip()
                case "Hangup":
                    self._end("hung up by the site")
                case _:
                    raise CallFailed(f"The simulator does not know <{verb.tag}>.")
            if self._hung_up:
                self._end("hung up by the caller")
            if self.outcome:
                break
        return ""

    # -- its socket ---------------------------------------------------------------------------------------------

    async def _connect(self, verb: ElementTree.Element) -> None:
        stream = verb.find("Stream")
        if stream is None:
            raise CallFailed("<Connect> has no <Stream>.")
        parameters = {each.get("name", ""): each.get("value", "") for each in stream.findall("Parameter")}
        async with self._open(self._local(stream.get("url", ""))) as socket:
            self._socket = socket
            await socket.send(self.provider.connected())
            if self._stage == "connected":
                self.hang_up()
                return
            await socket.send(self.provider.start(parameters, self.number, self.called))
            self.answered = True
            self._note("answered")
            if self._stage == "started":
                self.hang_up()
            await self._talk(socket)
        self.dropped += self.player.waiting

    async def _talk(self, socket: Socket) -> None:
        """Until either side hangs up."""
        tasks = [asyncio.create_task(each) for each in (self._listen(socket), self._speak(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, socket: Socket) -> None:
        loop = asyncio.get_running_loop()
        while (text := await socket.receive()) is not None:
            event, content = self.provider.understand(text)
            match event:
                case "media":
                    self.sizes.add(content.size)
                    self.lateness.arrived(loop.time(), content.size / RATE)
                    self.player.write(content)
                case "mark":
                    self.marks += 1
                    await self._echo(socket, self.player.mark(content))
                case "clear":
                    self._note("cleared", f"{self.player.waiting:.2f} s not played")
                    self.cleared.append(self.line_seconds)
                    self.dropped += self.player.waiting
                    self.lateness.cleared()
                    await self._echo(socket, self.player.clear())

    async def _echo(self, socket: Socket, names: list[str]) -> None:
        for name in names:
            await socket.send(self.provider.message("mark", mark={"name": name}))

    async def _speak(self, socket: Socket) -> None:
        """20 ms in and out, in real time, until this side hangs up."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for tick in itertools.count(1):
            await asyncio.sleep(began + tick * FRAME_SECONDS - loop.time())
            if self._hung_up:
                await socket.send(self.provider.stop())
                return
            while self._keys:
                key = self._keys.pop(0)
                self._note("pressed", key)
                await socket.send(self.provider.digit(key))
            for message in self._network(tick, self._chunk(tick)):
                await socket.send(message)
            heard, marks = self.player.tick()
            await self._echo(socket, marks)
            self._hear(heard)

    def _chunk(self, tick: int) -> str:
        spoken = self._mouth.take(min(FRAME, len(self._mouth)))
        assert spoken is not None
        frame = np.pad(spoken, (0, FRAME - spoken.size))
        self._said.append(frame)
        audio = base64.b64encode(mulaw.encode(frame)).decode()
        stamp = str(round((tick - 1) * FRAME_SECONDS * 1000))
        media = {"track": "inbound", "chunk": str(tick), "timestamp": stamp, "payload": audio}
        return self.provider.message("media", media=media)

    def _hear(self, frame: Samples) -> None:
        if int(np.abs(frame).max()) > LOUD:
            now = len(self._heard) * FRAME_SECONDS
            if not self._loud or now - self.last_sound > QUIET_SECONDS:
                self._note("heard", "the first sound" if not self._loud else "sound again")
            self._loud.append(len(self._heard))
        self._heard.append(frame)
        self._ticked.set()
