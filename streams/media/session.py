"""One live connection of one client: runs a handler between a transport's input and its playout buffer."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from streams.media.audio import FRAME_SECONDS, Resampler, Samples, to_mono
from streams.media.context import Context, current_context
from streams.media.errors import WebRTCError
from streams.media.handlers import StreamHandlerBase
from streams.media.live_edge import LiveEdge
from streams.media.messages import Message, message
from streams.media.outputs import AdditionalOutputs, CloseStream, Emitted, split
from streams.media.playout import Playout
from streams.media.threads import raise_if_cancelled
from streams.media.transport import Transport

logger = logging.getLogger(__name__)

LIVE_QUEUE = 5
"""Frames of input that wait for a live handler: 100 ms, the oldest are dropped."""
PATIENT_QUEUE = 500
"""Frames of input that wait for a handler that wants all of them: 10 s, the oldest are dropped."""
PATIENCE = 3
"""Times that ``emit`` returns None in a row before the last samples, too few for a frame, are played."""
ERROR_PAUSE = 0.5
"""Seconds without further error messages after one, so that a handler failing 50 times a second is heard once."""


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
    OFFER_FAILED = "The offer could not be answered."


@dataclass(frozen=True)
class SessionConfig:
    """Times in seconds. ``time_limit`` counts from the moment the session is live; None is no limit.

    ``debug`` shows clients the text of every error, not only of WebRTCError.
    """

    connect_timeout: float = 30.0
    time_limit: float | None = None
    debug: bool = False


@dataclass(frozen=True)
class Hooks:
    """What the session's owner wants to know."""

    on_closed: Callable[[Session, Reason], None] = field(default=lambda session, reason: None)
    on_outputs: Callable[[Session, AdditionalOutputs], None] = field(default=lambda session, outputs: None)


class Session:
    """Life: new → connecting → live → closing → closed, by TRANSITIONS. It is the handler's Port."""

    def __init__(
        self,
        handler: StreamHandlerBase,
        transport: Transport,
        context: Context,
        *,
        config: SessionConfig | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.id = context.webrtc_id
        self.handler = handler
        self.transport = transport
        self.config = config or SessionConfig()
        self.hooks = hooks or Hooks()
        self.state = State.NEW
        self.playout = Playout(transport.output_rate(handler.output_sample_rate), live=handler.live_edge)
        self.loop = asyncio.get_running_loop()
        # Not a copy of the caller's context: an inherited request context costs one thread per session.
        self._context = contextvars.Context()
        self._context.run(current_context.set, context)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._edge = LiveEdge()
        self._input: deque[tuple[Samples, int]] = deque(maxlen=LIVE_QUEUE if handler.live_edge else PATIENT_QUEUE)
        self._arrived = asyncio.Event()
        self._asked = asyncio.Event()
        self._resampler_in: Resampler | None = None
        self._resampler_out: Resampler | None = None
        self._last_error = float("-inf")
        handler.bind(self, MappingProxyType(dict(context.options)))

    # -- life ---------------------------------------------------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as part of the session: in its context, cancelled when it closes."""
        task = self.loop.create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def connecting(self) -> None:
        self._enter(State.CONNECTING)
        self._set_timer(self.config.connect_timeout, Reason.CONNECT_TIMEOUT)

    def connected(self) -> None:
        """The client can hear us. Called by the transport; only the first call counts."""
        if self.state is not State.CONNECTING:
            return
        self._enter(State.LIVE)
        self._set_timer(self.config.time_limit, Reason.TIME_LIMIT)
        self.run(self._live())

    def close(self, reason: Reason, words: str = "") -> asyncio.Task[None]:
        """End the session, from any state, once. Await the task to know that everything is let go of."""
        if self._closing is None:
            self._enter(State.CLOSING)
            self._closing = self.loop.create_task(self._close(reason, words), context=self._context)
        return self._closing

    async def _close(self, reason: Reason, words: str) -> None:
        self._set_timer(None, reason)
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
        self.playout.clear()
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

    def _set_timer(self, seconds: float | None, reason: Reason) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.close, reason)

    async def _live(self) -> None:
        try:
            await self.handler.begin()
        except Exception as error:  # noqa: BLE001 - user code: without its start-up the handler cannot work
            self.report(error)
            self.close(Reason.HANDLER_FAILED)
            return
        self.run(self._pump_input())
        if self.handler.emits:
            self.run(self._pump_output())

    # -- input --------------------------------------------------------------------------------------------------

    def receive_audio(self, samples: Samples, rate: int, media_time: float, filler: bool = False) -> None:
        """Take a frame of mono int16 ``samples`` that begins at ``media_time`` seconds of the sender's clock.

        ``filler`` is silence in the place of lost audio. A live handler does not get it: its time has passed.
        """
        if self.state is not State.LIVE:
            return
        if self.handler.live_edge and (filler or not self._edge.admits(media_time, self.loop.time())):
            return
        self._input.append((samples, rate))
        self._arrived.set()

    async def _pump_input(self) -> None:
        while True:
            if not self._input:
                self._arrived.clear()
                await self._arrived.wait()
            samples, rate = self._input.popleft()
            samples = self._at_handler_rate(samples, rate)
            if samples.size:
                try:
                    await self.handler.handle((self.handler.input_sample_rate, samples[None, :]))
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                    raise_if_cancelled(error)
                    self.report(error)
                self._asked.set()

    def _at_handler_rate(self, samples: Samples, rate: int) -> Samples:
        if rate == self.handler.input_sample_rate:
            return samples
        if self._resampler_in is None or self._resampler_in.source_rate != rate:
            self._resampler_in = Resampler(rate, self.handler.input_sample_rate)
        return self._resampler_in.push(samples)

    # -- output (the handler's Port) ----------------------------------------------------------------------------

    async def _pump_output(self) -> None:
        nothing = 0
        while True:
            try:
                item = await self.handler.next_item()
                if item is not None:
                    await self.play(item)
                    await asyncio.sleep(0)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                raise_if_cancelled(error)
                self.report(error)
                item = None
            nothing = nothing + 1 if item is None else 0
            if nothing == PATIENCE:
                self.finish()
            if nothing:
                await self._input_or_frame_time()

    async def _input_or_frame_time(self) -> None:
        self._asked.clear()
        timer = self.loop.call_later(FRAME_SECONDS, self._asked.set)
        await self._asked.wait()
        timer.cancel()

    async def play(self, item: Emitted) -> None:
        audio, extra = split(item)
        if audio is not None:
            self.playout.write(self._at_output_rate(to_mono(audio[1]), audio[0]))
            await self.playout.writable()
        if isinstance(extra, AdditionalOutputs):
            self.hooks.on_outputs(self, extra)
            self.send_message(message("fetch_output", []))
        elif isinstance(extra, CloseStream):
            self.finish()
            await self.played()
            self.close(Reason.HANDLER_CLOSED, extra.msg)

    def _at_output_rate(self, samples: Samples, rate: int) -> Samples:
        if self._resampler_out is not None and self._resampler_out.source_rate != rate:
            self._flush_resampler()
        if rate == self.playout.rate:
            return samples
        if self._resampler_out is None:
            self._resampler_out = Resampler(rate, self.playout.rate)
        return self._resampler_out.push(samples)

    def _flush_resampler(self) -> None:
        if self._resampler_out is not None:
            resampler, self._resampler_out = self._resampler_out, None
            self.playout.write(resampler.flush())

    def send_message(self, message: Message) -> None:
        self.transport.send_message(message)

    def finish(self) -> None:
        self._flush_resampler()
        self.playout.flush()

    def clear(self) -> float:
        self._resampler_out = None
        self.transport.clear()
        return self.playout.clear()

    def hold(self) -> None:
        self.playout.hold()

    def release(self) -> None:
        self.playout.release()

    async def played(self) -> None:
        await self.playout.drained()

    def report(self, error: BaseException) -> None:
        logger.error("Session %s: the handler raised", self.id, exc_info=error)
        now = self.loop.time()
        if now - self._last_error >= ERROR_PAUSE:
            self._last_error = now
            self.send_message(message("error", words_for(error, self.config.debug)))


def words_for(error: BaseException, debug: bool) -> str:
    """What a client may read of an error: the words of a WebRTCError; of any other nothing, unless debugging."""
    if isinstance(error, WebRTCError):
        return error.message
    if debug:
        return f"{type(error).__name__}: {error}"
    return "Something went wrong in this stream. Please try again."
