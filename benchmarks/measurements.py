"""CPU and answer time under load, and the delay a libwebrtc client hears. Each run has a fresh server."""

import asyncio
import json
import sys
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import chirps
from benchmarks.environments import BENCH_DIR, NODE_DIR
from benchmarks.json_http import post_json
from benchmarks.loads import (
    MIN_ECHO,
    MIN_HEARD,
    PACKETS_PER_SECOND,
    Details,
    Plan,
    Values,
    cpu_ms,
    load_client,
    run_client,
    watch,
)
from benchmarks.processes import CLIENT_CORE, TOP, Failed, free_port, running, wait_for_port
from benchmarks.systems import System

BURST_PACKETS = 45  # of the 50 in the first second


async def measure_load(system: System, path: str, sound: str, plan: Plan) -> Details:
    run = f"{sound}-load"
    async with (
        system.serve(run) as server,
        load_client(system, run, "load_client", server.url + path, plan.sessions, sound) as client,
    ):
        await asyncio.sleep(plan.warm_up)
        return await watch(server, client, plan.cpu_window)


async def measure_idle(system: System, plan: Plan) -> tuple[Values, Details]:
    details = await measure_load(system, system.paths["idle"], "quiet", plan)
    return {"idle_cpu_ms": cpu_ms(details, plan.sessions)}, details


async def measure_live(system: System, plan: Plan) -> tuple[Values, Details]:
    details = await measure_load(system, system.paths["live"], "voice", plan)
    if min(details["back_per_second"]) < MIN_ECHO * PACKETS_PER_SECOND:
        raise Failed(f"not a whole echo: {details['back_per_second']} packets per second came back")
    return {"live_cpu_ms": cpu_ms(details, plan.sessions), "answer_ms": median(details["answer_ms"])}, details


async def measure_delay(system: System, plan: Plan) -> tuple[Values, Details]:
    """A quarter of the sessions each: undisturbed; first second in one burst; one lost packet; random loss."""
    folder = BENCH_DIR / "heard" / system.name
    folder.mkdir(parents=True, exist_ok=True)
    chirps.signal(plan.seconds + 2).tofile(folder / "signal.s16")
    each = max(1, plan.sessions // 4)
    async with system.serve("delay") as server:
        port = free_port()
        log = BENCH_DIR / "log" / f"{system.name}-relay.log"
        relay = [sys.executable, "-m", "benchmarks.relay", str(port), server.url, str(plan.loss_packet)]
        async with running(relay, CLIENT_CORE, log) as process:
            await wait_for_port(process, port, log)
            relayed = f"http://127.0.0.1:{port}"
            bases = {
                "plain": server.url,
                "burst": f"{relayed}/none",
                "one": f"{relayed}/one",
                "random": f"{relayed}/random",
            }
            sessions = [
                {"url": base + system.paths["live"], "burst": kind == "burst", "out": str(folder / f"{kind}-{number}")}
                for number in range(each)
                for kind, base in bases.items()
            ]
            client_cpu = await hear(system, folder, sessions, plan)
            report = await asyncio.to_thread(post_json, f"{relayed}/report", {})
    heard = {kind: [chirps.measure(folder / f"{kind}-{number}") for number in range(each)] for kind in bases}
    details: Details = {
        "notes": [],
        "client_core_used": client_cpu / plan.seconds,
        "relay": report["sessions"],
        "heard": {
            kind: [
                {"missed": missed, "chirps": [(round(c.sent, 3), round(c.delay_ms, 1)) for c in found]}
                for found, missed in results
            ]
            for kind, results in heard.items()
        },
    }
    return delay_values(
        {kind: [found for found, _ in results] for kind, results in heard.items()}, details, plan
    ), details


async def hear(system: System, folder: Path, sessions: list[Details], plan: Plan) -> float:
    """Run the libwebrtc client; its CPU seconds."""
    file = folder / "plan.json"
    file.write_text(
        json.dumps(
            {
                "node_folder": str(NODE_DIR),
                "signal": str(folder / "signal.s16"),
                "seconds": plan.seconds,
                "sessions": sessions,
            }
        )
    )
    script = TOP / "benchmarks" / "clients" / "wrtc_client.mjs"
    return await run_client(f"{system.name}-wrtc", ["node", script, file], plan.seconds + 40)


def delay_values(heard: dict[str, list[list[chirps.Chirp]]], details: Details, plan: Plan) -> Values:
    def delays(kind: str, start: float, end: float) -> list[float]:
        return [c.delay_ms for found in heard[kind] for c in found if start <= c.sent < end]

    values: Values = {}
    for kind, name in (("plain", "delay"), ("burst", "burst_delay")):
        start = plan.excluded + (kind == "burst")  # the burst puts the signal one second ahead
        settled = delays(kind, start, plan.seconds)
        expected = len(heard[kind]) * (plan.seconds - start) * chirps.RATE / chirps.PERIOD
        if len(settled) < MIN_HEARD * expected:
            details["notes"].append(f"{kind}: only {len(settled)} of about {expected:.0f} chirps were heard")
            continue
        bursts = [path["packets_in_burst"] for path in details["relay"] if path["pattern"] == "none"]
        if kind == "burst" and min(bursts) < BURST_PACKETS:
            details["notes"].append(f"the burst did not leave the client as one: {bursts} packets in 100 ms")
            continue
        values[f"{name}_p50"] = float(np.percentile(settled, 50))
        values[f"{name}_p95"] = float(np.percentile(settled, 95))
    for kind in ("one", "random"):
        growth = []
        for found in heard[kind]:
            before = [c.delay_ms for c in found if plan.excluded <= c.sent < plan.loss_start - 0.1]
            first, last = (plan.loss_start + seconds for seconds in plan.after)
            after = [c.delay_ms for c in found if first <= c.sent < last]
            if before and after:
                growth.append(median(after) - median(before))
            else:
                details["notes"].append(f"{kind} loss: no chirp heard before it or 5 s after it")
        if growth:
            values[f"{kind}_loss_growth"] = max(growth, key=abs)
    return values
