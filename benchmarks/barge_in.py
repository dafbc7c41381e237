"""How long a reply goes on after somebody has begun to speak over it."""

import asyncio
import json
import sys
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.environments import BENCH_DIR
from benchmarks.loads import Details, Plan, Values, run_client
from benchmarks.processes import Failed
from benchmarks.recordings import Recording, load
from benchmarks.systems import System
from benchmarks.turns import at_rate

SHORTEST, LONGEST = 1.0, 4.0  # seconds an interrupter speaks
BEFORE_SECONDS = 0.1  # of the recording, before the first word
AFTER_SECONDS = 1.5  # into the reply
STEP_SECONDS = 0.07  # so that interruptions begin at different places in blocks and packets
SESSION_SECONDS = 40
ENOUGH = 0.8  # of the interruptions must be measured

Cut = tuple[Recording, float, float]


def cuts(recordings: list[Recording], most: int) -> list[Cut]:
    """Utterances of a length to interrupt with, of as many recordings as there are."""
    fitting = [
        [(recording, start, end) for start, end, _ in recording.utterances if SHORTEST <= end - start <= LONGEST]
        for recording in recordings
    ]
    turns = [found[number] for number in range(max(map(len, fitting))) for found in fitting if number < len(found)]
    return turns[:most]


def write(cut: Cut, file: Path) -> float:
    """Save the utterance at RATE; how many seconds before its first word the file begins."""
    recording, start, end = cut
    before = min(BEFORE_SECONDS, start)
    first, last = round((start - before) * recording.rate), round(end * recording.rate)
    at_rate(recording.samples[first:last], recording.rate).tofile(file)
    return before


async def measure_barge_in(system: System, run: str, transport: str, plan: Plan) -> tuple[Values, Details]:
    recordings = await asyncio.to_thread(load, plan.recordings)
    chosen = cuts(recordings, plan.barge_ins + 1)
    question = min(chosen, key=lambda cut: cut[2] - cut[1])  # not long enough to be cut into
    chosen.remove(question)
    folder = BENCH_DIR / "heard" / system.name / run
    folder.mkdir(parents=True, exist_ok=True)
    write(question, folder / "question.s16")
    sessions = [
        {
            "samples": str(folder / f"{number}.s16"),
            "start": write(cut, folder / f"{number}.s16"),
            "after": AFTER_SECONDS + number * STEP_SECONDS,
        }
        for number, cut in enumerate(chosen)
    ]
    file, out = folder / "plan.json", folder / "results.json"
    async with system.serve(run) as server:
        content = {"url": server.url + system.paths[run], "transport": transport, "out": str(out)}
        file.write_text(json.dumps({**content, "question": str(folder / "question.s16"), "sessions": sessions}))
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.clients.barge_in_client", file]
        loop = asyncio.get_running_loop()
        started = loop.time()
        used = await run_client(f"{system.name}-{run}-client", command, SESSION_SECONDS * len(sessions))
        elapsed = loop.time() - started
    results = json.loads(out.read_text())
    silent = [result["silent_after"] * 1000 for result in results if "failed" not in result]
    if len(silent) < ENOUGH * len(sessions):
        raise Failed(f"only {len(silent)} of {len(sessions)} replies could be interrupted")
    spoken = [(recording.name, start, round(end - start, 2)) for recording, start, end in chosen]
    details: Details = {"results": results, "spoken": spoken, "client_core_used": used / elapsed}
    name = run.replace("-", "_")
    return {f"{name}_p50": median(silent), f"{name}_worst": float(np.max(silent))}, details


async def measure_webrtc(system: System, plan: Plan) -> tuple[Values, Details]:
    return await measure_barge_in(system, "barge-in", "webrtc", plan)


async def measure_socket(system: System, plan: Plan) -> tuple[Values, Details]:
    return await measure_barge_in(system, "barge-in-socket", "websocket", plan)
