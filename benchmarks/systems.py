"""The servers that are compared."""

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environments import (
    BENCH_DIR,
    FASTRTC_PYTHON,
    FASTRTC_WEIGHTS,
    PIPECAT_PYTHON,
    SITE_ENV,
    fastrtc_installed,
    pipecat_installed,
    prepare_site,
)
from benchmarks.processes import SERVER_CORE, Failed, free_port, running, wait_for_port

NEEDS = {"delay": "live", "fairness": "slow-video"}  # paths of a system, where they are not named as the run


@dataclass(frozen=True)
class Server:
    url: str
    pid: int


@dataclass(frozen=True)
class System:
    name: str
    command: Callable[[int], Sequence[str | Path]]
    paths: Mapping[str, str]  # by run; see README.md for what answers there
    prepare: Callable[[], None]
    env: dict[str, str] = field(default_factory=dict)
    voice_detector: Sequence[str | Path] = ()  # a command that takes a file and a number of listeners
    at_once: int = 2  # conversations, so that its core is far from full
    keeps_utterances: bool = False  # in environments.UTTERANCES, for lost onsets

    def can(self, run: str) -> bool:
        if run == "vad":
            return bool(self.voice_detector)
        return NEEDS.get(run, run) in self.paths

    @asynccontextmanager
    async def serve(self, run: str) -> AsyncIterator[Server]:
        port, log = free_port(), BENCH_DIR / "log" / f"{self.name}-{run}.log"
        async with running(self.command(port), SERVER_CORE, log, self.env) as process:
            await wait_for_port(process, port, log)
            yield Server(f"http://127.0.0.1:{port}", process.pid)


def prepare_fastrtc() -> None:
    if not fastrtc_installed():
        raise Failed("not installed (--with-fastrtc installs it)")


def prepare_pipecat() -> None:
    if not pipecat_installed():
        raise Failed("not installed (--with-pipecat installs it)")


SYSTEMS = (
    System(
        "ours",
        lambda port: [
            *(sys.executable, "-m", "daphne"),
            *("-b", "127.0.0.1", "-p", str(port), "rtcproject.asgi:application"),
        ],
        {
            "idle": "/api/streams/echo/webrtc/offer",
            "live": "/api/streams/echo-live/webrtc/offer",
            "socket": "/api/streams/echo-live/websocket/offer",
            "socket-large": "/api/streams/echo-live/websocket/offer",
            "socket-binary": "/api/streams/echo-live/websocket/offer",
            "socket-idle": "/api/streams/echo/websocket/offer",
            "telephone": "/api/streams/echo-live/telephone/twilio/incoming",
            "telephone-line": "/api/streams/line-echo/telephone/twilio/incoming",
            "telephone-quiet": "/api/streams/echo/telephone/twilio/incoming",
            "telephone-many": "/api/streams/echo-for-many/telephone/twilio/incoming",
            "video": "/api/streams/video-echo/webrtc/offer",
            "slow-video": "/api/streams/slow-video/webrtc/offer",
            "blocked": "/api/streams/blocked/webrtc/offer",
            "turns": "/api/streams/turns/webrtc/offer",
            "barge-in": "/api/streams/barge-in/webrtc/offer",
            "barge-in-socket": "/api/streams/barge-in/websocket/offer",
            "assistant": "/api/streams/assistant-without-greeting/webrtc/offer",
            "recognising": "/api/streams/recognising/webrtc/offer",
        },
        prepare_site,
        SITE_ENV,
        voice_detector=[sys.executable, "-m", "benchmarks.clients.vad_cost"],
        keeps_utterances=True,
    ),
    System(
        "aiortc",
        lambda port: [sys.executable, "-m", "benchmarks.servers.aiortc_echo", str(port)],
        {"live": "/offer", "video": "/offer"},
        lambda: None,
    ),
    System(
        "fastrtc",
        lambda port: [FASTRTC_PYTHON, "-m", "benchmarks.servers.fastrtc_echo", str(port), FASTRTC_WEIGHTS],
        {
            "idle": "/pause/webrtc/offer",
            "live": "/live/webrtc/offer",
            "socket": "/socket/websocket/offer",
            "socket-large": "/socket/websocket/offer",
            "socket-idle": "/pause/websocket/offer",
            "telephone": "/socket/telephone/handler",
            "telephone-line": "/line/telephone/handler",
            "telephone-quiet": "/pause/telephone/handler",
            "telephone-many": "/socket/telephone/handler",
            "video": "/video/webrtc/offer",
            "slow-video": "/slow-video/webrtc/offer",
            "blocked": "/blocked/webrtc/offer",
            "turns": "/turns/webrtc/offer",
            "barge-in": "/barge-in/webrtc/offer",
            "barge-in-socket": "/barge-in/websocket/offer",
            "input": "/input",
        },
        prepare_fastrtc,
        voice_detector=[FASTRTC_PYTHON, "-m", "benchmarks.servers.fastrtc_vad", FASTRTC_WEIGHTS],
        at_once=1,
    ),
    System(
        "pipecat",
        lambda port: [PIPECAT_PYTHON, "-m", "benchmarks.servers.pipecat_turns", str(port)],
        {"turns": "/smart/offer", "barge-in": "/long/offer"},
        prepare_pipecat,
    ),
    System(
        "pipecat-silence",
        lambda port: [PIPECAT_PYTHON, "-m", "benchmarks.servers.pipecat_turns", str(port)],
        {"turns": "/silence/offer"},
        prepare_pipecat,
    ),
)
