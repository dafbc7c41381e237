"""Say recordings over WebRTC, each in a session of its own, and write down when replies to them were heard.

python -m benchmarks.clients.turn_client PLAN

PLAN is a JSON file: {"url", "at_once", "sessions": [{"samples", "lead", "tail", "id", "out"}]}. "samples" is a file of
int16 at 48 kHz; it is said after "lead" seconds of a quiet room and followed by "tail" seconds of it. OUT.json gets
"sent_at", "began" (the place of the recording in what was sent) and "replies"; OUT-sent.s16 what a decoder makes of the
packets that were sent.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clients.speakers import LOOK_AHEAD, RATE, WebRTCSpeaker


async def say(url: str, session: dict[str, Any]) -> tuple[WebRTCSpeaker, int]:
    """The speaker, when all has been said, and the place where the recording began."""
    speaker = WebRTCSpeaker(session["id"])
    voice = speaker.voice
    voice.say(voice.quiet(session["lead"]))
    began = voice.say(np.fromfile(session["samples"], np.int16))
    end = voice.say(voice.quiet(session["tail"]))
    try:
        await speaker.open(url)
        await voice.said(end + round(session["tail"] * RATE))
    finally:
        await speaker.close()
    return speaker, began


def save(speaker: WebRTCSpeaker, began: int, out: str) -> None:
    voice = speaker.voice
    np.concatenate(speaker.microphone.sent).tofile(f"{out}-sent.s16")
    np.concatenate([piece.samples for piece in speaker.heard] or [np.zeros(0, np.int16)]).tofile(f"{out}-heard.s16")
    notes = {
        "sent_at": voice.sent_at,
        "began": began,
        "delayed": LOOK_AHEAD,
        "heard_at": [(piece.at, piece.samples.size) for piece in speaker.heard],
        "replies": [vars(reply) for reply in speaker.replies()],
        "worst_send_lateness_ms": round(voice.worst_lateness * 1000, 1),
    }
    Path(f"{out}.json").write_text(json.dumps(notes))


async def run(plan: dict[str, Any]) -> None:
    free = asyncio.Semaphore(plan["at_once"])

    async def one(session: dict[str, Any]) -> tuple[WebRTCSpeaker, int]:
        async with free:
            return await say(plan["url"], session)

    async with asyncio.TaskGroup() as tasks:
        sessions = {session["out"]: tasks.create_task(one(session)) for session in plan["sessions"]}
    for out, task in sessions.items():  # not before all have spoken: it would hold the others up
        save(*task.result(), out)


if __name__ == "__main__":
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text())))
