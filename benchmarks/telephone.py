"""Telephone echo: its delay and CPU, a call in which nobody speaks, and a hundred calls on one core."""

import asyncio
from typing import Literal

import numpy as np

from benchmarks import chirps
from benchmarks.environments import BENCH_DIR
from benchmarks.loads import MIN_ECHO, MIN_HEARD, Details, Plan, Values, cpu_ms, load_client, watch
from benchmarks.processes import Failed
from benchmarks.systems import System

HELD_UP_MS = 100


async def measure_calls(
    system: System, run: str, sound: Literal["chirps", "quiet"], calls: int, plan: Plan, *folder: object
) -> Details:
    async with system.serve(run) as server:
        url = server.url + system.paths[run]
        if url.endswith("/handler"):  # the socket itself; FastRTC's webhook says wss and leaves the port out
            url = url.replace("http", "ws", 1)
        arguments = (url, calls, sound, *folder)
        async with load_client(system, run, "telephone_client", *arguments) as client:
            await asyncio.sleep(plan.warm_up)
            details = await watch(server, client, plan.cpu_window)
    details["cpu_ms"] = cpu_ms(details, calls)
    if (late := details["worst_send_lateness_ms"]) > HELD_UP_MS:
        details["notes"] = [f"{run}: the machine held the client up for {late:.0f} ms: do not trust the figures"]
    return details


async def measure_telephone(system: System, plan: Plan) -> tuple[Values, Details]:
    folder = BENCH_DIR / "heard" / system.name / "telephone"
    folder.mkdir(parents=True, exist_ok=True)
    details = await measure_calls(system, "telephone", "chirps", plan.sessions, plan, folder)
    if min(details["back"]) < MIN_ECHO:
        raise Failed(f"not a whole echo: {details['back']} seconds of audio per second came back")
    heard = [chirps.measure(folder / str(number)) for number in range(plan.sessions)]
    delays = [[chirp.delay_ms for chirp in found if chirp.sent >= plan.excluded] for found, _ in heard]
    details["delays"] = [[round(delay, 1) for delay in call] for call in delays]
    details["missed"] = [missed for _, missed in heard]
    expected = (plan.warm_up + plan.cpu_window - plan.excluded) * chirps.RATE / chirps.PERIOD
    if min(map(len, delays)) < MIN_HEARD * expected - 2:  # the first and the last may be cut
        raise Failed(f"too few of the chirps came back: {[len(call) for call in delays]}")
    every = np.concatenate(delays)
    return {
        "telephone_delay_p50": float(np.percentile(every, 50)),
        "telephone_delay_p95": float(np.percentile(every, 95)),
        "telephone_cpu_ms": details["cpu_ms"],
    }, details


async def measure_line(system: System, plan: Plan) -> tuple[Values, Details]:
    details = await measure_calls(system, "telephone-line", "chirps", plan.sessions, plan)
    if min(details["back"]) < MIN_ECHO:
        raise Failed(f"not a whole echo: {details['back']} seconds of audio per second came back")
    return {"telephone_line_cpu_ms": details["cpu_ms"]}, details


async def measure_quiet(system: System, plan: Plan) -> tuple[Values, Details]:
    details = await measure_calls(system, "telephone-quiet", "quiet", plan.sessions, plan)
    return {"telephone_quiet_cpu_ms": details["cpu_ms"]}, details


async def measure_many(system: System, plan: Plan) -> tuple[Values, Details]:
    details = await measure_calls(system, "telephone-many", "chirps", plan.calls, plan)
    return {
        "telephone_many_late_p50": details["late_ms"]["50"],
        "telephone_many_late_p99": details["late_ms"]["99"],
        "telephone_many_lost": max(100 * (1 - details["frames_back"] / details["frames_sent"]), 0.0),
        "telephone_many_core": 100 * details["server_core_used"],
    }, details
