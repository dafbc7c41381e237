"""FastRTC's echoes, as its documentation writes them, what disturbs others, and answers. Runs in its own environment:

python -m benchmarks.servers.fastrtc_echo PORT SILERO_ONNX
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import fastrtc.pause_detection.silero as silero
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastrtc import AsyncStreamHandler, ReplyOnPause, Stream, StreamHandler, wait_for_item

from benchmarks import tones

Audio = tuple[int, np.ndarray]


def echo(audio: Audio) -> Iterator[Audio]:
    yield audio


def answer(_audio: Audio) -> Iterator[Audio]:
    yield from tones.reply(tones.SHORT_SECONDS)


def long_answer(_audio: Audio) -> Iterator[Audio]:
    yield from tones.reply(tones.LONG_SECONDS)


class LiveEcho(AsyncStreamHandler):
    def __init__(self, rate: int = 24000) -> None:
        super().__init__(input_sample_rate=rate, output_sample_rate=rate)
        self.queue: asyncio.Queue[Audio] = asyncio.Queue()

    async def receive(self, frame: Audio) -> None:
        await self.queue.put(frame)

    async def emit(self) -> Any:
        return await wait_for_item(self.queue)

    def copy(self) -> "LiveEcho":
        return LiveEcho(self.input_sample_rate)

    async def start_up(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass


class Blocked(StreamHandler):
    def receive(self, frame: Audio) -> None:
        return

    def emit(self) -> None:
        time.sleep(3)

    def copy(self) -> "Blocked":
        return Blocked()


def video_echo(picture: np.ndarray) -> np.ndarray:
    return picture


def slow_video(picture: np.ndarray) -> np.ndarray:
    time.sleep(0.1)
    return picture


HANDLERS = (
    ("/pause", "audio", lambda: ReplyOnPause(echo)),
    ("/turns", "audio", lambda: ReplyOnPause(answer)),
    ("/barge-in", "audio", lambda: ReplyOnPause(long_answer)),
    ("/live", "audio", LiveEcho),
    ("/socket", "audio", lambda: LiveEcho(48000)),  # the rate that the other system has on its socket
    ("/line", "audio", lambda: LiveEcho(8000)),
    ("/blocked", "audio", Blocked),
    ("/video", "video", lambda: video_echo),
    ("/slow-video", "video", lambda: slow_video),
)


def build_app(weights: str) -> FastAPI:
    silero.SileroVADModel.download_model = staticmethod(lambda: weights)  # the hub may be out of reach
    app = FastAPI()
    streams = []
    for path, modality, handler in HANDLERS:
        stream = Stream(
            handler(),
            modality=modality,
            mode="send-receive",
            concurrency_limit=100,
            server_rtc_configuration={"iceServers": []},
        )
        stream.mount(app, path=path)
        streams.append(stream)

    @app.post("/input")
    async def set_input(body: dict[str, str]) -> dict[str, str]:
        for stream in streams:
            stream.set_input(body["webrtc_id"], None)  # the first one is replaced by the picture
        return {"status": "success"}

    return app


if __name__ == "__main__":
    uvicorn.run(build_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
