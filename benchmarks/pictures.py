"""Video echo per core, and whether one slow session harms the others."""

import asyncio

from benchmarks.clients.video_packets import FPS
from benchmarks.loads import MIN_ECHO, Client, Details, Plan, Values, load_client, watch
from benchmarks.systems import Server, System

VIDEO_SESSIONS = 1
BLOCKED_SESSIONS = 6
BLOCKED_SECONDS = 3


def input_hook(system: System, server: Server) -> list[str]:
    return [server.url + system.paths["input"]] if "input" in system.paths else []


async def measure_video(system: System, plan: Plan) -> tuple[Values, Details]:
    async with system.serve("video") as server:
        arguments = (server.url + system.paths["video"], VIDEO_SESSIONS, "video", *input_hook(system, server))
        async with load_client(system, "video", "load_client", *arguments) as client:
            await asyncio.sleep(plan.warm_up)
            details = await watch(server, client, plan.cpu_window)
    back: float = sum(details["back_per_second"])
    if back < MIN_ECHO * FPS * VIDEO_SESSIONS:
        details["notes"] = [f"only {back:.1f} of {FPS * VIDEO_SESSIONS} frames per second came back"]
    return {"video_frames": back / details["server_core_used"]}, details


async def measure_fairness(system: System, plan: Plan) -> tuple[Values, Details]:
    """Frames per second of one live audio echo: alone, beside a slow video function, beside blocked audio handlers."""
    details: Details = {}
    for name, media, count in (("slow-video", "video", 1), ("blocked", "voice", BLOCKED_SESSIONS)):
        async with system.serve(f"fair-{name}") as server:
            listener = (server.url + system.paths["live"], 1, "voice")
            hook = input_hook(system, server) if media == "video" else ()
            others = (server.url + system.paths[name], count, media, *hook)
            async with load_client(system, f"fair-{name}-listener", "load_client", *listener) as client:
                await asyncio.sleep(plan.warm_up)
                details["alone"] = await frames(server, client, plan)
                async with load_client(system, f"fair-{name}", "load_client", *others):
                    await asyncio.sleep(plan.warm_up)
                    details[name] = await frames(server, client, plan)
    values = {f"fair_{name.replace('-', '_')}": found["back_per_second"][0] for name, found in details.items()}
    return values, details | {"client_core_used": max(found["client_core_used"] for found in details.values())}


async def frames(server: Server, client: Client, plan: Plan) -> Details:
    return await watch(server, client, max(plan.cpu_window, 2 * BLOCKED_SECONDS))
