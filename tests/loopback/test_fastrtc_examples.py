"""What FastRTC's documentation shows, each written our own way and used by a real client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import numpy as np
from django import forms

from streams.live.manager import manager
from streams.media import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    ReplyOnPause,
    StreamHandler,
    VideoStreamHandler,
    wait_for_item,
)
from streams.media.audio import Audio
from streams.media.outputs import Emitted, Picture, PictureOut
from tests.listening import find
from tests.loopback.conftest import MakePeer, MakeStream, poster
from tests.loopback.peer import RATE
from tests.loopback.test_conversation import spoken, tone
from tests.loopback.test_inputs_outputs import Caller, some
from tests.loopback.test_modalities import BLUE, RED, SIZE, looks_like, two_colours


async def test_flip(transactional_db: None, peer: MakePeer) -> None:
    """The shipped stream: upside down."""
    client = peer(audio=None, video="sendrecv")
    client.camera.picture = np.empty((*SIZE, 3), np.uint8)
    client.camera.picture[: SIZE[0] // 2], client.camera.picture[SIZE[0] // 2 :] = RED, BLUE
    await client.connect(poster("flip"))
    shown = (await client.sees(8)).astype(int)
    assert np.abs(shown[10, 64] - BLUE).max() < 40
    assert np.abs(shown[-10, 64] - RED).max() < 40


class Threshold(forms.Form):
    threshold = forms.FloatField(min_value=0, max_value=1, initial=0.3)


def detection(picture: Picture, threshold: float) -> tuple[Picture, AdditionalOutputs]:
    """Finds what is bright, and counts it."""
    bright = picture.max(axis=2) >= threshold * 255
    marked = picture.copy()
    marked[bright] = (30, 220, 30)
    return marked, AdditionalOutputs(round(float(bright.mean()), 1))


async def test_detection_with_a_threshold_from_the_input_hook_and_updates(stream: MakeStream, peer: MakePeer) -> None:
    caller = Caller((await stream(detection, modality="video", inputs=Threshold, outputs="number")).slug)
    client = peer("mine", audio=None, video="sendrecv")
    client.camera.picture = two_colours((120, 120, 120), (20, 20, 20))
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    assert looks_like(await client.sees(8), (30, 220, 30), (20, 20, 20))
    assert (await caller.inputs(threshold=1.5)).status_code == 422
    assert (await caller.inputs(threshold=0.9)).json() == {"status": "success"}
    await client.sees(3)
    assert looks_like(await client.sees(8), (120, 120, 120), (20, 20, 20))
    events = (await caller.follow()).streaming_content
    found = [event.split("data: ")[1].strip() for event in (await some(events, 20))[1:]]
    assert found[0] == "0.5"
    assert found[-1] == "0.0"
    await events.aclose()


async def test_updates_follow_a_conversation(stream: MakeStream, peer: MakePeer) -> None:
    def chat(audio: Audio) -> Iterator[Emitted]:
        seconds = audio[1].shape[1] / audio[0]
        yield AdditionalOutputs({"role": "user", "content": f"{seconds:.0f} s"})
        yield tone(0.2)
        yield AdditionalOutputs({"role": "assistant", "content": "beep"})

    caller = Caller((await stream(ReplyOnPause(chat), outputs="chat")).slug)
    client = peer("mine")
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    events = (await caller.follow()).streaming_content
    await some(events, 1)
    client.voice.say(spoken(4))
    async with asyncio.timeout(10):
        first, second = [(await anext(events)).decode() for _ in range(2)]
    assert json.loads(first.split("data: ")[1])["role"] == "user"
    assert json.loads(second.split("data: ")[1]) == {"role": "assistant", "content": "beep"}
    await events.aclose()


async def test_a_startup_function_speaks_first(stream: MakeStream, peer: MakePeer) -> None:
    """Sync, where the reply is async: FastRTC wants both alike."""

    async def reply(audio: Audio) -> AsyncIterator[Audio]:
        yield tone(0.3)

    def startup() -> Iterator[Audio]:
        for _ in range(5):
            yield tone(0.1)

    client = peer()
    await client.connect(poster((await stream(ReplyOnPause(reply, startup_fn=startup))).slug))
    await client.message("log", "response_finished")
    assert client.logged() == ["response_starting", "response_finished"]
    assert client.loud(1000) > 0.35
    client.voice.say(spoken(4))
    await client.message("log", "response_finished", count=2)


async def test_with_interruptions_off_a_reply_is_heard_to_its_end(stream: MakeStream, peer: MakePeer) -> None:
    calls: list[Audio] = []

    def reply(audio: Audio) -> Iterator[Audio]:
        calls.append(audio)
        for _ in range(15):
            yield tone(0.1)

    client = peer()
    await client.connect(poster((await stream(ReplyOnPause(reply, can_interrupt=False))).slug))
    client.voice.say(spoken(4))
    await client.message("log", "response_starting")
    client.voice.say(spoken(5)[:RATE])  # over before the reply is
    await client.message("log", "response_finished")
    assert client.loud(1000) > 1.35
    assert client.logged() == ["started_talking", "pause_detected", "response_starting", "response_finished"]
    client.voice.say(spoken(4))
    await client.message("log", "response_starting", count=2)
    assert len(calls) == 2


class QueueEcho(AsyncStreamHandler):
    """Not even a busy server waits in ``emit`` for long."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=24000, output_sample_rate=24000)

    def copy(self) -> QueueEcho:
        return QueueEcho()

    async def start_up(self) -> None:
        self.queue: asyncio.Queue[Audio] = asyncio.Queue()

    async def receive(self, frame: Audio) -> None:
        self.queue.put_nowait(frame)

    async def emit(self) -> Emitted:
        item: Emitted = await wait_for_item(self.queue)
        return item


async def test_async_echo_with_wait_for_item(stream: MakeStream, peer: MakePeer) -> None:
    client = peer()
    await client.connect(poster((await stream(QueueEcho())).slug))
    said = spoken(1)
    client.voice.say(said)
    await client.hears(1.5)
    assert find(said[RATE // 2 : RATE], np.concatenate(client.heard))[1] > 0.8


class Volume(forms.Form):
    volume = forms.IntegerField(min_value=0, max_value=10)


class AskingEcho(StreamHandler):
    """Asks for its inputs before it plays."""

    def __init__(self) -> None:
        super().__init__(input_sample_rate=24000, output_sample_rate=24000)

    def copy(self) -> AskingEcho:
        return AskingEcho()

    def receive(self, frame: Audio) -> None:
        pass

    def emit(self) -> Emitted:
        self.wait_for_args_sync()
        rate, wave = tone(0.02)
        return rate, (wave * (self.latest_args[1] / 10)).astype(np.int16)


async def test_requesting_inputs(stream: MakeStream, peer: MakePeer) -> None:
    caller = Caller((await stream(AskingEcho(), inputs=Volume)).slug)
    client = peer("mine")
    caller.token = (await client.connect(poster(caller.slug)))["token"]
    await client.message("send_input")
    await client.spoken(0.2)
    assert client.loud() == 0
    await caller.inputs(volume=5)
    heard = await client.hears(0.4)
    assert 3000 < np.abs(heard[-RATE // 5 :]).max() < 5000
    assert [m["type"] for m in client.messages] == ["send_input"], "asked once"


class Reflection(AsyncAudioVideoStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=24000, output_sample_rate=24000, fps=15)

    def copy(self) -> Reflection:
        return Reflection()

    async def start_up(self) -> None:
        self.sounds: asyncio.Queue[Audio] = asyncio.Queue()
        self.pictures: asyncio.Queue[Picture] = asyncio.Queue()

    async def receive(self, frame: Audio) -> None:
        self.sounds.put_nowait(frame)

    async def emit(self) -> Emitted:
        item: Emitted = await wait_for_item(self.sounds)
        return item

    async def video_receive(self, frame: Picture) -> None:
        self.pictures.put_nowait(np.flip(frame, axis=1))

    async def video_emit(self) -> PictureOut:
        return await self.pictures.get()


async def test_audio_video_reflection(stream: MakeStream, peer: MakePeer) -> None:
    client = peer(video="sendrecv")
    client.camera.picture = two_colours(RED, BLUE)
    await client.connect(poster((await stream(Reflection(), modality="audio-video")).slug))
    said = spoken(1)
    client.voice.say(said)
    assert looks_like(await client.sees(8), BLUE, RED)
    await client.hears(1.5)
    assert find(said[RATE // 2 : RATE], np.concatenate(client.heard))[1] > 0.8


async def test_skipping_and_counting_pictures(stream: MakeStream, peer: MakePeer) -> None:
    """The two examples around ``VideoStreamHandler`` in one: a slow function, and one that says its own rate."""

    async def slow(picture: Picture) -> PictureOut:
        await asyncio.sleep(0.2)
        return picture, AdditionalOutputs("one")

    client = peer("mine", audio=None, video="sendrecv")
    client.camera.fps = 30
    await client.connect(poster((await stream(VideoStreamHandler(slow, skip_frames=True), modality="video")).slug))
    client.camera.picture = two_colours(RED, BLUE)
    await client.sees(3)
    client.camera.picture = two_colours(BLUE, RED)
    video = manager._live["mine"].session.video
    assert video is not None
    waiting: list[int] = []
    while not looks_like(client.seen[-1], BLUE, RED):
        await client.sees(1)
        waiting.append(len(video._input))
    assert len(waiting) <= 4, "the newest picture is worked on"
    assert max(waiting) <= 1
