"""The way of the audio through a session: from the transport to the handler, and from the handler to the playout."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np

from streams.media.audio import FRAME_SECONDS, FrameResampler, Resampler, Samples, streaming_resampler, to_mono
from streams.media.handlers import StreamHandlerBase
from streams.media.live_edge import LiveEdge
from streams.media.outputs import AudioOut, Emitted
from streams.media.playout import Playout
from streams.media.threads import raise_if_cancelled

LIVE_QUEUE = 5
"""Frames of input that wait for a live handler: 100 ms, the oldest are dropped."""
PATIENT_QUEUE = 500
"""Frames of input that wait for a handler that wants all of them: 10 s, the oldest are dropped."""
BREATH = 8
"""Items after which output makes way: an ``emit`` that never waits must not starve every other session."""
PATIENCE = 3
"""Times that ``emit`` returns None in a row before the last samples, too few for a frame, are played."""


class AudioPath:
    """``report`` takes what user code raises; the path goes on."""

    def __init__(self, handler: StreamHandlerBase, output_rate: int, report: Callable[[BaseException], None]) -> None:
        self.handler = handler
        self.playout = Playout(output_rate, live=handler.live_edge)
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._edge = LiveEdge()
        self._input: deque[tuple[Samples, int]] = deque(maxlen=LIVE_QUEUE if handler.live_edge else PATIENT_QUEUE)
        self._reader: asyncio.Future[None] | None = None
        self._asked = asyncio.Event()
        self._resampler_in: Resampler | FrameResampler | None = None
        self._resampler_out: Resampler | FrameResampler | None = None

    def make_room(self, frames: int) -> None:
        """So many frames may come at once without being late."""
        if self._input.maxlen is not None and frames > self._input.maxlen:
            self._input = deque(self._input, maxlen=frames)

    def receive(self, samples: Samples, rate: int, media_time: float, filler: bool) -> None:
        if self.handler.live_edge and (filler or not self._edge.admits(media_time, self._loop.time())):
            return
        self._input.append((samples, rate))
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def pump_input(self) -> None:
        channels = 2 if self.handler.expected_layout == "stereo" else 1
        while True:
            if not self._input:
                self._reader = self._loop.create_future()
                await self._reader
            samples = self._at_handler_rate(*self._input.popleft())
            if not samples.size:
                continue
            frame = samples[None, :] if channels == 1 else np.stack([samples, samples])
            try:
                await self.handler.handle((self.handler.input_sample_rate, frame))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                raise_if_cancelled(error)
                self._report(error)
            self._asked.set()

    async def pump_output(self, play: Callable[[Emitted], Awaitable[None]]) -> None:
        nothing = items = 0
        while True:
            try:
                item = await self.handler.next_item()
                if item is not None:
                    await play(item)
                    items += 1
                    if items % BREATH == 0:
                        await asyncio.sleep(0)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                raise_if_cancelled(error)
                self._report(error)
                item = None
            nothing = nothing + 1 if item is None else 0
            if nothing == PATIENCE:
                self.finish()
            if nothing:
                await self._input_or_frame_time()

    async def _input_or_frame_time(self) -> None:
        self._asked.clear()
        timer = self._loop.call_later(FRAME_SECONDS, self._asked.set)
        await self._asked.wait()
        timer.cancel()

    async def write(self, audio: AudioOut) -> None:
        """Resample to the playout's rate. Waits while too much is waiting to be played."""
        self.playout.write(self._at_output_rate(to_mono(audio[1]), int(audio[0])))
        await self.playout.writable()

    def finish(self) -> None:
        self._flush_resampler()
        self.playout.flush()

    def clear(self) -> float:
        self._resampler_out = None
        return self.playout.clear()

    def _at_handler_rate(self, samples: Samples, rate: int) -> Samples:
        if rate == self.handler.input_sample_rate:
            return samples
        if self._resampler_in is None or self._resampler_in.source_rate != rate:
            self._resampler_in = streaming_resampler(rate, self.handler.input_sample_rate)
        return self._resampler_in.push(samples)

    def _at_output_rate(self, samples: Samples, rate: int) -> Samples:
        if self._resampler_out is not None and self._resampler_out.source_rate != rate:
            self._flush_resampler()
        if rate == self.playout.rate:
            return samples
        if self._resampler_out is None:
            self._resampler_out = streaming_resampler(rate, self.playout.rate)
        return self._resampler_out.push(samples)

    def _flush_resampler(self) -> None:
        if self._resampler_out is not None:
            resampler, self._resampler_out = self._resampler_out, None
            self.playout.write(resampler.flush())
