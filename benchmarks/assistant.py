"""How soon the assistant is heard, and whether ten sessions that recognise speech disturb each other's audio."""

import asyncio
import itertools
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.barge_in import cuts, write
from benchmarks.environments import BENCH_DIR
from benchmarks.loads import Details, Plan, Values, load_client, run_client, watch
from benchmarks.processes import Failed
from benchmarks.recordings import load
from benchmarks.systems import System

QUESTIONS_PER_PASS = 8
SESSION_SECONDS = 20
ENOUGH = 0.8  # of the questions must be answered
RECOGNISING_SESSIONS = 10
STEPS = ("pause", "recognition", "text", "synthesis", "rest")


async def measure_assistant(system: System, plan: Plan) -> tuple[Values, Details]:
    """One question in each session, of the recordings' utterances of one to four seconds."""
    recordings = await asyncio.to_thread(load, plan.recordings)
    chosen = cuts(recordings, QUESTIONS_PER_PASS * plan.passes)
    folder = BENCH_DIR / "heard" / system.name / "assistant"
    folder.mkdir(parents=True, exist_ok=True)
    for number, cut in enumerate(chosen):
        write(cut, folder / f"{number}.s16")
    file, out = folder / "plan.json", folder / "results.json"
    async with system.serve("assistant") as server:
        questions = [str(folder / f"{number}.s16") for number in range(len(chosen))]
        url = server.url + system.paths["assistant"]
        file.write_text(json.dumps({"url": url, "out": str(out), "questions": questions}))
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.clients.question_client", file]
        loop = asyncio.get_running_loop()
        started = loop.time()
        used = await run_client(f"{system.name}-assistant-client", command, SESSION_SECONDS * len(chosen))
        elapsed = loop.time() - started
    results = json.loads(out.read_text())
    for result, (recording, start, end) in zip(results, chosen, strict=True):
        result["said"] = (recording.name, start, round(end - start, 2))
    answered = [result | breakdown(result) for result in results if "failed" not in result]
    if len(answered) < ENOUGH * len(chosen):
        raise Failed(f"only {len(answered)} of {len(chosen)} questions were answered after their end")
    delays = [result["delay"] for result in answered]
    values = {"assistant_p50": median(delays), "assistant_p95": float(np.percentile(delays, 95))}
    values |= {f"assistant_{step}": median(result[step] for result in answered) for step in STEPS}
    details: Details = {"answered": answered, "client_core_used": used / elapsed}
    details["not_answered"] = [result for result in results if "failed" in result]
    return values, details


def breakdown(result: dict[str, Any]) -> dict[str, float]:
    """Milliseconds of each step, by the server's own timing; the rest is what the client waited besides."""
    timing = result["timing"]
    moments = [timing["speech_ended"], timing["decided"], *(timing["steps"][name] for name in ("recognised", "worded"))]
    moments.append(timing["first_item"])
    steps = [1000 * (after - before) for before, after in itertools.pairwise(moments)]
    return dict(zip(STEPS, [*steps, result["delay"] - sum(steps)], strict=True))


async def measure_recognising(system: System, plan: Plan) -> tuple[Values, Details]:
    """Live echoes of somebody who speaks without a pause, each of which has all it hears recognised."""
    recordings = await asyncio.to_thread(load, plan.recordings, "person")
    folder = BENCH_DIR / "heard" / system.name
    folder.mkdir(parents=True, exist_ok=True)
    longest = max(recordings, key=lambda recording: recording.seconds)
    file = folder / "talk.s16"
    write((longest, longest.utterances[0][0], longest.utterances[-1][1]), file)
    arguments = (RECOGNISING_SESSIONS, file)
    async with system.serve("recognising") as server:
        url = server.url + system.paths["recognising"]
        async with load_client(system, "recognising", "load_client", url, *arguments) as client:
            await asyncio.sleep(plan.warm_up + 3)
            before = sum((await client.report())["outputs"])
            details = await watch(server, client, plan.cpu_window)
    texts = (sum(details["outputs"]) - before) / plan.cpu_window
    return {"recognising_slowest": min(details["back_per_second"]), "recognising_texts": texts}, details
