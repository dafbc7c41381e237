"""A conversation with the assistant of the real site: real voices, real ears, a telephone line in between."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any
from urllib.request import urlopen

import numpy as np

from streams.assistant import GREETING
from streams.media.audio import Samples
from streams.media.speech.recognition import get_stt_model
from streams.responders import ABILITIES
from telephony.management.commands.simulate_call import spoken
from telephony.media_streams import RATE
from telephony.simulator import Caller, TwilioSide
from telephony.simulator.caller import LOUD
from tests.site.server import Site
from tests.telephony.conftest import AUTH_TOKEN


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def alike(text: str, other: str) -> float:
    """Words that both have in the same order, of those of the longer: 1.0 is the same."""
    a, b = words(text), words(other)
    common = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            common[i + 1][j + 1] = common[i][j] + 1 if x == y else max(common[i][j + 1], common[i + 1][j])
    return common[-1][-1] / max(len(a), len(b), 1)


def recognised(samples: Samples) -> str:
    return get_stt_model("moonshine/tiny").stt((RATE, samples))


def silent_after(caller: Caller, began: float, voice: Samples) -> float:
    """Seconds from the first sound of what the caller says to the last one of what was being said to them."""
    onset = round(began * RATE) + int(np.flatnonzero(np.abs(voice) > LOUD)[0])
    heard = caller.heard[onset : onset + round(0.8 * RATE)]
    loud = np.flatnonzero(np.abs(heard) > LOUD)
    return (int(loud[-1]) + 1) / RATE if loud.size else 0.0


async def chats(site: Site) -> list[list[dict[str, str]]]:
    """The transcripts of the calls there are."""

    def ask() -> Any:
        with urlopen(f"{site.url}/test/chats") as answer:
            return json.load(answer)

    return list((await asyncio.to_thread(ask)).values())


async def lag(worst: list[float]) -> None:
    """Note by how much this machine is too late for anything."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.02)
        worst[0] = max(worst[0], time.monotonic() - before - 0.02)


async def test_a_conversation_on_the_telephone(site: Site) -> None:
    """The greeting is spoken over, an answer interrupted, a key pressed; the transcript tells what was heard."""
    wish, name = "What can I ask you about today?", "My name is Peter."
    first, second = await asyncio.to_thread(lambda: (spoken(wish), spoken(name)))
    caller = Caller(site.url, "/api/streams/assistant/telephone/incoming", TwilioSide(AUTH_TOKEN))
    worst = [0.0]
    watching, call = asyncio.create_task(lag(worst)), asyncio.create_task(caller.call())
    await caller.picked_up()

    await caller.hears(0.5)
    began = caller.say(first)
    asked = began + first.size / RATE
    await caller.hears(2.0, since=asked)
    over = caller.say(second)
    told = over + second.size / RATE
    await caller.hears(0.5, since=told)
    await caller.quiet(0.8)
    answered = caller.last_sound
    caller.press("5")
    await caller.hears(0.5, since=answered)
    (transcript,) = await chats(site)
    caller.hang_up()
    assert await call == "hung up by the caller"
    watching.cancel()

    silences = silent_after(caller, began, first), silent_after(caller, over, second)
    print("silent after", *(f"{1000 * each:.0f}" for each in silences), "ms; lag", f"{1000 * worst[0]:.0f} ms")  # noqa: T201
    assert max(silences) <= 0.25 + worst[0]
    assert any(over <= moment <= over + second.size / RATE for moment in caller.cleared)
    assert caller.dropped > 0, "what was sent ahead is not played"

    assert [message["role"] for message in transcript] == ["assistant", *["user", "assistant"] * 3], transcript
    greeting, heard_wish, abilities, heard_name, hello, key, echoed = (message["content"] for message in transcript)
    assert alike(heard_wish, wish) > 0.8
    assert alike(heard_name, name) > 0.7
    assert key == "Key 5."
    assert echoed.startswith("You said: Key 5.")
    for cut_off, whole in ((greeting, GREETING), (abilities, ABILITIES)):
        assert cut_off.endswith("…")
        assert words(cut_off) == words(whole)[: len(words(cut_off))]
    interrupted = caller.heard[round(asked * RATE) : round((over + silences[1]) * RATE)]
    assert alike(await asyncio.to_thread(recognised, interrupted), abilities) > 0.5, "broken off in a word"
    said = caller.heard[round(told * RATE) : round(answered * RATE)]
    assert alike(await asyncio.to_thread(recognised, said), hello) > 0.7

    async with asyncio.timeout(10):
        while await chats(site):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
