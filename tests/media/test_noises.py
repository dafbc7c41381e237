"""Sounds that are no speech: they neither start an utterance nor end a reply, by the real model."""

import asyncio
from functools import cache
from itertools import product

import numpy as np
import pytest

from benchmarks.recordings import Recording, noises
from streams.media.audio import Audio, resample
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason
from streams.media.vad import SileroVad
from tests.media.client import RATE, Client, silence, voice

VOICELESS = ("cough-man", "cough-woman", "sneeze-man", "door-slam", "door-creak", "typing", "footsteps", "finger-snap")
NAMES = [*noises.MADE, *VOICELESS, "hand-clap", "rattle", "car", "dog", "guitar", "brass", "hold-music"]
"""Not three coughs in a row, a sneeze with a voice, or a beat with voices: they last as long as a word."""

KNOWN = {("door-slam", 500)}
"""In one place of six within a hop this door, after digital silence, is as sure a word as a short word."""


@cache
def sounds() -> dict[str, Recording]:
    return {recording.name: recording for recording in noises.load()}


@pytest.mark.parametrize(("name", "offset"), [case for case in product(NAMES, (0, 500, 1000)) if case not in KNOWN])
async def test_a_noise_is_no_utterance_and_ends_no_reply(silero: SileroVad, name: str, offset: int) -> None:
    """Wherever it begins within a hop."""
    utterances: list[Audio] = []
    reply = voice(30.0, 24000)

    def answer(audio: Audio) -> Audio:
        utterances.append(audio)
        return 24000, reply[None, :]

    handler = ReplyOnPause(answer)
    client = await Client(handler).connect()
    handler.trigger_response()
    await asyncio.sleep(0.5)
    utterances.clear()
    sound = sounds()[name]
    await client.speak(
        silence(1.0 + offset / RATE), resample(sound.samples, sound.rate, RATE)[: 20 * RATE], silence(1.0)
    )
    assert utterances == []
    assert handler.replying
    assert handler.timing is not None and not handler.timing.interrupted
    heard = client.hear()
    assert heard.size > 24000
    assert np.array_equal(heard, reply[: heard.size]), "it goes on where it stopped"
    await client.session.close(Reason.CLIENT_CLOSED)
