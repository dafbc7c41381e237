"""The telephone as a transport: 20 ms frames a little ahead of real time, marks that tell what was heard."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np

from streams.media.audio import FRAME_SECONDS, Samples
from streams.media.messages import Message
from streams.media.session import Reason, Session
from telephony.media_streams import RATE, Codec, Digit, Event, Marked, Media, Stopped

AHEAD_SECONDS = 0.1
"""How far ahead of real time audio is sent: enough for the way to the provider."""
MARK_FRAMES = 10
"""Frames between two marks. The provider echoes each when the caller has heard it."""
MARK_SECONDS = 0.06
"""Without audio, after which the last of it is marked: frames of a live handler come one by one."""
REORDER = 5
"""Chunks that may be waited for before a gap is taken for lost."""
MAX_MARKS = 100
"""Marks that are waited for."""
LONGEST_GAP = 50
"""Chunks of a gap that are filled with silence."""


class TelephoneTransport:
    """``send`` sends a text message to the provider, ``hang_up`` ends the call."""

    name = "telephone"

    def __init__(
        self, codec: Codec, send: Callable[[str], Awaitable[None]], hang_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._codec = codec
        self._send = send
        self._hang_up = hang_up
        self._session: Session | None = None
        self._expected: int | None = None
        self._early: list[tuple[int, int, Samples]] = []
        self._received = 0
        self._sent = 0
        self._heard = 0
        self._unmarked = 0
        self._marks: deque[tuple[int, float]] = deque(maxlen=MAX_MARKS)
        self._delay = 0.0
        self._all_heard = asyncio.Event()
        self._all_heard.set()
        self._due = 0.0
        self._gone = False
        self.transfer_to = ""

    @property
    def session(self) -> Session:
        """Whom it serves, once it has started."""
        assert self._session is not None
        return self._session

    def output_rate(self, wanted: int) -> int:
        return RATE

    def start(self, session: Session) -> None:
        """Bring the session to life: the call has been answered."""
        self._session = session
        session.connected()
        session.run(self._write(session))

    # -- from the caller ----------------------------------------------------------------------------------------

    def receive(self, event: Event) -> None:
        """Take an event of the running call."""
        match event:
            case Media(chunk, samples):
                self.hear(chunk, samples)
            case Digit(key):
                self.session.press(key)
            case Marked(name):
                self._on_mark(name)
            case Stopped():
                self.gone()

    def hear(self, chunk: int, samples: Samples) -> None:
        """In order, each once; what does not come within REORDER chunks is silence."""
        if self._expected is None:
            self._expected = chunk
        if chunk == self._expected and not self._early:
            self._expected += 1
            self._hear(samples, filler=False)
            return
        if chunk < self._expected or any(chunk == waiting for waiting, _, _ in self._early):
            return
        heapq.heappush(self._early, (chunk, len(self._early), samples))
        while self._early and (self._early[0][0] == self._expected or len(self._early) > REORDER):
            number, _, chunk_samples = heapq.heappop(self._early)
            for _ in range(min(number - self._expected, LONGEST_GAP)):
                self._hear(np.zeros(chunk_samples.size, np.int16), filler=True)
            self._expected = number + 1
            self._hear(chunk_samples, filler=False)

    def _hear(self, samples: Samples, *, filler: bool) -> None:
        self.session.receive_audio(samples, RATE, self._received / RATE, filler)
        self._received += samples.size

    def _on_mark(self, name: str) -> None:
        """Ours come back in order. A later echo than the clock foresaw is the delay of the way there and back."""
        for position, due in self._marks:
            if name == str(position):
                self._heard, self._delay = position, max(self.session.loop.time() - due, 0.0) / 2
                break
        while self._marks and self._marks[0][0] <= self._heard:
            self._marks.popleft()
        if self._heard >= self._sent:
            self._all_heard.set()

    def gone(self) -> None:
        """The caller has hung up."""
        self._gone = True
        self._all_heard.set()
        if self._session is not None:
            self._session.close(Reason.CLIENT_CLOSED)

    # -- to the caller ------------------------------------------------------------------------------------------

    def send_message(self, message: Message) -> None:
        """A telephone shows nothing."""

    def clear(self) -> None:
        if self._sent > self._heard:
            self._void()

    def hold(self) -> float:
        ahead = self.ahead()
        if ahead:
            self._void()
        return ahead

    def _void(self) -> None:
        self._heard = self._sent
        self._due = 0.0
        self._unmarked = 0
        self._marks.clear()
        self._all_heard.set()
        self.session.run(self._clear())

    async def _clear(self) -> None:
        await self._send(self._codec.clear())

    def ahead(self) -> float:
        """By the clock, which the marks tell how far away the caller is; never more than they leave open."""
        if self._session is None or not self._due:
            return 0.0
        by_clock = max(self._due + self._delay - self.session.loop.time(), 0.0)
        return min(by_clock, (self._sent - self._heard) / RATE)

    async def latency(self) -> float:
        return self._delay

    async def _write(self, session: Session) -> None:
        playout, loop = session.playout, session.loop
        while True:
            if not playout.ready:
                if not await playout.wait(MARK_SECONDS if self._unmarked else None) and self._unmarked:
                    await self._mark()
                continue
            if (early := self._due - loop.time() - AHEAD_SECONDS) > 0:
                await asyncio.sleep(early)
            frame = playout.read()
            if frame is None:
                continue
            self._due = max(self._due, loop.time()) + FRAME_SECONDS
            self._sent += frame.size
            self._all_heard.clear()
            await self._send(self._codec.media(frame))
            self._unmarked += 1
            if self._unmarked >= MARK_FRAMES:
                await self._mark()

    async def _mark(self) -> None:
        self._unmarked = 0
        self._marks.append((self._sent, self._due))
        await self._send(self._codec.mark(str(self._sent)))

    def transfer(self, number: str) -> None:
        self.transfer_to = number

    async def played(self) -> None:
        """Wait until the provider has echoed the last mark; a lost mark costs a second."""
        if self._gone or self._session is None:
            return
        if self._unmarked:
            await self._mark()
        try:
            async with asyncio.timeout(self.ahead() + 1.0):
                await self._all_heard.wait()
        except TimeoutError:
            self._heard = self._sent
            self._all_heard.set()

    async def close(self) -> None:
        if self._gone:
            return
        await self.played()
        self._gone = True
        await self._hang_up()
