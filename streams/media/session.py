"""One live connection of one client: runs a handler between a transport's input and its playout buffer."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

import av
import numpy as np

from streams.media.audio import Samples
from streams.media.audio_path import AudioPath
from streams.media.context import Context, current_context, current_mailer
from streams.media.errors import WebRTCError
from streams.media.handlers import WEBRTC_VALUE, Handler, StreamHandlerBase
from streams.media.messages import Message, message
from streams.media.outputs import AdditionalOutputs, CloseStream, Emitted, PictureOut, split, split_picture
from streams.media.playout import Playout
from streams.media.timing import ReplyTiming
from streams.media.transport import Transport
from streams.media.video import VideoHandler
from streams.media.video_path import VideoPath

logger = logging.getLogger(__name__)

COUNTDOWN = 10.0
"""Seconds before the time limit at which the client is told that the end is near."""
ERROR_PAUSE = 0.5
"""Seconds without further errors told and logged after one: a handler may fail 50 times a second."""


class State(Enum):
    NEW = "new"
    CONNECTING = "connecting"
    LIVE = "live"
    CLOSING = "closing"
    CLOSED = "closed"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.CONNECTING, State.CLOSING}),
    State.CONNECTING: frozenset({State.LIVE, State.CLOSING}),
    State.LIVE: frozenset({State.CLOSING}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


class Reason(Enum):
    """Why a session ended; the value is told to the client."""

    CLIENT_CLOSED = "You ended the conversation."
    CONNECT_TIMEOUT = "The connection could not be established in time."
    CONNECTION_FAILED = "The connection was lost."
    VANISHED = "Nothing has been heard from you for a while."
    TIME_LIMIT = "The time for this conversation is over."
    SERVER_SHUTDOWN = "The server is restarting. Connect again in a moment."
    HANDLER_CLOSED = "Stream closed"
    HANDLER_FAILED = "The stream could not be started."
    FLOODED = "You send audio faster than it can be spoken."
    OFFER_FAILED = "The offer could not be answered."


@dataclass(frozen=True)
class SessionConfig:
    """Times in seconds. ``time_limit`` counts from the moment the session is live; None is no limit.

    ``debug`` shows clients the text of every error, not only of WebRTCError.
    """

    connect_timeout: float = 30.0
    time_limit: float | None = None
    debug: bool = False
    mode: str = "send-receive"


@dataclass(frozen=True)
class Hooks:
    """What the session's owner wants to know."""

    on_connected: Callable[[Session], None] = field(default=lambda session: None)
    on_closed: Callable[[Session, Reason], None] = field(default=lambda session, reason: None)
    on_outputs: Callable[[Session, AdditionalOutputs], None] = field(default=lambda session, outputs: None)
    on_reply: Callable[[Session, ReplyTiming], None] = field(default=lambda session, timing: None)
    """A reply is over."""


class Session:
    """Life: new → connecting → live → closing → closed, by TRANSITIONS. It is the handler's Port."""

    def __init__(
        self,
        handler: Handler,
        transport: Transport,
        context: Context,
        *,
        config: SessionConfig | None = None,
        hooks: Hooks | None = None,
        inputs: Sequence[Any] | None = None,
    ) -> None:
        self.id = context.webrtc_id
        self.handler = handler
        self.transport = transport
        self.config = config or SessionConfig()
        self.hooks = hooks or Hooks()
        self.state = State.NEW
        self.loop = asyncio.get_running_loop()
        self.audio = self._audio_path()
        self.video = VideoPath(handler, self.report) if isinstance(handler, VideoHandler) else None
        # Not a copy of the caller's context: an inherited request context costs one thread per session.
        self._context = contextvars.Context()
        self._context.run(current_context.set, context)
        self._context.run(current_mailer.set, self)
        self.is_heard = self.config.mode != "send"
        """False where the client plays no audio: what is emitted would wait for ever."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._closing: asyncio.Task[None] | None = None
        self._last_error = float("-inf")
        self._begun = asyncio.Event()
        handler.mode = self.config.mode
        handler.bind(self, MappingProxyType(dict(context.options)), inputs)

    def _audio_path(self) -> AudioPath | None:
        if not isinstance(self.handler, StreamHandlerBase):
            return None
        return AudioPath(self.handler, self.transport.output_rate(self.handler.output_sample_rate), self.report)

    @property
    def playout(self) -> Playout:
        """What is played to the client. Only a handler with audio has one."""
        if self.audio is None:
            raise AttributeError("This session has no audio.")
        return self.audio.playout

    # -- life ---------------------------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as part of the session: in its context, cancelled when it closes."""
        task = self.loop.create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def connecting(self) -> None:
        self._enter(State.CONNECTING)
        self._at(self.config.connect_timeout, self.close, Reason.CONNECT_TIMEOUT)

    def connected(self) -> None:
        """The client can hear us. Called by the transport; only the first call counts."""
        if self.state is not State.CONNECTING:
            return
        self._enter(State.LIVE)
        self._cancel_timers()
        if (limit := self.config.time_limit) is not None:
            self._at(limit, self.close, Reason.TIME_LIMIT)
            self._at(max(limit - COUNTDOWN, 0), self._warn_of_the_end, min(COUNTDOWN, limit))
        self.run(self._live())
        self.hooks.on_connected(self)

    def close(self, reason: Reason, words: str = "") -> asyncio.Task[None]:
        """End the session, from any state, once. Await the task to know that everything is let go of."""
        if self._closing is None:
            self._enter(State.CLOSING)
            self._closing = self.loop.create_task(self._close(reason, words), context=self._context)
        return self._closing

    async def _close(self, reason: Reason, words: str) -> None:
        self._cancel_timers()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        for step in (functools.partial(self._say_goodbye, reason, words), self.handler.end, self.transport.close):
            try:
                await step()
            except (Exception, asyncio.CancelledError):
                logger.exception("Session %s: %s failed while closing", self.id, getattr(step, "__name__", "farewell"))
        if self.audio is not None:
            self.audio.clear()
        self._enter(State.CLOSED)
        logger.info("Session %s closed: %s", self.id, reason.name.lower())
        self.hooks.on_closed(self, reason)

    async def _say_goodbye(self, reason: Reason, words: str) -> None:
        if reason is not Reason.CLIENT_CLOSED:
            self.transport.send_message(message("end_stream", words or reason.value))

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"A session cannot go from {self.state.value} to {state.value}.")
        self.state = state

    def _at(self, seconds: float, callback: Callable[..., object], *args: Any) -> None:
        self._timers.append(self.loop.call_later(seconds, callback, *args))

    def _cancel_timers(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _warn_of_the_end(self, seconds: float) -> None:
        self.send_message(message("warning", f"The conversation ends in {seconds:g} seconds."))

    async def _live(self) -> None:
        try:
            await self.handler.begin()
        except Exception as error:  # noqa: BLE001 - user code: without its start-up the handler cannot work
            self.report(error)
            self.close(Reason.HANDLER_FAILED, error.message if isinstance(error, WebRTCError) else "")
            return
        self._begun.set()
        if self.audio is not None:
            self.run(self.audio.pump_input())
            if self.handler.emits:
                self.run(self.audio.pump_output(self.play))
        if self.video is not None:
            self.run(self.video.pump_input())
            if self.video.handler.shows:
                self.run(self.video.pump_output(self.show))

    # -- input --------------------------------------------------------------------------------------------------

    def receive_audio(self, samples: Samples, rate: int, media_time: float, filler: bool = False) -> None:
        """Take a frame of mono int16 ``samples`` that begins at ``media_time`` seconds of the sender's clock.

        ``filler`` is silence in the place of lost audio. A live handler does not get it: its time has passed.
        """
        if self.state is State.LIVE and self.audio is not None:
            self.audio.receive(samples, rate, media_time, filler)

    def receive_video(self, frame: av.VideoFrame) -> None:
        if self.state is State.LIVE and self.video is not None:
            self.video.receive(frame)

    def set_inputs(self, values: Sequence[Any]) -> None:
        """Hand the handler what the client has sent, in the order of the inputs."""
        self.handler.set_args([WEBRTC_VALUE, *values])

    def trigger_response(self, text: str = "") -> None:
        """Let the handler answer now, to ``text`` or to what was said so far."""
        if self.state is State.LIVE:
            self.run(self._trigger(text))

    async def _trigger(self, text: str) -> None:
        await self._begun.wait()
        try:
            self.handler.trigger_response(text)
        except Exception as error:  # noqa: BLE001 - user code: contained
            self.report(error)

    def press(self, key: str) -> None:
        """Tell the handler of a telephone's key."""
        if self.state is State.LIVE:
            self.run(self._press(key))

    async def _press(self, key: str) -> None:
        await self._begun.wait()
        try:
            self.handler.on_dtmf(key)
        except Exception as error:  # noqa: BLE001 - user code: contained
            self.report(error)

    # -- output (the handler's Port) ----------------------------------------------------------------------------

    async def play(self, item: Emitted) -> None:
        audio, extra = split(item)
        if audio is not None and self.audio is not None:
            if self.is_heard:
                await self.audio.write(audio)
            else:  # nobody hears it; a handler that makes audio for ever is held back all the same
                await asyncio.sleep(np.shape(audio[1])[-1] / audio[0])
        if extra is not None:
            await self._publish(extra)

    async def show(self, item: PictureOut) -> None:
        picture, extra = split_picture(item)
        if picture is not None and self.video is not None and self.handler.mode != "send":
            self.video.write(picture)
        await self._publish(extra)

    async def _publish(self, extra: AdditionalOutputs | CloseStream | None) -> None:
        if isinstance(extra, AdditionalOutputs):
            self.hooks.on_outputs(self, extra)
            self.send_message(message("fetch_output", []))
        elif isinstance(extra, CloseStream):
            self.finish()
            await self.played()
            self.transport.transfer(extra.transfer_to)
            self.close(Reason.HANDLER_CLOSED, extra.msg)

    def send_message(self, message: Message) -> None:
        self.transport.send_message(message)

    def finish(self) -> None:
        if self.audio is not None:
            self.audio.finish()

    def clear(self) -> float:
        self.transport.clear()
        return self.audio.clear() if self.audio is not None else 0.0

    def hold(self) -> None:
        if self.audio is not None:
            self.playout.hold()
            self.playout.rewind(self.transport.hold())

    def release(self) -> None:
        if self.audio is not None:
            self.playout.release()

    async def played(self) -> None:
        if self.audio is None:
            return
        while True:
            await self.playout.drained()
            await self.transport.played()
            if not self.playout.buffered:  # a hold takes back what was sent ahead
                return

    def written_seconds(self) -> float:
        return self.playout.written_samples / self.playout.rate if self.audio is not None else 0.0

    def heard_seconds(self) -> float:
        if self.audio is None:
            return 0.0
        return self.playout.read_samples / self.playout.rate - self.transport.ahead()

    def mark(self, reached: Callable[[], None]) -> None:
        if self.audio is not None:
            self.playout.mark(reached)

    async def latency(self) -> float:
        return await self.transport.latency()

    def timed(self, timing: ReplyTiming) -> None:
        if self.state is State.LIVE:
            self.send_message(message("timing", timing.as_data()))
        if timing.ended is not None:
            self.hooks.on_reply(self, timing)

    def end(self, words: str) -> None:
        self.close(Reason.HANDLER_CLOSED, words)

    def report(self, error: BaseException) -> None:
        now = self.loop.time()
        if now - self._last_error >= ERROR_PAUSE:
            self._last_error = now
            if isinstance(error, WebRTCError):  # deliberate
                logger.warning("Session %s: %s (%s)", self.id, error, error.__cause__ or "raised by the handler")
            else:
                logger.error("Session %s: the handler raised", self.id, exc_info=error)
            self.send_message(message("error", words_for(error, self.config.debug)))


def words_for(error: BaseException, debug: bool) -> str:
    """What a client may read of an error: the words of a WebRTCError; of any other nothing, unless debugging."""
    if isinstance(error, WebRTCError):
        return error.message
    if debug:
        return f"{type(error).__name__}: {error}"
    return "Something went wrong in this stream. Please try again."
