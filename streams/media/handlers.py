"""What users subclass: handlers, one instance per session."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar, Literal, Protocol, Self

import av

from streams.media.audio import FRAME_SECONDS, Audio
from streams.media.errors import WebRTCError
from streams.media.messages import Message, message, understood
from streams.media.outputs import Emitted, PictureOut
from streams.media.threads import UserThread
from streams.media.timing import ReplyTiming

SHUTDOWN_SECONDS = 2.0
INPUT_SECONDS = 60.0
WEBRTC_VALUE = "__webrtc_value__"


class Port(Protocol):
    """What a session offers to its handler."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def send_message(self, message: Message) -> None:
        """Queue a message for the client."""

    @property
    def id(self) -> str: ...

    async def play(self, item: Emitted) -> None:
        """Play audio, publish outputs, or close. Waits while too much is waiting to be played."""

    async def show(self, item: PictureOut) -> None:
        """Show a picture, publish outputs, or close."""

    def finish(self) -> None:
        """Say that nothing follows for now, so that the last samples are played at once."""

    def clear(self) -> float:
        """Drop what has not been played. Returns the seconds dropped."""

    def hold(self) -> None:
        """Stop playing for the moment."""

    def release(self) -> None:
        """Go on playing after ``hold``."""

    async def played(self) -> None:
        """Wait until all that was written has been played or dropped."""

    def written_seconds(self) -> float:
        """Seconds of audio written since the start, without what was dropped."""

    def heard_seconds(self) -> float:
        """Seconds of it that the client has been given to hear."""

    def mark(self, reached: Callable[[], None]) -> None:
        """Call ``reached`` when the first of what is written next leaves for the client."""

    async def latency(self) -> float:
        """Seconds from leaving to being heard, as far as the transport knows."""

    def timed(self, timing: ReplyTiming) -> None:
        """Tell the client and the application how a reply stands."""

    def end(self, words: str) -> None:
        """End the session and tell the client why."""

    def report(self, error: BaseException) -> None:
        """Log an error of user code and tell the client in a sentence."""


class InputTimeout(WebRTCError):
    """The client did not send the inputs that the handler waits for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The inputs did not arrive within {seconds:g} seconds.")


class Handler(ABC):
    """Common to all handlers. One instance serves one session."""

    emits: ClassVar[bool] = True
    """Whether the session asks for output through ``next_item``. Handlers that write to their port say False."""
    mode: str = "send-receive"
    """As the client sees it: "send" is a client that only sends. Set by the session, from the registration."""

    def __init__(self) -> None:
        self.options: Mapping[str, Any] = {}
        self.phone_mode = False
        self.takes_inputs = False
        self.latest_args: list[Any] = [WEBRTC_VALUE]
        """What the client sent last, in the order of the inputs; index 0 stands for the media."""
        self._port: Port | None = None

    @property
    def port(self) -> Port:
        if self._port is None:
            raise RuntimeError("The handler is not connected yet. Use the session from start_up() on.")
        return self._port

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        """Called once by the session, before ``start_up``.

        ``initial``: the arguments until the client sends others; None where the stream has no inputs.
        """
        self._port = port
        self.options = options
        self.takes_inputs = initial is not None
        self.latest_args = [WEBRTC_VALUE, *(initial or ())]
        self.args_set = asyncio.Event()

    @abstractmethod
    def copy(self) -> Self:
        """Return a fresh handler for one session."""

    def set_args(self, args: Sequence[Any]) -> None:
        """Take new arguments; the first is what stands for the media."""
        self.latest_args = list(args)
        self.args_set.set()

    async def wait_for_args(self, timeout: float = INPUT_SECONDS) -> None:
        """Ask the client for its inputs, unless it has sent some, and wait for them. Returns at once on the telephone.

        Raises InputTimeout.
        """
        if self.phone_mode or self.args_set.is_set():
            return
        self.port.send_message(message("send_input", []))
        try:
            await asyncio.wait_for(self.args_set.wait(), timeout)
        except TimeoutError:
            raise InputTimeout(timeout) from None

    def trigger_response(self, text: str = "") -> None:  # noqa: B027
        """Answer now, with what there is. Handlers that take no turns have nothing to do."""

    def clear_queue(self) -> None:
        """Drop output that was emitted and has not been played yet."""
        self.port.clear()

    async def playback_finished(self) -> None:
        """Wait until everything that was emitted has been played, or dropped."""
        await self.port.played()

    def on_dtmf(self, key: str) -> None:  # noqa: B027
        """A key of the telephone has been pressed: 0-9, *, #, A-D. Called in the event loop."""

    async def handle(self, frame: Audio) -> None:  # noqa: B027
        """Take one frame of audio. Called by the session, one at a time."""

    async def next_item(self) -> Emitted:
        """Return the next thing to play, or None. Called by the session, one at a time."""
        return None

    async def handle_video(self, frame: av.VideoFrame) -> None:  # noqa: B027
        """Take one picture. Called by the session, one at a time."""

    async def next_picture(self) -> PictureOut:
        """Return the next picture to show, or None. Called by the session, ``fps`` times a second."""
        return None

    async def begin(self) -> None:  # noqa: B027 - nothing to do is a fine default
        """Called by the session once it is live."""

    async def end(self) -> None:  # noqa: B027
        """Called by the session once, when it closes, whatever happened before."""


class StreamHandlerBase(Handler):
    """Common to all audio handlers.

    expected_layout: "mono" (frames have shape (1, n)) or "stereo" ((2, n))
    input_sample_rate: Hz of the frames given to ``receive``, whatever the client sends
    output_sample_rate: Hz of what is played; emitted audio of another rate is resampled. A multiple of 50.
    output_frame_size: ignored, frames are 20 ms; accepted because FastRTC does
    fps: pictures per second of the video, where there is one
    """

    live_edge: ClassVar[bool] = True
    """Whether late input is dropped. True: an echo stays as late as the network. False: every frame arrives."""

    def __init__(
        self,
        expected_layout: Literal["mono", "stereo"] = "mono",
        output_sample_rate: int = 24000,
        output_frame_size: int | None = None,
        input_sample_rate: int = 48000,
        fps: int = 30,
    ) -> None:
        super().__init__()
        if output_sample_rate % 50:
            raise ValueError(f"output_sample_rate must be a multiple of 50, not {output_sample_rate}.")
        self.expected_layout = expected_layout
        self.output_sample_rate = output_sample_rate
        self.output_frame_size = int(output_sample_rate * FRAME_SECONDS)
        self.input_sample_rate = input_sample_rate
        self.fps = fps

    def reset(self) -> None:
        """For handlers that keep something of the turn that is going on: forget it."""


class AsyncStreamHandler(StreamHandlerBase):
    """A handler that runs in the event loop: ``receive`` and ``emit`` are coroutines and must not block."""

    @abstractmethod
    async def receive(self, frame: Audio) -> None:
        """Take one input frame: (input_sample_rate, int16 array of shape (1, n)), 20 ms."""

    @abstractmethod
    async def emit(self) -> Emitted:
        """Return the next thing to play. None: nothing now; asked again on the next input or in 20 ms."""

    async def start_up(self) -> None:
        """Called once, when the session is live."""

    async def shutdown(self) -> None:
        """Called once, when the session ends."""

    async def send_message(self, message: Message | str) -> None:
        """Send a message to the client: a dict with type and data, or its JSON text."""
        self.port.send_message(understood(message))

    async def handle(self, frame: Audio) -> None:
        await self.receive(frame)

    async def next_item(self) -> Emitted:
        return await self.emit()

    async def begin(self) -> None:
        await self.start_up()

    async def end(self) -> None:
        await asyncio.wait_for(self.shutdown(), SHUTDOWN_SECONDS)


class StreamHandler(StreamHandlerBase):
    """A handler of plain functions. ``receive`` and ``emit`` run in two threads that belong to the session."""

    @abstractmethod
    def receive(self, frame: Audio) -> None:
        """Take one input frame: (input_sample_rate, int16 array of shape (1, n)), 20 ms."""

    @abstractmethod
    def emit(self) -> Emitted:
        """Return the next thing to play. None: nothing now; asked again on the next input or in 20 ms."""

    def start_up(self) -> None:
        """Called once, when the session is live."""

    def shutdown(self) -> None:
        """Called once, when the session ends, in a thread."""

    def send_message_sync(self, message: Message | str) -> None:
        """Send a message to the client: a dict with type and data, or its JSON text."""
        self.port.loop.call_soon_threadsafe(self.port.send_message, understood(message))

    def clear_queue(self) -> None:
        self.port.loop.call_soon_threadsafe(self.port.clear)

    def wait_for_args_sync(self, timeout: float = INPUT_SECONDS) -> None:
        """``wait_for_args`` for the handler's own threads."""
        waiting = asyncio.run_coroutine_threadsafe(self.wait_for_args(timeout), self.port.loop)
        self._waiting.add(waiting)
        try:
            waiting.result()
        finally:
            self._waiting.discard(waiting)

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        super().bind(port, options, initial)
        self._receiving = UserThread("stream-receive")
        self._emitting = UserThread("stream-emit")
        self._waiting: set[Future[None]] = set()

    async def handle(self, frame: Audio) -> None:
        await self._receiving.run(self.receive, frame)

    async def next_item(self) -> Emitted:
        return await self._emitting.run(self.emit)

    async def begin(self) -> None:
        await self._receiving.run(self.start_up)

    async def end(self) -> None:
        for waiting in list(self._waiting):
            waiting.cancel()
        self._receiving.stop()
        self._emitting.stop()
        # A thread of its own: the two others may be blocked in user code.
        closing = UserThread("stream-shutdown")
        try:
            await asyncio.wait_for(closing.run(self.shutdown), SHUTDOWN_SECONDS)
        finally:
            closing.stop()


async def wait_for_item(queue: asyncio.Queue[Any], timeout: float = 0.1) -> Any:
    """Return the next item of ``queue``, or None when there is none within ``timeout`` seconds."""
    if not queue.empty():
        return queue.get_nowait()
    try:
        async with asyncio.timeout(timeout):
            return await queue.get()
    except TimeoutError:
        return None
