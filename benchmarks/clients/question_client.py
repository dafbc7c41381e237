"""Ask recorded questions over WebRTC, each in a session of its own, and write down when the answer was heard.

python -m benchmarks.clients.question_client PLAN

PLAN is a JSON file: {"url", "out", "questions": [file of int16 at 48 kHz that ends with the last word]}. OUT gets a
list of {"delay", "timing"} or {"failed"}: milliseconds from the moment the question's last sample was handed to the
socket until the first audible sample of the answer was heard, and the server's timing of the reply.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clients.speakers import RATE, WebRTCSpeaker

LEAD_SECONDS = 1.5
ANSWER_SECONDS = 5
AUDIBLE = 300  # of 32767


def first_sound(speaker: WebRTCSpeaker) -> float | None:
    for piece in speaker.heard:
        loud = np.flatnonzero(np.abs(piece.samples.astype(np.int32)) > AUDIBLE)
        if loud.size:
            return piece.at + float(loud[0]) / RATE
    return None


def timing_of(speaker: WebRTCSpeaker) -> dict[str, Any] | None:
    """The server's timing of the first reply that was heard."""
    timings = [message["data"] for message in speaker.messages if message["type"] == "timing"]
    return next((timing for timing in timings if timing["first_packet"] is not None), None)


async def ask(url: str, question: str) -> dict[str, Any]:
    speaker = WebRTCSpeaker()
    voice = speaker.voice
    voice.say(voice.quiet(LEAD_SECONDS))
    samples = np.fromfile(question, np.int16)
    end = voice.say(samples) + samples.size
    try:
        await speaker.open(url)
        await voice.said(end + ANSWER_SECONDS * RATE)
    finally:
        await speaker.close()
    sound, timing, ended = first_sound(speaker), timing_of(speaker), voice.time_of(end - 1)
    if sound is None or timing is None:
        return {"failed": "no answer was heard"}
    if sound < ended:
        return {"failed": "it answered before the end"}
    return {"delay": 1000 * (sound - ended), "timing": timing}


async def run(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [await ask(plan["url"], question) for question in plan["questions"]]


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text())
    Path(plan["out"]).write_text(json.dumps(asyncio.run(run(plan))))
