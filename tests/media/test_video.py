"""Video handlers and the way of the pictures, on a virtual clock."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import av
import numpy as np
import pytest

from streams.media.adapt import as_handler
from streams.media.context import Context
from streams.media.handlers import Handler
from streams.media.outputs import AdditionalOutputs, CloseStream, Picture
from streams.media.session import Hooks, Reason, Session, SessionConfig
from streams.media.transport import FakeTransport
from streams.media.video import KEPT, AsyncAudioVideoStreamHandler, VideoHandler, VideoStreamHandler
from tests.media.virtual_time import Gate, now, settled


def grey(value: int = 0) -> Picture:
    return np.full((16, 32, 3), value, np.uint8)


def frame(value: int = 0) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(grey(value), format="rgb24")


class Viewer:
    """A session with a fake transport: films, and notes each picture that would be sent, with its moment."""

    def __init__(self, handler: Handler, mode: str = "send-receive", inputs: list[Any] | None = None) -> None:
        self.transport = FakeTransport()
        self.outputs: list[tuple[Any, ...]] = []
        self.reasons: list[Reason] = []
        hooks = Hooks(
            on_outputs=lambda session, outputs: self.outputs.append(outputs.args),
            on_closed=lambda session, reason: self.reasons.append(reason),
        )
        context, config = Context("viewer"), SessionConfig(mode=mode, debug=True)
        self.session = Session(handler, self.transport, context, config=config, hooks=hooks, inputs=inputs)
        assert self.session.video is not None
        self.video = self.session.video
        self.seen: list[tuple[float, int]] = []

    async def connect(self) -> "Viewer":
        self.session.connecting()
        self.session.connected()
        self.session.run(self._watch())
        await settled()
        return self

    async def _watch(self) -> None:
        while True:
            shown = await self.video.next(3600)
            if shown is not None:
                self.seen.append((now(), int(shown.to_ndarray(format="rgb24").mean())))

    async def film(self, *values: int, fps: float = 30) -> None:
        for value in values:
            self.session.receive_video(frame(value))
            await asyncio.sleep(1 / fps)

    def values(self) -> list[int]:
        return [value for _, value in self.seen]


# -- functions


async def test_the_first_picture_is_worked_on_without_any_inputs() -> None:
    viewer = await Viewer(VideoStreamHandler(lambda picture, threshold=7: picture + threshold)).connect()
    await viewer.film(10)
    assert viewer.values() == [17]


async def test_inputs_are_the_arguments_in_order_from_the_first_picture_on() -> None:
    viewer = await Viewer(VideoStreamHandler(lambda picture, a, b: picture + a - b), inputs=[5, 1]).connect()
    await viewer.film(10)
    viewer.session.set_inputs([20, 2])
    await viewer.film(10)
    assert viewer.values() == [14, 28]


async def test_a_missing_input_is_an_error_and_the_session_goes_on() -> None:
    def fn(picture: Picture, threshold: int) -> Picture:
        return picture

    viewer = await Viewer(VideoStreamHandler(fn)).connect()
    await viewer.film(1)
    assert "threshold" in viewer.transport.texts("error")[0]
    viewer.session.set_inputs([1])
    await viewer.film(2)
    assert viewer.values() == [2]


async def test_an_exception_loses_one_picture() -> None:
    def fn(picture: Picture) -> Picture:
        if picture.mean() == 2:
            raise RuntimeError("no")
        return picture

    viewer = await Viewer(VideoStreamHandler(fn)).connect()
    await viewer.film(1, 2, 3)
    assert viewer.values() == [1, 3]
    assert viewer.transport.texts("error") == ["RuntimeError: no"]


@pytest.mark.parametrize(
    "item",
    ["text", (1, 2), np.zeros((4, 4, 3), float), np.zeros(4, np.uint8), np.zeros((4, 4, 4), np.uint8),
     np.zeros((0, 0, 3), np.uint8), np.zeros((0, 4), np.uint8)],
    ids=str,
)  # fmt: skip
async def test_what_is_no_picture_is_refused_in_words_and_the_next_one_is_shown(item: Any) -> None:
    items = iter([item, grey(9)])
    viewer = await Viewer(VideoStreamHandler(lambda picture: next(items))).connect()
    await viewer.film(1, 1)
    assert len(viewer.transport.texts("error")) == 1
    assert "(height, width, 3)" in viewer.transport.texts("error")[0]
    assert viewer.values() == [9]


async def test_nothing_is_shown_for_none() -> None:
    viewer = await Viewer(VideoStreamHandler(lambda picture: None)).connect()
    await viewer.film(1, 2)
    assert viewer.values() == []
    assert viewer.transport.texts("error") == []


@pytest.mark.parametrize("mode", ["send-receive", "send"])
async def test_outputs_alone_and_beside_a_picture(mode: str) -> None:
    items: Iterator[Any] = iter([AdditionalOutputs("alone"), (grey(5), AdditionalOutputs("beside", 2))])
    viewer = await Viewer(VideoStreamHandler(lambda picture: next(items)), mode).connect()
    await viewer.film(1, 1)
    assert viewer.outputs == [("alone",), ("beside", 2)]
    assert len(viewer.transport.texts("fetch_output")) == 2
    assert viewer.values() == ([5] if mode == "send-receive" else [])


async def test_close_stream_ends_the_session() -> None:
    viewer = await Viewer(VideoStreamHandler(lambda picture: (grey(5), CloseStream("Enough")))).connect()
    await viewer.film(1)
    await asyncio.sleep(1)
    assert viewer.transport.texts("end_stream") == ["Enough"]
    assert viewer.reasons == [Reason.HANDLER_CLOSED]


@pytest.mark.parametrize(("pixel_format", "first"), [("rgb24", 200), ("bgr24", 50)])
async def test_colours(pixel_format: Any, first: int) -> None:
    given: list[Picture] = []

    def fn(picture: Picture) -> Picture:
        given.append(picture)
        return picture

    viewer = Viewer(VideoStreamHandler(fn, pixel_format=pixel_format))
    viewer.session.connecting()
    viewer.session.connected()
    await settled()
    red = np.zeros((16, 32, 3), np.uint8)
    red[:] = (200, 100, 50)
    viewer.session.receive_video(av.VideoFrame.from_ndarray(red, format="rgb24"))
    await settled()
    assert given[0][0, 0].tolist() == ([200, 100, 50] if first == 200 else [50, 100, 200])
    assert given[0].shape == (16, 32, 3)
    shown = await viewer.video.next(1)
    assert shown is not None
    assert shown.to_ndarray(format="rgb24")[0, 0].tolist() == [200, 100, 50]


async def test_grey_pictures_are_shown() -> None:
    viewer = await Viewer(VideoStreamHandler(lambda picture: np.full((8, 8), 77, np.uint8))).connect()
    await viewer.film(1)
    assert viewer.values() == [77]


# -- slow functions


class Slow:
    """A function that takes ``seconds`` for each picture and notes which it got, and how many were waiting."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.given: list[int] = []

    async def __call__(self, picture: Picture) -> Picture:
        self.given.append(int(picture.mean()))
        await asyncio.sleep(self.seconds)
        return picture


async def test_skip_frames_works_on_the_newest_picture() -> None:
    slow = Slow(0.2)
    viewer = await Viewer(VideoStreamHandler(slow, skip_frames=True)).connect()
    waiting = []
    for value in range(60):
        await viewer.film(value)
        waiting.append(len(viewer.video._input))
    assert max(waiting) == 1
    # Each time the newest of those that came in the 0.2 s before.
    assert all(5 <= b - a <= 7 for a, b in zip(slow.given, slow.given[1:], strict=False))
    assert slow.given[-1] >= 54
    await asyncio.sleep(1)
    assert slow.given[-1] == 59


async def test_without_it_a_slow_function_is_late_but_within_bounds() -> None:
    slow = Slow(0.1)
    viewer = await Viewer(VideoStreamHandler(slow)).connect()
    for value in range(120):
        await viewer.film(value)
        assert len(viewer.video._input) <= KEPT
    assert slow.given == sorted(set(slow.given))
    assert 119 - slow.given[-1] <= KEPT + 1


async def test_without_it_every_picture_of_a_short_burst_is_worked_on() -> None:
    slow = Slow(0.1)
    viewer = await Viewer(VideoStreamHandler(slow)).connect()
    await viewer.film(*range(KEPT), fps=1000)
    await asyncio.sleep(2)
    assert slow.given == list(range(KEPT))


async def test_a_sync_function_has_a_thread_of_its_own_that_ends_with_the_session() -> None:
    gate, threads = Gate(), []

    def fn(picture: Picture) -> Picture:
        threads.append(threading.current_thread())
        gate.wait()
        return picture

    viewer = await Viewer(VideoStreamHandler(fn)).connect()
    viewer.session.receive_video(frame(1))
    await gate.reached.wait()
    began = now()
    await asyncio.sleep(1)  # the loop goes on meanwhile
    assert now() - began == pytest.approx(1)
    gate.open()
    await settled()
    assert viewer.values() == [1]
    await viewer.session.close(Reason.CLIENT_CLOSED)
    threads[0].join(5)
    assert not threads[0].is_alive()


# -- generators, in mode "receive"


def counting(first: int = 0) -> Iterator[Picture]:
    for value in range(first, 250):
        yield grey(value)


@pytest.mark.parametrize("fps", [5, 25, 30, 60])
async def test_as_many_pictures_a_second_as_asked_for(fps: int) -> None:
    viewer = await Viewer(VideoStreamHandler(counting, fps=fps), "receive").connect()
    await asyncio.sleep(3)
    assert len(viewer.seen) == pytest.approx(3 * fps + 1, abs=1)
    assert viewer.values() == list(range(len(viewer.seen)))


async def test_a_generator_gets_the_inputs() -> None:
    viewer = await Viewer(VideoStreamHandler(counting), "receive", inputs=[100]).connect()
    await asyncio.sleep(0.1)
    assert viewer.values()[0] == 100


async def test_a_generator_that_needs_inputs_asks_for_them() -> None:
    def fn(first: int) -> Iterator[Picture]:
        yield from counting(first)

    viewer = await Viewer(VideoStreamHandler(fn), "receive").connect()
    await asyncio.sleep(1)
    assert len(viewer.transport.texts("send_input")) == 1
    assert viewer.seen == []
    viewer.session.set_inputs([50])
    await asyncio.sleep(0.1)
    assert viewer.values()[0] == 50


async def test_a_trigger_starts_it_anew_with_the_latest_inputs() -> None:
    viewer = await Viewer(VideoStreamHandler(counting), "receive", inputs=[10]).connect()
    await asyncio.sleep(0.5)
    viewer.session.set_inputs([200])
    viewer.session.trigger_response()
    await asyncio.sleep(0.1)
    assert viewer.values()[0] == 10
    assert viewer.values()[-3] >= 200


async def test_a_generator_that_raises_says_so_and_ends() -> None:
    def fn() -> Iterator[Picture]:
        yield grey(1)
        raise RuntimeError("no film")

    viewer = await Viewer(VideoStreamHandler(fn), "receive").connect()
    await asyncio.sleep(1)
    assert viewer.transport.texts("error") == ["RuntimeError: no film"]
    assert viewer.reasons == [Reason.HANDLER_CLOSED]


async def test_a_generator_is_closed_with_its_session() -> None:
    closed = threading.Event()

    def fn() -> Iterator[Picture]:
        try:
            yield from counting()
        finally:
            closed.set()

    viewer = await Viewer(VideoStreamHandler(fn), "receive").connect()
    await asyncio.sleep(0.2)
    await viewer.session.close(Reason.CLIENT_CLOSED)
    assert closed.wait(5)


async def test_an_async_generator_is_closed_with_its_session() -> None:
    closed = asyncio.Event()

    async def fn() -> AsyncIterator[Picture]:
        try:
            for picture in counting():
                yield picture
        finally:
            closed.set()

    viewer = await Viewer(VideoStreamHandler(fn), "receive").connect()
    await asyncio.sleep(0.2)
    await viewer.session.close(Reason.CLIENT_CLOSED)
    await settled()
    assert closed.is_set()


async def test_sessions_do_not_share_a_generator() -> None:
    prototype = VideoStreamHandler(counting, fps=10)
    first = await Viewer(prototype.copy(), "receive").connect()
    await asyncio.sleep(1)
    second = await Viewer(prototype.copy(), "receive").connect()
    await asyncio.sleep(0.5)
    assert second.values()[:3] == [0, 1, 2]
    assert len(first.values()) > 13


async def test_what_is_asked_of_a_plain_function_that_makes_no_generator() -> None:
    """An author's mistake, said in the author's words."""
    viewer = await Viewer(VideoStreamHandler(lambda: grey(1)), "receive").connect()
    await asyncio.sleep(0.2)
    assert "generator" in viewer.transport.texts("error")[0]


# -- audio and video


class Both(AsyncAudioVideoStreamHandler):
    def __init__(self, pace: float = 0.0) -> None:
        super().__init__(fps=10)
        self.pace = pace
        self.given: list[int] = []

    def copy(self) -> "Both":
        return Both(self.pace)

    async def receive(self, frame: Any) -> None:
        pass

    async def emit(self) -> None:
        return None

    async def video_receive(self, frame: Picture) -> None:
        self.given.append(int(frame.mean()))
        await asyncio.sleep(self.pace)

    async def video_emit(self) -> Any:
        return grey(3), AdditionalOutputs("seen")


async def test_video_emit_is_asked_fps_times_a_second() -> None:
    viewer = await Viewer(Both()).connect()
    await asyncio.sleep(2)
    assert len(viewer.seen) == pytest.approx(21, abs=1)
    assert len(viewer.outputs) == len(viewer.seen)


async def test_a_slow_video_receive_gets_the_newest() -> None:
    handler = Both(pace=0.5)
    viewer = await Viewer(handler).connect()
    await viewer.film(*range(60))
    assert len(handler.given) <= 5
    assert handler.given[-1] >= 45


# -- what may be registered


class Object:
    def method(self, picture: Picture) -> Picture:
        return picture

    def __call__(self, picture: Picture) -> Picture:
        return picture


@pytest.mark.parametrize(
    "function",
    [lambda picture: picture, Object(), Object().method, functools.partial(Object().method)],
    ids=["lambda", "object", "bound method", "partial"],
)
@pytest.mark.parametrize("mode", ["send-receive", "send", "receive"])
def test_functions_become_video_handlers(function: Any, mode: str) -> None:
    handler = as_handler(function, "video", mode)
    assert isinstance(handler, VideoStreamHandler)
    assert handler.copy() is not handler


@pytest.mark.parametrize("modality", ["audio", "audio-video"])
def test_a_picture_function_is_no_handler_for_sound(modality: str) -> None:
    with pytest.raises(TypeError, match=r"needs \S+"):
        as_handler(lambda picture: picture, modality, "send-receive")
    with pytest.raises(TypeError, match="is no handler for audio"):
        as_handler(VideoStreamHandler(lambda picture: picture), modality, "send-receive")


def test_a_handler_for_both_fits_only_both() -> None:
    assert isinstance(as_handler(Both(), "audio-video", "receive"), VideoHandler)
    for modality in ("audio", "video"):
        with pytest.raises(TypeError):
            as_handler(Both(), modality, "send-receive")
