"""What users subclass, or wrap a function in, for video."""

from __future__ import annotations

import asyncio
import copy
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from streams.media.functions import is_async_generator, is_coroutine, is_generator, needs_more_than
from streams.media.handlers import SHUTDOWN_SECONDS, AsyncStreamHandler, Handler, Port, StreamHandler
from streams.media.outputs import CloseStream, Picture, PictureOut
from streams.media.replies import close_generator
from streams.media.threads import UserThread

PixelFormat = Literal["rgb24", "bgr24"]
KEPT = 10
"""Pictures that wait for a slow function that wants all of them; the oldest are dropped."""


class VideoHandler(Handler):
    """Common to all handlers that see or show pictures: uint8 arrays of shape (height, width, 3)."""

    pixel_format: PixelFormat = "rgb24"
    """"bgr24" is what OpenCV uses."""
    fps: int = 30
    """Pictures per second that the session asks for, where it asks."""
    kept_pictures: int = 1
    """Pictures that wait for ``handle_video``; the oldest are dropped."""

    @property
    def shows(self) -> bool:
        """Whether the session asks for pictures through ``next_picture``."""
        return self.mode != "send"

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        super().bind(port, options, initial)
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame) -> Picture:
        """Takes a while: not for the event loop, and always from the same thread."""
        return np.asarray(self._reformatter.reformat(frame, format=self.pixel_format).to_ndarray(), np.uint8)


class VideoStreamHandler(VideoHandler):
    """Runs a function for each picture, or a generator that makes pictures.

    fn: ``fn(picture, *inputs)`` returns a picture, AdditionalOutputs, CloseStream, a picture with one of these, or
        None; in mode "receive" a generator function ``fn(*inputs)`` that yields them. Sync or async; sync code runs in
        a thread that belongs to the session.
    fps: pictures per second, in mode "receive"
    skip_frames: drop pictures that arrive while ``fn`` is still at work, instead of working them off late
    """

    emits: ClassVar[bool] = False

    def __init__(
        self,
        fn: Callable[..., Any],
        fps: int = 30,
        skip_frames: bool = False,
        pixel_format: PixelFormat = "rgb24",
    ) -> None:
        super().__init__()
        self.fn = fn
        self.fps = fps
        self.skip_frames = skip_frames
        self.pixel_format = pixel_format
        self.kept_pictures = 1 if skip_frames else KEPT
        self._items: Iterator[PictureOut] | AsyncIterator[PictureOut] | None = None

    @property
    def shows(self) -> bool:
        return self.mode == "receive"

    def copy(self) -> Self:
        return copy.copy(self)

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        super().bind(port, options, initial)
        self._thread = UserThread("stream-video")

    async def handle_video(self, frame: av.VideoFrame) -> None:
        args = self.latest_args[1:]
        if is_async_generator(self.fn):
            async for item in self.fn(await self._array(frame), *args):
                await self.port.show(item)
        elif is_coroutine(self.fn):
            await self.port.show(await self.fn(await self._array(frame), *args))
        elif is_generator(self.fn):
            for item in await self._thread.run(lambda: list(self.fn(self.convert(frame), *args))):
                await self.port.show(item)
        else:
            await self.port.show(await self._thread.run(lambda: self.fn(self.convert(frame), *args)))

    async def next_picture(self) -> PictureOut:
        if self._items is None:
            if needs_more_than(self.fn, 0) and len(self.latest_args) == 1:
                await self.wait_for_args()
            items = await self._thread.run(self.fn, *self.latest_args[1:])
            if not isinstance(items, Iterator | AsyncIterator):
                raise TypeError('In mode "receive" a video function must be a generator function: it yields pictures.')
            self._items = items
        if isinstance(self._items, AsyncIterator):
            return await anext(self._items, END)
        return await self._thread.run(next, self._items, END)

    def trigger_response(self, text: str = "") -> None:
        """Start the generator anew, with the latest inputs."""
        self._items = None

    async def end(self) -> None:
        items = self._items
        if isinstance(items, Iterator):
            self._thread.submit(lambda: close_generator(items))
        elif isinstance(items, AsyncGenerator):
            await asyncio.wait_for(items.aclose(), SHUTDOWN_SECONDS)
        self._thread.stop()

    async def _array(self, frame: av.VideoFrame) -> Picture:
        return await self._thread.run(self.convert, frame)


END = CloseStream("The stream has ended.")


class AudioVideoStreamHandler(StreamHandler, VideoHandler):
    """A handler of plain functions for both. ``video_receive`` and ``video_emit`` run in two more threads."""

    @abstractmethod
    def video_receive(self, frame: Picture) -> None:
        """Take one picture; those that arrive meanwhile are dropped but for the newest."""

    @abstractmethod
    def video_emit(self) -> PictureOut:
        """Return the next picture to show, or None. Asked ``fps`` times a second; it may wait."""

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        super().bind(port, options, initial)
        self._seeing = UserThread("stream-see")
        self._showing = UserThread("stream-show")

    async def handle_video(self, frame: av.VideoFrame) -> None:
        await self._seeing.run(lambda: self.video_receive(self.convert(frame)))

    async def next_picture(self) -> PictureOut:
        return await self._showing.run(self.video_emit)

    async def end(self) -> None:
        self._seeing.stop()
        self._showing.stop()
        await super().end()


class AsyncAudioVideoStreamHandler(AsyncStreamHandler, VideoHandler):
    """The same with coroutines, in the event loop."""

    @abstractmethod
    async def video_receive(self, frame: Picture) -> None:
        """Take one picture; those that arrive meanwhile are dropped but for the newest."""

    @abstractmethod
    async def video_emit(self) -> PictureOut:
        """Return the next picture to show, or None. Asked ``fps`` times a second; it may wait."""

    def bind(self, port: Port, options: Mapping[str, Any], initial: Sequence[Any] | None = None) -> None:
        super().bind(port, options, initial)
        self._seeing = UserThread("stream-see")

    async def handle_video(self, frame: av.VideoFrame) -> None:
        await self.video_receive(await self._seeing.run(self.convert, frame))

    async def next_picture(self) -> PictureOut:
        return await self.video_emit()

    async def end(self) -> None:
        self._seeing.stop()
        await super().end()
