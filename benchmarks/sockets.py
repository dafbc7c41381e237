"""WebSocket echo: its delay and CPU, and what a session costs in which nobody speaks."""

import asyncio
import time
from statistics import median

import numpy as np

from benchmarks import chirps
from benchmarks.clients.socket_client import messages, period
from benchmarks.environments import BENCH_DIR
from benchmarks.loads import MIN_ECHO, MIN_HEARD, PACKETS_PER_SECOND, Details, Plan, Values, cpu_ms, load_client, watch
from benchmarks.processes import Failed
from benchmarks.systems import System
from streams.media.transports.websocket import parse

MICROPHONE = 960  # samples in a chunk: 20 ms
JAVASCRIPT = 2048  # what FastRTC's JavaScript sends, 43 ms
HELD_UP_MS = 100


async def measure_load(
    system: System, run: str, encoding: str, size: int, sound: str, plan: Plan, seconds: float
) -> Details:
    folder = BENCH_DIR / "heard" / system.name / run
    folder.mkdir(parents=True, exist_ok=True)
    async with system.serve(run) as server:
        url = server.url.replace("http", "ws", 1) + system.paths[run]
        arguments = (url, plan.sessions, encoding, size, sound, folder)
        async with load_client(system, f"{run}-{sound}", "socket_client", *arguments) as client:
            await asyncio.sleep(plan.warm_up)
            details = await watch(server, client, seconds)
    details["cpu_ms"] = cpu_ms(details, plan.sessions)
    if (late := details["worst_send_lateness_ms"]) > HELD_UP_MS:
        details["notes"] = [f"{run}: the machine held the client up for {late:.0f} ms: do not trust the figures"]
    return details


async def measure_echo(system: System, run: str, encoding: str, size: int, plan: Plan) -> tuple[Values, Details]:
    details = await measure_load(system, run, encoding, size, "chirps", plan, plan.cpu_window)
    if min(details["back"]) < MIN_ECHO:
        raise Failed(f"not a whole echo: {details['back']} seconds of audio per second came back")
    folder = BENCH_DIR / "heard" / system.name / run
    heard = [chirps.measure(folder / str(number), period(size)) for number in range(plan.sessions)]
    delays = [[chirp.delay_ms for chirp in found if chirp.sent >= plan.excluded] for found, _ in heard]
    details["delays"] = [[round(delay, 1) for delay in session] for session in delays]
    details["missed"] = [missed for _, missed in heard]
    expected = (plan.warm_up + plan.cpu_window - plan.excluded) * chirps.RATE / period(size)
    if min(map(len, delays)) < MIN_HEARD * expected - 2:  # the first and the last may be cut
        raise Failed(f"too few of the chirps came back: {[len(session) for session in delays]}")
    every = np.concatenate(delays)
    name = run.replace("-", "_")
    return {
        f"{name}_delay_p50": float(np.percentile(every, 50)),
        f"{name}_delay_p95": float(np.percentile(every, 95)),
        f"{name}_cpu_ms": details["cpu_ms"],
    }, details


async def measure_socket(system: System, plan: Plan) -> tuple[Values, Details]:
    return await measure_echo(system, "socket", "mulaw", MICROPHONE, plan)


async def measure_large(system: System, plan: Plan) -> tuple[Values, Details]:
    return await measure_echo(system, "socket-large", "mulaw", JAVASCRIPT, plan)


async def measure_binary(system: System, plan: Plan) -> tuple[Values, Details]:
    return await measure_echo(system, "socket-binary", "pcm16", MICROPHONE, plan)


async def measure_idle_socket(system: System, plan: Plan) -> tuple[Values, Details]:
    quiet = await measure_load(system, "socket-idle", "mulaw", MICROPHONE, "quiet", plan, plan.idle_seconds)
    nothing = await measure_load(system, "socket-idle", "mulaw", MICROPHONE, "nothing", plan, plan.cpu_window)
    details: Details = {"quiet": quiet, "nothing": nothing, "client_core_used": quiet["client_core_used"]}
    details["notes"] = quiet.get("notes", [])
    return {
        "socket_quiet_cpu_ms": quiet["cpu_ms"],
        "socket_decoding_ms": await asyncio.to_thread(decoding_ms),
        "socket_nothing_cpu_ms": nothing["cpu_ms"],
        "socket_quiet_memory": quiet["server_growth_mb"] / plan.sessions / plan.idle_seconds * 60,
        "socket_quiet_pong_ms": median(quiet["pong_ms"]),
    }, details


def decoding_ms() -> float:
    """CPU to understand one second of the quiet session's messages: JSON, base64, mu-law."""
    texts = [text for text in messages("mulaw", MICROPHONE, "quiet") if isinstance(text, str)]
    rounds, started = 10, time.process_time()
    for _ in range(rounds):
        for text in texts:
            parse(text)
    return (time.process_time() - started) / rounds / len(texts) * PACKETS_PER_SECOND * 1000
