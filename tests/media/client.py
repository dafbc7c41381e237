"""A client in virtual time: speaks into a session and hears what it plays, 20 ms at a time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from streams.media.audio import FRAME_SECONDS, Samples
from streams.media.context import Context
from streams.media.handlers import StreamHandlerBase
from streams.media.session import Hooks, Session, SessionConfig
from streams.media.transport import FakeTransport
from tests.media.virtual_time import now, settled

RATE = 48000
FRAME = 960


def voice(seconds: float, rate: int = RATE, level: int = 8000, pitch: float = 220.0) -> Samples:
    """A loud tone, every sample of which differs from its neighbours."""
    moments = np.arange(round(seconds * rate)) / rate
    return np.asarray(level * np.sin(2 * np.pi * pitch * moments) + level / 4).astype(np.int16)


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(round(seconds * rate), np.int16)


class Client:
    """``heard``: (moment, samples) of each frame that was played."""

    def __init__(
        self,
        handler: StreamHandlerBase,
        *,
        config: SessionConfig | None = None,
        hooks: Hooks | None = None,
        options: Mapping[str, Any] | None = None,
        id: str = "caller",
    ) -> None:
        self.transport = FakeTransport()
        context = Context(webrtc_id=id, options=options or {})
        self.session = Session(handler, self.transport, context, config=config, hooks=hooks)
        self.heard: list[tuple[float, Samples]] = []
        self.spoken = 0
        self._ear: asyncio.Task[None] | None = None

    async def connect(self) -> "Client":
        self.session.connecting()
        return await self.connect_later()

    async def connect_later(self) -> "Client":
        """The rest of ``connect``, for a session that is connecting."""
        self.session.connected()
        self._ear = asyncio.create_task(self._hear())
        await settled()
        return self

    async def _hear(self) -> None:
        while not self.transport.closed:
            frame = self.session.playout.read()
            if frame is not None:
                self.heard.append((now(), frame))
            await asyncio.sleep(FRAME_SECONDS)

    async def speak(self, *parts: Samples) -> None:
        """In real time; the last 20 ms have been said when this returns."""
        samples = np.concatenate(parts)
        for start in range(0, samples.size, FRAME):
            await asyncio.sleep(FRAME_SECONDS)
            frame = samples[start : start + FRAME]
            self.session.receive_audio(np.pad(frame, (0, FRAME - frame.size)), RATE, self.spoken / RATE)
            self.spoken += FRAME
        await settled()

    def hear(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *(frame for _, frame in self.heard)])

    def heard_at(self) -> list[float]:
        """The moments at which something loud was heard."""
        return [moment for moment, frame in self.heard if int(np.abs(frame).max()) > 500]

    @property
    def logs(self) -> list[str]:
        return self.transport.texts("log")

    @property
    def errors(self) -> list[str]:
        return self.transport.texts("error")
