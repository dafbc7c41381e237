"""What a session needs of a transport, and a fake one for tests."""

from __future__ import annotations

from typing import Protocol

from streams.media.messages import Message


class Transport(Protocol):
    """Moves media and messages between one client and one session.

    A transport calls ``session.connected()`` once, ``session.receive_audio(…)`` for each frame, reads
    ``session.playout`` at its own pace, and calls ``session.close(reason)`` when the client is gone.
    """

    name: str

    def output_rate(self, wanted: int) -> int:
        """The sample rate in Hz at which this transport reads the playout buffer of a handler that wants ``wanted``."""

    def send_message(self, message: Message) -> None:
        """Queue a message. Messages sent before the client can hear them are kept, within bounds."""

    def clear(self) -> None:
        """Ask the client to drop audio that it has been sent ahead and not played."""

    def hold(self) -> float:
        """The same, for audio that may be wanted again. Returns the seconds dropped."""

    def ahead(self) -> float:
        """Seconds of audio that the client has been sent and not played."""

    async def latency(self) -> float:
        """Seconds that audio needs to the client, as far as is known."""

    async def played(self) -> None:
        """Wait until the client has played what it has been sent ahead."""

    def transfer(self, number: str) -> None:
        """Go on with another telephone when the session has ended. Only a telephone can."""

    async def close(self) -> None:
        """Deliver queued messages as far as the client still takes them, and let go of everything. Idempotent."""


class FakeTransport:
    """Records what a session does; tests play the client."""

    name = "fake"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.clears = 0
        self.closed = False

    def output_rate(self, wanted: int) -> int:
        return wanted

    def send_message(self, message: Message) -> None:
        self.messages.append(message)

    def clear(self) -> None:
        self.clears += 1

    def hold(self) -> float:
        return 0.0

    def ahead(self) -> float:
        return 0.0

    async def latency(self) -> float:
        return 0.0

    async def played(self) -> None:
        pass

    def transfer(self, number: str) -> None:
        pass

    async def close(self) -> None:
        self.closed = True

    def texts(self, type: str = "log") -> list[str]:
        """The data of the messages of one type, in order."""
        return [message["data"] for message in self.messages if message["type"] == type]
