"""CPU of the voice detector alone, with more and more listeners in one process."""

import asyncio
import os
import subprocess

import numpy as np

from benchmarks import chirps
from benchmarks.environments import BENCH_DIR
from benchmarks.loads import Details, Plan, Values
from benchmarks.processes import SERVER_CORE, TOP, Failed, last_line
from benchmarks.recordings import load
from benchmarks.systems import System
from benchmarks.turns import RATE, at_rate

LISTENERS = (1, 20, 100)
SECONDS = 9  # whole blocks of 0.6 s
RUN_SECONDS = 120


async def measure_voice_detection(system: System, plan: Plan) -> tuple[Values, Details]:
    folder = BENCH_DIR / "heard"
    folder.mkdir(parents=True, exist_ok=True)
    recordings = await asyncio.to_thread(load, plan.recordings)
    spoken = [
        at_rate(recording.samples[round(start * recording.rate) : round(end * recording.rate)], recording.rate)
        for recording in recordings
        for start, end, _ in recording.utterances
    ]
    np.concatenate(spoken)[: SECONDS * RATE].tofile(folder / "speech.s16")
    chirps.quiet_room(SECONDS).astype(np.int16).tofile(folder / "quiet.s16")
    details: Details = {"client_core_used": 0.0}
    for sound in ("speech", "quiet"):
        costs = [await asyncio.to_thread(cost, system, folder / f"{sound}.s16", count) for count in LISTENERS]
        details[sound] = dict(zip(map(str, LISTENERS), costs, strict=True))
    return {
        f"vad_{count}_ms": max(details[sound][str(count)] for sound in ("speech", "quiet")) for count in LISTENERS
    }, details


def cost(system: System, file: os.PathLike[str], count: int) -> float:
    log = BENCH_DIR / "log" / f"{system.name}-vad.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        done = subprocess.run(
            [*map(str, system.voice_detector), str(file), str(count)],
            cwd=TOP,
            env={**os.environ, **system.env},
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=RUN_SECONDS,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
    if done.returncode:
        raise Failed(f"voice detector: {last_line(log)}")
    return float(done.stdout)
