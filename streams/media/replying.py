"""A handler that answers with replies, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from streams.media.functions import needs_more_than, takes_more_than
from streams.media.handlers import INPUT_SECONDS, SHUTDOWN_SECONDS, InputTimeout, StreamHandlerBase
from streams.media.messages import log
from streams.media.outputs import AdditionalOutputs, AudioOut, Emitted, split
from streams.media.replies import Reply
from streams.media.threads import raise_if_cancelled
from streams.media.timing import ReplyTiming, current_timing

FRESH_SECONDS = 0.3
"""How long a reply waits for the client's newest inputs when it could do without."""


class ReplyingHandler(StreamHandlerBase):
    """Runs at most one reply, writes to its port, and announces what it does."""

    emits: ClassVar[bool] = False

    _reply: asyncio.Task[None] | None = None
    timing: ReplyTiming | None = None
    """Of the reply that is running, or of the last one."""
    _replies = 0
    _written_before = 0.0
    _measuring: asyncio.Task[None] | None = None
    _spoken_outputs: Sequence[Any] = ()
    """On the telephone, where nobody can send inputs, a reply's outputs are the next one's inputs."""

    @property
    def replying(self) -> bool:
        """Whether a reply is being generated or played."""
        return self._reply is not None

    @property
    def clock(self) -> float:
        """The media clock, in seconds; handlers that hear nothing have the event loop's."""
        return self.port.loop.time()

    def start_reply(self, function: Callable[..., Any], *media: Any, **times: Any) -> None:
        """Call ``function(*media, *inputs)`` and play what it yields. ``times``: what its ReplyTiming knows already."""
        self._replies += 1
        previous = self.timing
        if previous is not None:
            previous.previous = None
        timing = ReplyTiming(self._replies, times.pop("decided", self.clock), **times, previous=previous)
        self.timing = timing
        task = asyncio.create_task(self._run_reply(function, media, timing))
        self._reply = task
        task.add_done_callback(self._reply_done)

    def cancel_reply(self) -> None:
        """End the reply that is running and drop what has not been played of it."""
        task, self._reply = self._reply, None
        if task is not None:
            task.cancel()
            self._ended(interrupted=True)
        self.port.clear()

    async def end(self) -> None:
        self._ended(interrupted=False)
        tasks = {task for task in (self._reply, self._measuring) if task is not None}
        self.cancel_reply()
        if self._measuring is not None:
            self._measuring.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_SECONDS)

    async def _run_reply(self, function: Callable[..., Any], media: tuple[Any, ...], timing: ReplyTiming) -> None:
        current_timing.set(timing)
        announced = False

        async def play(item: Emitted) -> None:
            nonlocal announced
            if not announced:
                announced = True
                self.port.send_message(log("response_starting"))
            audio, extra = split(item)
            if isinstance(extra, AdditionalOutputs):
                self._spoken_outputs = extra.args
            if audio is not None:
                self._note_audio(audio, timing)
            await self.port.play(item)

        try:
            inputs = await self._inputs_for(function, len(media))
            await Reply(function, (*media, *inputs), play).run()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
            raise_if_cancelled(error)
            self.port.report(error)
        self.port.finish()
        await self.port.played()
        self._ended(interrupted=False)
        if announced:
            self.port.send_message(log("response_finished"))
        self.replied()

    # -- timing -------------------------------------------------------------------------------------------------

    def _note_audio(self, audio: AudioOut, timing: ReplyTiming) -> None:
        if timing.first_item is None:
            timing.first_item = self.clock
            self._written_before = self.port.written_seconds()
            self.port.mark(lambda: self._note_first_packet(timing))
        timing.generated_seconds += np.shape(audio[1])[-1] / audio[0]

    def _note_first_packet(self, timing: ReplyTiming) -> None:
        timing.first_packet = self.clock
        if timing.ended is None:
            self._measuring = asyncio.create_task(self._note_heard(timing))

    async def _note_heard(self, timing: ReplyTiming) -> None:
        assert timing.first_packet is not None
        timing.heard = timing.first_packet + await self.port.latency()
        if timing.ended is None:
            self.port.timed(timing)

    def _ended(self, *, interrupted: bool) -> None:
        timing = self.timing
        if timing is None or timing.ended is not None:
            return
        timing.ended = self.clock
        timing.interrupted = interrupted
        if timing.first_item is not None:
            heard = self.port.heard_seconds() - self._written_before
            timing.heard_seconds = min(max(heard, 0.0), timing.generated_seconds)
        self.port.timed(timing)

    def replied(self) -> None:
        """Called when a reply has been played to its end."""

    async def _inputs_for(self, function: Callable[..., Any], given: int) -> Sequence[Any]:
        """Ask the client for its newest inputs, and wait as long as it is likely to answer."""
        if not takes_more_than(function, given):
            return ()
        if self.phone_mode:
            return self._spoken_outputs or self.latest_args[1:]
        known = len(self.latest_args) > 1
        required = needs_more_than(function, given) and not known
        patience = INPUT_SECONDS if required else FRESH_SECONDS if known or self.takes_inputs else 0.0
        self.args_set.clear()
        try:
            await self.wait_for_args(patience)
        except InputTimeout:
            if required:
                raise
        return self.latest_args[1:]

    def _reply_done(self, task: asyncio.Task[None]) -> None:
        if self._reply is task:
            self._reply = None


class AudioGenerator(ReplyingHandler):
    """Plays a generator function to a client that only listens: mode "receive". The session ends with it.

    fn: ``fn(*inputs)`` yields (sample_rate, array), AdditionalOutputs or CloseStream; sync or async.
    """

    def __init__(self, fn: Callable[..., Any], output_sample_rate: int = 24000) -> None:
        super().__init__(output_sample_rate=output_sample_rate)
        self.fn = fn

    def copy(self) -> AudioGenerator:
        return AudioGenerator(self.fn, self.output_sample_rate)

    async def begin(self) -> None:
        self.start_reply(self.fn)

    def trigger_response(self, text: str = "") -> None:
        """Start the generator anew, with the latest inputs."""
        self.cancel_reply()
        self.start_reply(self.fn)

    def replied(self) -> None:
        self.port.end("The stream has ended.")
