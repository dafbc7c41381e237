"""python -m benchmarks: this site beside a bare aiortc echo, FastRTC and Pipecat. See benchmarks/README.md."""

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import Any

from benchmarks import barge_in, report
from benchmarks.assistant import measure_assistant, measure_recognising
from benchmarks.environments import (
    BENCH_DIR,
    fastrtc_installed,
    install_fastrtc,
    install_pipecat,
    need_node,
    pipecat_installed,
)
from benchmarks.loads import FULL, QUICK, Plan, Values
from benchmarks.measurements import measure_delay, measure_idle, measure_live
from benchmarks.pictures import measure_fairness, measure_video
from benchmarks.processes import CLIENT_CORE, Failed
from benchmarks.sockets import measure_binary, measure_idle_socket, measure_large, measure_socket
from benchmarks.systems import SYSTEMS, System
from benchmarks.telephone import measure_line, measure_many, measure_quiet, measure_telephone
from benchmarks.turns import measure_turns
from benchmarks.voice_detection import measure_voice_detection

RUNS = {
    "idle": measure_idle,
    "live": measure_live,
    "delay": measure_delay,
    "socket": measure_socket,
    "socket-large": measure_large,
    "socket-binary": measure_binary,
    "socket-idle": measure_idle_socket,
    "telephone": measure_telephone,
    "telephone-line": measure_line,
    "telephone-quiet": measure_quiet,
    "telephone-many": measure_many,
    "video": measure_video,
    "fairness": measure_fairness,
    "turns": measure_turns,
    "barge-in": barge_in.measure_webrtc,
    "barge-in-socket": barge_in.measure_socket,
    "vad": measure_voice_detection,
    "assistant": measure_assistant,
    "recognising": measure_recognising,
}
RUN_SECONDS = {"turns": 3600, "barge-in": 900, "barge-in-socket": 900, "assistant": 900}
OTHER_RUN_SECONDS = 180
BUSY = 0.5
GROUPS = {  # what --rows takes → runs
    "idle": ("idle",),
    "live": ("live",),
    "cpu": ("idle", "live"),
    "answer": ("live",),
    "delay": ("delay",),
    "loss": ("delay",),
    "websocket": ("socket", "socket-large", "socket-binary", "socket-idle"),
    "telephone": ("telephone", "telephone-line", "telephone-quiet", "telephone-many"),
    "video": ("video",),
    "fairness": ("fairness",),
    "turns": ("turns",),
    "barge-in": ("barge-in", "barge-in-socket"),
    "vad": ("vad",),
    "assistant": ("assistant",),
    "recognising": ("recognising",),
}


def chosen(text: str, allowed: list[str]) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in allowed]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(allowed)}")
    return names


def parse() -> argparse.Namespace:
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: fewer sessions, shorter, no FastRTC")
    parser.add_argument("--only", type=lambda text: chosen(text, names), help="systems, e.g. ours,aiortc")
    parser.add_argument("--rows", type=lambda text: chosen(text, list(GROUPS)), help=f"of {','.join(GROUPS)}")
    parser.add_argument("--with-fastrtc", action="store_true", help="install FastRTC in its own environment first")
    parser.add_argument("--with-pipecat", action="store_true", help="install Pipecat in its own environment first")
    parser.add_argument("--recordings", choices=("tune", "report"), default="report", help="which set to converse with")
    parser.add_argument("--passes", type=int, help="through the recordings")
    return parser.parse_args()


def systems_for(options: argparse.Namespace, runs: list[str]) -> list[System]:
    absent = {"fastrtc"} if options.quick or not fastrtc_installed() else set()
    absent |= {"pipecat", "pipecat-silence"} if options.quick or not pipecat_installed() else set()

    def wanted(system: System) -> bool:
        if options.only:
            return system.name in options.only
        return system.name not in absent

    return [system for system in SYSTEMS if wanted(system) and any(map(system.can, runs))]


async def measure(system: System, runs: list[str], plan: Plan, notes: list[str]) -> tuple[Values, dict[str, Any]]:
    values: Values = {}
    details: dict[str, Any] = {}
    try:
        await asyncio.to_thread(system.prepare)
    except Failed as error:
        notes.append(f"{system.name}: {error}")
        return values, details
    for run in runs:
        if not system.can(run):
            continue
        print(f"{system.name}: {run} …", file=sys.stderr, flush=True)
        try:
            found, details[run] = await asyncio.wait_for(
                RUNS[run](system, plan), RUN_SECONDS.get(run, OTHER_RUN_SECONDS)
            )
            values |= found
            notes += [f"{system.name}: {note}" for note in details[run].get("notes", [])]
            if (used := details[run]["client_core_used"]) > 0.8:
                notes.append(f"{system.name}: the clients used {used:.0%} of their core ({run})")
        except (Failed, TimeoutError, RuntimeError, OSError) as error:
            notes.append(f"{system.name}: {run}: {error or type(error).__name__}")
    return values, details


async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
    options = parse()
    plan = replace(QUICK if options.quick else FULL, recordings=options.recordings)
    if options.passes:
        plan = replace(plan, passes=options.passes)
    os.sched_setaffinity(0, {CLIENT_CORE})
    if options.with_fastrtc and not fastrtc_installed():
        install_fastrtc()
    if options.with_pipecat and not pipecat_installed():
        install_pipecat()
    runs = [run for run in RUNS if not options.rows or any(run in GROUPS[row] for row in options.rows)]
    notes: list[str] = []
    if (load := os.getloadavg()[0]) > BUSY:
        notes.append(f"the machine was busy before the start (load {load:.1f}): take the figures with care")
    if "delay" in runs:
        try:
            need_node()
        except Failed as error:
            notes.append(str(error))
            runs.remove("delay")
    systems = systems_for(options, runs)
    results: dict[str, Values] = {}
    details = {}
    for system in systems:
        results[system.name], details[system.name] = await measure(system, runs, plan, notes)
    print(report.conditions(plan))
    for part in (report.ECHO_ROWS, report.CONVERSATION_ROWS):
        rows = [row for row in part if row.run in runs]
        names = [system.name for system in systems if any(system.can(row.run) for row in rows)]
        if names:
            print("", report.table(results, rows, names), sep="\n")
    if notes:
        print("", *notes, sep="\n")
    file = BENCH_DIR / "results.json"
    report.save(file, results, details, notes, plan)
    print(f"\nall of it: {file}", file=sys.stderr)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped before the end; nothing is left running")
    except Failed as error:
        sys.exit(str(error))
