"""Make a server give a long reply, speak over it, and write down when it was silent.

python -m benchmarks.clients.barge_in_client PLAN

PLAN is a JSON file: {"url", "transport": "webrtc" | "websocket", "question", "out",
"sessions": [{"samples", "start", "after"}]}. "question" and "samples" are files of int16 at 48 kHz; the person speaks
from "start" seconds of the samples on, and begins when "after" seconds of the reply have been heard. OUT gets a list of
{"spoke", "silent_after"} or {"failed"}: how many seconds into the reply the speech began, and how many seconds later
the last of the reply was heard.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tones
from benchmarks.clients.speakers import RATE, SocketSpeaker, WebRTCSpeaker

LEAD_SECONDS = 2  # servers that load their model for each session have it then
ANSWER_SECONDS = 15
SILENT_SECONDS = 1
POLL_SECONDS = 0.05
RECENT = 150  # pieces: at least 3 s

Speaker = WebRTCSpeaker | SocketSpeaker


async def playing(speaker: Speaker, since: float, seconds: float) -> tones.Reply:
    """Wait for a reply that began after `since` and has been going on for so long. Raises TimeoutError."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while True:
            now = time.perf_counter()
            for reply in tones.replies(speaker.heard[-RECENT:])[-1:]:
                if reply.start > since and reply.end > now - 3 * POLL_SECONDS and now - reply.start >= seconds:
                    return reply
            await asyncio.sleep(POLL_SECONDS)


async def silence(speaker: Speaker, reply: tones.Reply) -> tones.Reply:
    """Wait until this reply, or whatever was left of it, has ended for good."""
    while any(  # noqa: ASYNC110 - time has to pass
        tones.pitch_of(piece.samples) == reply.pitch
        for piece in speaker.heard[-RECENT:]
        if piece.at > time.perf_counter() - SILENT_SECONDS
    ):
        await asyncio.sleep(POLL_SECONDS)
    return next(found for found in speaker.replies() if found.pitch == reply.pitch and found.end > reply.start)


async def interrupt(plan: dict[str, Any], session: dict[str, Any]) -> dict[str, Any]:
    speaker = WebRTCSpeaker() if plan["transport"] == "webrtc" else SocketSpeaker()
    voice = speaker.voice
    voice.say(voice.quiet(LEAD_SECONDS))
    question = np.fromfile(plan["question"], np.int16)
    asked = voice.say(question) + question.size
    samples = np.fromfile(session["samples"], np.int16)
    try:
        await speaker.open(plan["url"])
        try:
            await voice.said(asked)
            reply = await playing(speaker, voice.time_of(asked - 1), session["after"])
        except TimeoutError:
            return {"failed": "the question was not answered"}
        place = voice.say(samples)
        await voice.said(place + samples.size)
        reply = await silence(speaker, reply)
        spoke = voice.time_of(place + round(session["start"] * RATE))
        return {"spoke": spoke - reply.start, "silent_after": reply.end - spoke}
    finally:
        await speaker.close()


async def run(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [await interrupt(plan, session) for session in plan["sessions"]]


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text())
    Path(plan["out"]).write_text(json.dumps(asyncio.run(run(plan))))
