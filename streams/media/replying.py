"""A handler that answers with replies, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from streams.media.functions import needs_more_than, takes_more_than
from streams.media.handlers import INPUT_SECONDS, SHUTDOWN_SECONDS, InputTimeout, StreamHandlerBase
from streams.media.messages import log
from streams.media.outputs import AdditionalOutputs, Emitted, split
from streams.media.replies import Reply
from streams.media.threads import raise_if_cancelled

FRESH_SECONDS = 0.3
"""How long a reply waits for the client's newest inputs when it could do without."""


class ReplyingHandler(StreamHandlerBase):
    """Runs at most one reply, writes to its port, and announces what it does."""

    emits: ClassVar[bool] = False

    _reply: asyncio.Task[None] | None = None
    _spoken_outputs: Sequence[Any] = ()
    """On the telephone, where nobody can send inputs, a reply's outputs are the next one's inputs."""

    @property
    def replying(self) -> bool:
        """Whether a reply is being generated or played."""
        return self._reply is not None

    def start_reply(self, function: Callable[..., Any], *media: Any) -> None:
        """Call ``function(*media, *inputs)`` and play what it yields."""
        task = asyncio.create_task(self._run_reply(function, media))
        self._reply = task
        task.add_done_callback(self._reply_done)

    def cancel_reply(self) -> None:
        """End the reply that is running and drop what has not been played of it."""
        if self._reply is not None:
            self._reply.cancel()
            self._reply = None
        self.port.clear()

    async def end(self) -> None:
        task = self._reply
        self.cancel_reply()
        if task is not None:
            await asyncio.wait({task}, timeout=SHUTDOWN_SECONDS)

    async def _run_reply(self, function: Callable[..., Any], media: tuple[Any, ...]) -> None:
        announced = False

        async def play(item: Emitted) -> None:
            nonlocal announced
            if not announced:
                announced = True
                self.port.send_message(log("response_starting"))
            extra = split(item)[1]
            if isinstance(extra, AdditionalOutputs):
                self._spoken_outputs = extra.args
            await self.port.play(item)

        try:
            inputs = await self._inputs_for(function, len(media))
            await Reply(function, (*media, *inputs), play).run()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
            raise_if_cancelled(error)
            self.port.report(error)
        self.port.finish()
        await self.port.played()
        if announced:
            self.port.send_message(log("response_finished"))
        self.replied()

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
