"""python -m benchmarks: this site beside a bare aiortc echo and FastRTC. See benchmarks/README.md."""

import argparse
import asyncio
import os
import signal
import sys
from typing import Any

from benchmarks import report
from benchmarks.environments import BENCH_DIR, fastrtc_installed, install_fastrtc, need_node
from benchmarks.loads import FULL, QUICK, Plan, Values
from benchmarks.measurements import measure_delay, measure_idle, measure_live
from benchmarks.pictures import measure_fairness, measure_video
from benchmarks.processes import CLIENT_CORE, Failed
from benchmarks.sockets import measure_binary, measure_idle_socket, measure_large, measure_socket
from benchmarks.systems import SYSTEMS, System

RUNS = {
    "idle": measure_idle,
    "live": measure_live,
    "delay": measure_delay,
    "socket": measure_socket,
    "socket-large": measure_large,
    "socket-binary": measure_binary,
    "socket-idle": measure_idle_socket,
    "video": measure_video,
    "fairness": measure_fairness,
}
NEEDS = {"delay": "live", "fairness": "slow-video"}  # paths of a system, where they are not named as the run
RUN_SECONDS = 180
BUSY = 0.5
GROUPS = {  # what --rows takes → runs
    "idle": ("idle",),
    "live": ("live",),
    "cpu": ("idle", "live"),
    "answer": ("live",),
    "delay": ("delay",),
    "loss": ("delay",),
    "websocket": ("socket", "socket-large", "socket-binary", "socket-idle"),
    "video": ("video",),
    "fairness": ("fairness",),
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
    return parser.parse_args()


def systems_for(options: argparse.Namespace) -> list[System]:
    def wanted(system: System) -> bool:
        if options.only:
            return system.name in options.only
        return system.name != "fastrtc" or (fastrtc_installed() and not options.quick)

    return [system for system in SYSTEMS if wanted(system)]


async def measure(system: System, runs: list[str], plan: Plan, notes: list[str]) -> tuple[Values, dict[str, Any]]:
    values: Values = {}
    details: dict[str, Any] = {}
    try:
        await asyncio.to_thread(system.prepare)
    except Failed as error:
        notes.append(f"{system.name}: {error}")
        return values, details
    for run in runs:
        if NEEDS.get(run, run) not in system.paths:
            continue
        print(f"{system.name}: {run} …", file=sys.stderr, flush=True)
        try:
            found, details[run] = await asyncio.wait_for(RUNS[run](system, plan), RUN_SECONDS)
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
    plan = QUICK if options.quick else FULL
    os.sched_setaffinity(0, {CLIENT_CORE})
    if options.with_fastrtc and not fastrtc_installed():
        install_fastrtc()
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
    systems = systems_for(options)
    results: dict[str, Values] = {}
    details = {}
    for system in systems:
        results[system.name], details[system.name] = await measure(system, runs, plan, notes)
    rows = [row for row in report.ROWS if row.run in runs]
    print(report.conditions(plan), report.table(results, rows, [system.name for system in systems]), sep="\n\n")
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
