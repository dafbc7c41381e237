"""FastRTC's two echoes, as its documentation writes them. Runs in FastRTC's own environment:

python fastrtc_echo.py PORT SILERO_ONNX
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import fastrtc.pause_detection.silero as silero
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastrtc import AsyncStreamHandler, ReplyOnPause, Stream, wait_for_item

Audio = tuple[int, np.ndarray]


def echo(audio: Audio) -> Iterator[Audio]:
    yield audio


class LiveEcho(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=24000)
        self.queue: asyncio.Queue[Audio] = asyncio.Queue()

    async def receive(self, frame: Audio) -> None:
        await self.queue.put(frame)

    async def emit(self) -> Any:
        return await wait_for_item(self.queue)

    def copy(self) -> "LiveEcho":
        return LiveEcho()

    async def start_up(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass


def build_app(weights: str) -> FastAPI:
    silero.SileroVADModel.download_model = staticmethod(lambda: weights)  # the hub may be out of reach
    app = FastAPI()
    for path, handler in (("/pause", ReplyOnPause(echo)), ("/live", LiveEcho())):
        stream = Stream(
            handler,
            modality="audio",
            mode="send-receive",
            concurrency_limit=100,
            server_rtc_configuration={"iceServers": []},
        )
        stream.mount(app, path=path)
    return app


if __name__ == "__main__":
    uvicorn.run(build_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
