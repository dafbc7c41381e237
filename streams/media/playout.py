"""What is to be played to the client, cut into 20 ms frames, and how much of it has been played."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from streams.media.audio import FRAME_SECONDS, Samples

HIGH_WATER = 10.0
"""Seconds of audio after which a writer waits: a reply may be generated faster than it is spoken, within bounds."""
STANDING_FRAMES = 100
"""Frames over which a backlog must stand to count as delay."""
STANDING_MAX = 5
"""Frames up to which a standing backlog is the network's jitter; above, it is a reply written ahead."""
RECENT_FRAMES = 25
"""Frames that ``rewind`` can bring back: more than a transport sends ahead."""
QUIET = 400
"""int16 peak below which leaving out a frame is not heard."""


class Playout:
    """A buffer between a handler that writes when it can and a transport that reads a frame each 20 ms.

    All samples are mono int16 at ``rate``. One writer side, one reader side, one event loop.
    """

    def __init__(self, rate: int, *, live: bool = True) -> None:
        self.rate = rate
        self._live = live
        self._high_water = rate * HIGH_WATER
        self.frame_samples = int(rate * FRAME_SECONDS)
        self.played = 0
        """Frames read since the start."""
        self.written_samples = 0
        """Samples written since the start, without those that were dropped."""
        self.read_samples = 0
        """Of them, those that have been read."""
        self.held = False
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()
        self._recent: deque[Samples] = deque(maxlen=RECENT_FRAMES)
        self._chunks: deque[Samples] = deque()
        self._buffered = 0
        self._flushed = True
        self._reader: asyncio.Future[None] | None = None
        self._wanted = 1
        self._writable = asyncio.Event()
        self._writable.set()
        self._drained = asyncio.Event()
        self._drained.set()
        self._shallowest = self._deepest = 0
        self._watched = 0
        self._standing = 0

    @property
    def buffered(self) -> float:
        """Seconds waiting to be played."""
        return self._buffered / self.rate

    def write(self, samples: Samples) -> None:
        if not samples.size:
            return
        self._chunks.append(samples)
        self._buffered += samples.size
        self.written_samples += samples.size
        if self._flushed:
            self._flushed = False
            self._drained.clear()
        if self._buffered > self._high_water:
            self._writable.clear()
        self._wake()

    async def writable(self) -> None:
        """Wait until less than HIGH_WATER is buffered."""
        if self._buffered > self._high_water:
            await self._writable.wait()

    def flush(self) -> None:
        """Say that nothing follows for now, so that a last frame may be shorter than 20 ms (it is padded)."""
        self._flushed = True
        self._settle()
        self._wake()

    def clear(self) -> float:
        """Drop what has not been played. Returns the seconds dropped."""
        dropped = self.buffered
        self._chunks.clear()
        self._recent.clear()
        self._marks.clear()
        self._buffered = 0
        self.written_samples = self.read_samples
        self._flushed = True
        self.held = False
        self._settle()
        return dropped

    def hold(self) -> None:
        """Stop playing, keep everything: somebody may be interrupting."""
        self.held = True

    def release(self) -> None:
        self.held = False
        self._wake()

    def rewind(self, seconds: float) -> None:
        """Take back the last ``seconds`` read: they were sent ahead, and the client has not played them."""
        wanted = round(seconds * self.rate)
        while wanted > 0 and self._recent:
            frame = self._recent.pop()
            if frame.size > wanted:
                self._recent.append(frame[:-wanted])
            back = frame[-wanted:]
            self._chunks.appendleft(back)
            self._buffered += back.size
            self.read_samples -= back.size
            wanted -= back.size
        if self._buffered:
            self._drained.clear()

    def mark(self, reached: Callable[[], None]) -> None:
        """Call ``reached`` once what is written next begins to be read; never, if it is dropped."""
        self._marks.append((self.written_samples, reached))

    async def drained(self) -> None:
        """Wait until all that was written has been played or cleared."""
        await self._drained.wait()

    @property
    def ready(self) -> bool:
        """Whether ``read`` returns a frame."""
        return self._has(1)

    def _has(self, frames: int) -> bool:
        if self.held or not self._buffered:
            return False
        return self._flushed or self._buffered >= frames * self.frame_samples

    async def wait(self, timeout: float | None = None, frames: int = 1) -> bool:
        """Wait until so many frames are ready, ``timeout`` seconds at most. Returns whether there is one at least."""
        if self._has(frames):
            return True
        loop = asyncio.get_running_loop()
        self._reader, self._wanted = loop.create_future(), frames
        timer = loop.call_later(timeout, self._wake_reader) if timeout is not None else None
        try:
            await self._reader
        finally:
            if timer is not None:
                timer.cancel()
            self._reader = None
        return self.ready

    def read(self) -> Samples | None:
        """Take the next frame of ``frame_samples``, or None when none is ready."""
        if not self.ready:
            return None
        frame = self._take(self.frame_samples)
        if self._live and self._is_standing():
            self._take_if_quiet()
        self.played += 1
        self._reach_marks()
        self._settle()
        return frame

    def _reach_marks(self) -> None:
        while self._marks and self._marks[0][0] < self.read_samples:
            self._marks.popleft()[1]()

    def _take(self, count: int) -> Samples:
        parts: list[Samples] = []
        while count and self._chunks:
            head = self._chunks[0]
            if head.size <= count:
                parts.append(self._chunks.popleft())
            else:
                parts.append(head[:count])
                self._chunks[0] = head[count:]
            count -= parts[-1].size
            self._buffered -= parts[-1].size
            self.read_samples += parts[-1].size
        taken = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._recent.append(taken)
        return np.pad(taken, (0, count)) if count else taken

    def _is_standing(self) -> bool:
        """Tell, once in STANDING_FRAMES, whether a small backlog never went away meanwhile: it is only delay."""
        depth = self._buffered // self.frame_samples
        if self._watched == 0:
            self._shallowest = self._deepest = depth
        self._shallowest, self._deepest = min(self._shallowest, depth), max(self._deepest, depth)
        self._watched += 1
        if self._watched >= STANDING_FRAMES:
            self._watched = 0
            self._standing = 1 if 1 <= self._shallowest <= self._deepest <= 2 * STANDING_MAX else 0
        return self._standing > 0

    def _take_if_quiet(self) -> None:
        """Leave a frame out to get back to the live edge, in a quiet place if there is one within a second."""
        if self._buffered < self.frame_samples:
            self._standing = 0
            return
        head = self._chunks[0]
        if self._standing > 50 or int(np.abs(head[: self.frame_samples]).max()) < QUIET:
            self._take(self.frame_samples)
            self._standing = 0
        else:
            self._standing += 1

    def _settle(self) -> None:
        if self._buffered <= self._high_water:
            self._writable.set()
        if self._flushed and not self._buffered:
            self._drained.set()

    def _wake(self) -> None:
        if self._reader is not None and self._has(self._wanted):
            self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
