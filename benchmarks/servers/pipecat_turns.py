"""Pipecat, which answers with tones: after 0.2 s of silence, and as its smart-turn model says. Runs in its environment:

python -m benchmarks.servers.pipecat_turns PORT
"""

import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import BackgroundTasks, FastAPI
from loguru import logger
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import Frame, OutputAudioRawFrame, UserStoppedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy, TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_stop.base_user_turn_stop_strategy import BaseUserTurnStopStrategy
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from benchmarks import tones


def silence() -> BaseUserTurnStopStrategy:
    """The voice detector's own 0.2 s, and nothing on top."""
    return SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0, wait_for_transcript=False)


def smart_turn() -> BaseUserTurnStopStrategy:
    """The default, but that nobody transcribes here."""
    return TurnAnalyzerUserTurnStopStrategy(turn_analyzer=LocalSmartTurnAnalyzerV3(), wait_for_transcript=False)


class Answer(FrameProcessor):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and direction is FrameDirection.DOWNSTREAM:
            for rate, samples in tones.reply(self.seconds):
                await self.push_frame(OutputAudioRawFrame(samples.tobytes(), rate, 1))


VARIANTS: dict[str, tuple[Callable[[], BaseUserTurnStopStrategy], float]] = {
    "/silence": (silence, tones.SHORT_SECONDS),
    "/smart": (smart_turn, tones.SHORT_SECONDS),
    "/long": (smart_turn, tones.LONG_SECONDS),
}


async def converse(connection: SmallWebRTCConnection, variant: str) -> None:
    strategy, seconds = VARIANTS[variant]
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    transport = SmallWebRTCTransport(webrtc_connection=connection, params=params)
    strategies = UserTurnStrategies(start=[VADUserTurnStartStrategy()], stop=[strategy()])
    pipeline = Pipeline(
        [
            transport.input(),
            VADProcessor(vad_analyzer=SileroVADAnalyzer()),  # its default: 0.2 s
            UserTurnProcessor(user_turn_strategies=strategies),
            Answer(seconds),
            transport.output(),
        ]
    )
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_out_sample_rate=tones.RATE))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: Any, _client: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


app = FastAPI()


@app.post("/{variant}/offer")
async def offer(variant: str, body: dict[str, str], background: BackgroundTasks) -> dict[str, str]:
    connection = SmallWebRTCConnection()
    await connection.initialize(sdp=body["sdp"], type=body["type"])
    background.add_task(converse, connection, f"/{variant}")
    answer: dict[str, str] = connection.get_answer()
    return answer


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
