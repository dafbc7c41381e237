"""Every kind of handler, in every modality and mode, with a real client: media flows as documented."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from streams.media import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    AudioVideoStreamHandler,
    ReplyOnPause,
    StreamHandler,
    VideoStreamHandler,
    get_current_context,
)
from streams.media.audio import Audio, Samples
from streams.media.outputs import Emitted, Picture, PictureOut
from tests.loopback.conftest import MakePeer, MakeStream, poster, sessions_gone
from tests.loopback.peer import RATE, Peer
from tests.loopback.test_conversation import spoken

PITCH = 500.0
HEARD_AT, SPOKEN_AT = 16000, 24000

SIZE = (96, 128)
RED, BLUE = (220, 30, 30), (30, 30, 220)


def tone(seconds: float) -> Audio:
    wave = 8000 * np.sin(2 * np.pi * PITCH * np.arange(round(SPOKEN_AT * seconds)) / SPOKEN_AT)
    return SPOKEN_AT, wave.astype(np.int16)[None, :]


def pitch(samples: Samples, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(spectrum.argmax()) * rate / samples.size


def two_colours(left: tuple[int, int, int], right: tuple[int, int, int]) -> Picture:
    picture = np.empty((*SIZE, 3), np.uint8)
    picture[:, : SIZE[1] // 2], picture[:, SIZE[1] // 2 :] = left, right
    return picture


def looks_like(picture: Picture, left: tuple[int, int, int], right: tuple[int, int, int]) -> bool:
    """Within what VP8 and YUV make of it."""
    quarter, three = picture.shape[1] // 4, 3 * picture.shape[1] // 4
    row = picture[picture.shape[0] // 2].astype(int)
    return bool(np.abs(row[quarter] - left).max() < 40 and np.abs(row[three] - right).max() < 40)


class Seen:
    """What the handlers of a test have been given, by session."""

    def __init__(self) -> None:
        self.items: dict[str, list[Any]] = {}

    def add(self, item: Any) -> None:
        self.items.setdefault(get_current_context().webrtc_id, []).append(item)

    def of(self, name: str) -> list[Any]:
        return self.items.get(name, [])


def functions(media: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """Every kind of function, each giving ``media(what it was given)``, for what is asked one item at a time."""

    def plain(given: Any) -> Any:
        return media(given)

    async def coroutine(given: Any) -> Any:
        await asyncio.sleep(0)
        return media(given)

    def generator(given: Any) -> Iterator[Any]:
        yield media(given)

    async def async_generator(given: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        yield media(given)

    class Object:
        def method(self, given: Any) -> Any:
            return media(given)

        def __call__(self, given: Any) -> Any:
            return media(given)

    class AsyncObject:
        async def __call__(self, given: Any) -> Any:
            return media(given)

    def with_prefix(prefix: str, given: Any) -> Any:
        return media(given)

    return {
        "plain function": plain,
        "coroutine function": coroutine,
        "generator": generator,
        "async generator": async_generator,
        "bound method": Object().method,
        "callable object": Object(),
        "async callable object": AsyncObject(),
        "partial": functools.partial(with_prefix, "p"),
        "partial of a generator": functools.partial(lambda prefix, given: generator(given), "p"),
    }


def sources(media: Callable[[], Any]) -> dict[str, Callable[..., Any]]:
    """Every kind of function that makes one item after the other."""

    def generator() -> Iterator[Any]:
        while True:
            yield media()

    async def async_generator() -> AsyncIterator[Any]:
        while True:
            yield media()

    class Object:
        def method(self) -> Iterator[Any]:
            return generator()

        def __call__(self) -> Iterator[Any]:
            yield from generator()

    def with_prefix(prefix: str) -> Iterator[Any]:
        yield from generator()

    return {
        "generator": generator,
        "async generator": async_generator,
        "bound method": Object().method,
        "callable object": Object(),
        "partial": functools.partial(with_prefix, "p"),
    }


class SyncTone(StreamHandler):
    def __init__(self, seen: Seen) -> None:
        super().__init__(input_sample_rate=HEARD_AT, output_sample_rate=SPOKEN_AT)
        self.seen = seen

    def copy(self) -> SyncTone:
        return SyncTone(self.seen)

    def receive(self, frame: Audio) -> None:
        self.seen.add(frame)

    def emit(self) -> Emitted:
        time.sleep(0.02)
        return tone(0.02)


class AsyncTone(AsyncStreamHandler):
    def __init__(self, seen: Seen) -> None:
        super().__init__(input_sample_rate=HEARD_AT, output_sample_rate=SPOKEN_AT)
        self.seen = seen

    def copy(self) -> AsyncTone:
        return AsyncTone(self.seen)

    async def receive(self, frame: Audio) -> None:
        self.seen.add(frame)

    async def emit(self) -> Emitted:
        await asyncio.sleep(0.02)
        return tone(0.02)


def replying(seen: Seen, reply: Any) -> dict[str, ReplyOnPause]:
    def media(audio: Audio) -> Any:
        seen.add(audio)
        return reply

    return {
        f"ReplyOnPause, {kind}": ReplyOnPause(fn, input_sample_rate=HEARD_AT, output_sample_rate=SPOKEN_AT)
        for kind, fn in functions(media).items()
    }


async def each(work: dict[str, Callable[[str], Awaitable[None]]]) -> None:
    """All at the same time; a failure says whose it is."""

    async def one(name: str) -> None:
        try:
            await work[name](name)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{name}: {error!r}") from error

    await asyncio.gather(*map(one, work))


def direction(answer: dict[str, Any], kind: str) -> str:
    section = answer["sdp"].split(f"m={kind}")[1].split("m=")[0]
    return next(way for way in ("sendrecv", "sendonly", "recvonly", "inactive") if f"a={way}" in section)


async def test_audio_both_ways(stream: MakeStream, peer: MakePeer) -> None:
    seen = Seen()
    handlers = {"StreamHandler": SyncTone(seen), "AsyncStreamHandler": AsyncTone(seen), **replying(seen, tone(0.5))}

    async def talk(name: str) -> None:
        client: Peer = peer(slugs[name])
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "audio") == "sendrecv"
        client.voice.say(spoken(4))
        await client.hears(0.3)
        loud = np.concatenate([frame for frame in client.heard if np.abs(frame).max() > 3000])
        assert pitch(loud[:9600], RATE) == pytest.approx(PITCH, abs=10)
        check_audio(seen.of(client.webrtc_id), whole_utterance=name.startswith("Reply"))

    slugs = {name: (await stream(handler)).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, talk))


def check_audio(frames: list[Audio], whole_utterance: bool) -> None:
    assert frames
    for rate, samples in frames:
        assert rate == HEARD_AT
        assert samples.dtype == np.int16
        assert samples.ndim == 2
        assert samples.shape[0] == 1
        if whole_utterance:
            assert 1.0 < samples.shape[1] / rate < 4.0
    if not whole_utterance:
        sizes = [samples.shape[1] for _, samples in frames[2:]]
        assert set(sizes) == {320}, "20 ms each"


async def test_audio_that_is_only_sent(stream: MakeStream, peer: MakePeer) -> None:
    seen = Seen()
    handlers = {
        "StreamHandler": SyncTone(seen),
        "AsyncStreamHandler": AsyncTone(seen),
        **replying(seen, (tone(0.5), AdditionalOutputs("noted"))),
    }

    async def talk(name: str) -> None:
        client: Peer = peer(slugs[name], audio="sendrecv")
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "audio") == "recvonly"
        client.voice.say(spoken(4))
        if name.startswith("Reply"):
            await client.message("fetch_output")
        await client.spoken(1.0)
        assert client.heard == []
        check_audio(seen.of(client.webrtc_id), whole_utterance=name.startswith("Reply"))

    slugs = {name: (await stream(handler, mode="send")).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, talk))


async def test_audio_that_is_only_received(stream: MakeStream, peer: MakePeer) -> None:
    seen = Seen()
    handlers: dict[str, Any] = {
        "StreamHandler": SyncTone(seen),
        "AsyncStreamHandler": AsyncTone(seen),
        **sources(lambda: tone(0.1)),
    }

    async def listen(name: str) -> None:
        client: Peer = peer(slugs[name], audio="recvonly")
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "audio") == "sendonly"
        heard = await client.hears(0.5)
        assert pitch(heard[-RATE // 4 :], RATE) == pytest.approx(PITCH, abs=10)
        assert seen.of(client.webrtc_id) == []

    slugs = {name: (await stream(handler, mode="receive")).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, listen))


async def test_nothing_is_received_in_mode_receive_though_the_client_would_send(
    stream: MakeStream, peer: MakePeer
) -> None:
    seen = Seen()
    slug = (await stream(AsyncTone(seen), mode="receive")).slug
    client = peer("eager", audio="sendrecv")
    assert direction(await client.connect(poster(slug)), "audio") == "sendonly"
    client.voice.say(spoken(4))
    await client.hears(0.5)
    assert seen.of("eager") == []


# -- video


def flipper(seen: Seen) -> Callable[[Picture], Picture]:
    def flip(picture: Picture) -> Picture:
        seen.add(picture)
        return np.flip(picture, axis=1)

    return flip


async def test_video_both_ways(stream: MakeStream, peer: MakePeer) -> None:
    """The first picture is worked on though nobody has sent inputs."""
    seen = Seen()
    flip = flipper(seen)
    handlers: dict[str, Any] = {
        **functions(flip),
        "VideoStreamHandler": VideoStreamHandler(flip),
        "skipping": VideoStreamHandler(flip, skip_frames=True),
        "bgr24": VideoStreamHandler(flip, pixel_format="bgr24"),
    }
    del handlers["partial of a generator"]  # a lambda does not say that it makes a generator

    async def film(name: str) -> None:
        client: Peer = peer(slugs[name], audio=None, video="sendrecv")
        client.camera.picture = two_colours(RED, BLUE)
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "video") == "sendrecv"
        assert looks_like(await client.sees(8), BLUE, RED)
        assert client.seen[-1].shape == (*SIZE, 3)
        check_pictures(seen.of(client.webrtc_id), swapped=name == "bgr24")

    slugs = {name: (await stream(handler, modality="video")).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, film))


def check_pictures(pictures: list[Picture], *, swapped: bool = False) -> None:
    """A client filmed red on the left and blue on the right."""
    assert pictures
    for picture in pictures:
        assert picture.shape == (*SIZE, 3)
        assert picture.dtype == np.uint8
    colours = (BLUE, RED) if swapped else (RED, BLUE)
    assert looks_like(pictures[-1], *colours)


async def test_video_that_is_only_sent(stream: MakeStream, peer: MakePeer) -> None:
    seen = Seen()

    def note(picture: Picture) -> Any:
        seen.add(picture)
        return picture, AdditionalOutputs(picture.shape)

    handlers: dict[str, Any] = {**functions(note), "bgr24": VideoStreamHandler(note, pixel_format="bgr24")}
    del handlers["partial of a generator"]

    async def film(name: str) -> None:
        client: Peer = peer(slugs[name], audio=None, video="sendrecv")
        client.camera.picture = two_colours(RED, BLUE)
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "video") == "recvonly"
        await client.message("fetch_output", count=5)
        assert client.seen == []
        check_pictures(seen.of(client.webrtc_id), swapped=name == "bgr24")

    slugs = {name: (await stream(handler, modality="video", mode="send")).slug for name, handler in handlers.items()}
    await each(dict.fromkeys(handlers, film))


async def test_video_that_is_only_received(stream: MakeStream, peer: MakePeer) -> None:
    """As many pictures a second as asked for."""
    handlers: dict[str, Any] = {
        **sources(lambda: two_colours(RED, BLUE)),
        "bgr24": VideoStreamHandler(sources(lambda: two_colours(BLUE, RED))["generator"], pixel_format="bgr24"),
        "10 a second": VideoStreamHandler(sources(lambda: two_colours(RED, BLUE))["async generator"], fps=10),
        "15 a second": VideoStreamHandler(sources(lambda: two_colours(RED, BLUE))["generator"], fps=15),
    }

    async def watch(name: str) -> None:
        client: Peer = peer(slugs[name], audio=None, video="recvonly")
        answer = await client.connect(poster(slugs[name]))
        assert direction(answer, "video") == "sendonly"
        assert looks_like(await client.sees(5), RED, BLUE)
        before, since = len(client.seen), time.monotonic()
        await client.sees(20)
        rate = (len(client.seen) - before) / (time.monotonic() - since)
        assert rate == pytest.approx(fps.get(name, 30), rel=0.3)

    fps = {"10 a second": 10, "15 a second": 15}
    slugs = {name: (await stream(fn, modality="video", mode="receive")).slug for name, fn in handlers.items()}
    await each(dict.fromkeys(handlers, watch))


async def test_pictures_of_any_size_are_shown(stream: MakeStream, peer: MakePeer) -> None:
    """Odd ones, grey ones, and another size in the middle."""
    shapes = itertools.cycle([(96, 128, 3)] * 10 + [(75, 101, 3)] * 10 + [(60, 80)] * 10)

    def source() -> Iterator[Picture]:
        for shape in shapes:
            yield np.full(shape, 128, np.uint8)

    client = peer(audio=None, video="recvonly")
    await client.connect(poster((await stream(source, modality="video", mode="receive")).slug))
    await client.sees(45)
    assert {picture.shape for picture in client.seen} >= {(96, 128, 3), (60, 80, 3)}
    assert len({picture.shape for picture in client.seen}) == 3
    assert all(abs(int(picture.mean()) - 128) < 15 for picture in client.seen)


async def test_a_generator_of_pictures_that_ends_ends_the_session(stream: MakeStream, peer: MakePeer) -> None:
    def source() -> Iterator[Picture]:
        yield from [two_colours(RED, BLUE)] * 5

    client = peer(audio=None, video="recvonly")
    await client.connect(poster((await stream(source, modality="video", mode="receive")).slug))
    assert (await client.message("end_stream"))["data"] == "The stream has ended."
    await sessions_gone()


# -- both


class SyncMirror(AudioVideoStreamHandler):
    def __init__(self, seen: Seen, pixel_format: Any = "rgb24") -> None:
        super().__init__(input_sample_rate=HEARD_AT, output_sample_rate=SPOKEN_AT, fps=15)
        self.seen, self.pixel_format = seen, pixel_format
        self.picture: Picture | None = None
        self.fresh = threading.Event()

    def copy(self) -> SyncMirror:
        return SyncMirror(self.seen, self.pixel_format)

    def receive(self, frame: Audio) -> None:
        self.seen.add(frame)

    def emit(self) -> Emitted:
        time.sleep(0.02)
        return tone(0.02)

    def video_receive(self, frame: Picture) -> None:
        self.seen.add(frame)
        self.picture = frame

    def video_emit(self) -> PictureOut:
        return two_colours(BLUE, RED) if self.pixel_format == "rgb24" else two_colours(RED, BLUE)


class AsyncMirror(AsyncAudioVideoStreamHandler):
    def __init__(self, seen: Seen) -> None:
        super().__init__(input_sample_rate=HEARD_AT, output_sample_rate=SPOKEN_AT, fps=15)
        self.seen = seen

    def copy(self) -> AsyncMirror:
        return AsyncMirror(self.seen)

    async def receive(self, frame: Audio) -> None:
        self.seen.add(frame)

    async def emit(self) -> Emitted:
        await asyncio.sleep(0.02)
        return tone(0.02)

    async def video_receive(self, frame: Picture) -> None:
        self.seen.add(frame)

    async def video_emit(self) -> PictureOut:
        return two_colours(BLUE, RED)


@pytest.mark.parametrize("mode", ["send-receive", "send", "receive"])
async def test_audio_and_video(stream: MakeStream, peer: MakePeer, mode: str) -> None:
    seen = Seen()
    handlers = {
        "AudioVideoStreamHandler": SyncMirror(seen),
        "AsyncAudioVideoStreamHandler": AsyncMirror(seen),
        "bgr24": SyncMirror(seen, "bgr24"),
    }
    way = {"send-receive": "sendrecv", "send": "recvonly", "receive": "sendonly"}[mode]

    async def meet(name: str) -> None:
        wanted = "recvonly" if mode == "receive" else "sendrecv"
        client: Peer = peer(slugs[name], audio=wanted, video=wanted)
        client.camera.picture = two_colours(RED, BLUE)
        answer = await client.connect(poster(slugs[name]))
        assert (direction(answer, "audio"), direction(answer, "video")) == (way, way)
        if mode == "send":
            await client.spoken(1.0)
            assert (client.heard, client.seen) == ([], [])
        else:
            assert looks_like(await client.sees(8), BLUE, RED)
            assert pitch((await client.hears(0.3))[-9600:], RATE) == pytest.approx(PITCH, abs=10)
        given = seen.of(client.webrtc_id)
        if mode == "receive":
            assert given == []
        else:
            check_audio([item for item in given if isinstance(item, tuple)], whole_utterance=False)
            check_pictures([item for item in given if not isinstance(item, tuple)], swapped=name == "bgr24")

    slugs = {
        name: (await stream(handler, modality="audio-video", mode=mode)).slug for name, handler in handlers.items()
    }
    await each(dict.fromkeys(handlers, meet))


# -- one does not disturb another


async def test_a_slow_picture_function_leaves_another_sessions_audio_alone(stream: MakeStream, peer: MakePeer) -> None:
    def slow(picture: Picture) -> Picture:
        time.sleep(0.1)
        return picture

    film = (await stream(slow, modality="video")).slug
    filming = peer(audio=None, video="sendrecv")
    filming.camera.fps = 30
    await filming.connect(poster(film))
    await filming.sees(2)
    assert await audio_frames_a_second(peer()) >= 49


async def test_blocked_audio_handlers_leave_another_sessions_audio_alone(stream: MakeStream, peer: MakePeer) -> None:
    def blocking(audio: Audio) -> Audio:
        blocked.release()
        time.sleep(3)
        return tone(0.1)

    blocked = threading.Semaphore(0)
    slug = (await stream(ReplyOnPause(blocking))).slug
    talkers = [peer() for _ in range(6)]
    await asyncio.gather(*(talker.connect(poster(slug)) for talker in talkers))
    for talker in talkers:
        talker.voice.say(spoken(4))
    for _ in talkers:
        assert await asyncio.to_thread(blocked.acquire, timeout=10)
    assert await audio_frames_a_second(peer()) >= 49


async def audio_frames_a_second(client: Peer) -> float:
    """What comes back from the shipped live echo of a tone, of the 50 that were sent in each second."""
    await client.connect(poster("echo-live"))
    client.voice.say(np.tile(tone_at_48k(), 8))
    await client.hears(0.3)
    sent, heard = len(client.voice.sent), len(client.heard)
    await client.spoken(2.0)
    await client.hears(2.0)
    arrived = sum(int(np.abs(frame).max()) > 500 for frame in client.heard[heard:])
    return 50 * arrived / (len(client.voice.sent) - sent)


def tone_at_48k() -> Samples:
    return (8000 * np.sin(2 * np.pi * PITCH * np.arange(RATE) / RATE)).astype(np.int16)
