"""The way of the pictures through a session. At every step the newest wins."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import av
import numpy as np

from streams.media.outputs import Picture, PictureOut
from streams.media.threads import raise_if_cancelled
from streams.media.video import VideoHandler


class VideoPath:
    """``report`` takes what user code raises; the path goes on."""

    def __init__(self, handler: VideoHandler, report: Callable[[BaseException], None]) -> None:
        self.handler = handler
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._input: deque[av.VideoFrame] = deque(maxlen=handler.kept_pictures)
        self._arrived = asyncio.Event()
        self._picture: Picture | None = None
        self._changed = asyncio.Event()

    def receive(self, frame: av.VideoFrame) -> None:
        self._input.append(frame)
        self._arrived.set()

    async def pump_input(self) -> None:
        while True:
            if not self._input:
                self._arrived.clear()
                await self._arrived.wait()
            try:
                await self.handler.handle_video(self._input.popleft())
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                raise_if_cancelled(error)
                self._report(error)

    async def pump_output(self, show: Callable[[PictureOut], Awaitable[None]]) -> None:
        """Ask for a picture ``fps`` times a second; a slow handler is asked again as soon as it has answered."""
        due = self._loop.time()
        while True:
            try:
                await show(await self.handler.next_picture())
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - user code: contained
                raise_if_cancelled(error)
                self._report(error)
            due = max(due + 1 / self.handler.fps, self._loop.time())
            await asyncio.sleep(due - self._loop.time())

    def write(self, picture: Picture) -> None:
        """Show a picture in place of the one before. Raises ValueError for a wrong shape."""
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=-1)
        if picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"A picture has shape {picture.shape}. Use (height, width, 3).")
        self._picture = picture
        self._changed.set()

    def clear(self) -> None:
        """Show nothing new until the next picture."""
        self._changed.clear()

    async def next(self, timeout: float) -> av.VideoFrame | None:
        """Wait for a new picture; after ``timeout`` seconds the last one comes again, if there was one."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            if self._picture is None:
                return None
        self._changed.clear()
        assert self._picture is not None
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(self._picture), format=self.handler.pixel_format)
