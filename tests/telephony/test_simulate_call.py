"""manage.py simulate_call against the real site in a process of its own."""

from __future__ import annotations

import asyncio
import re
import wave
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from streams.media.audio import resample
from telephony.media_streams import RATE
from tests import speech
from tests.listening import find
from tests.site.server import Site
from tests.telephony.conftest import PRIVATE_KEY


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return speech.write_wav(tmp_path / "said.wav", speech.sentence(4)[1])


def simulate(*arguments: Any) -> str:
    output = StringIO()
    call_command("simulate_call", *map(str, arguments), stdout=output)
    return output.getvalue()


def moments(output: str, what: str) -> list[float]:
    """When it happened."""
    return [float(each) for each in re.findall(rf"^ *(\d+\.\d\d)  {what}", output, re.M)]


def test_a_conversation_is_told_and_recorded(site: Site, said: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    output = simulate("echo", "--url", site.url, "--wav", said, "--key", "5@0.3", "--record", heard)
    (answered,), (sound, *_) = moments(output, "answered"), moments(output, "heard")
    (end,) = moments(output, "hung up by the caller")
    assert answered < sound < end
    assert moments(output, "pressed: 5") != []
    with wave.open(str(heard)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 2)
        left, right = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    spoken = resample(speech.sentence(4)[1], speech.RATE, RATE)[1600:6400]
    (there, alike), (back, echoed) = find(spoken, left), find(spoken, right)
    assert alike > 0.9
    assert echoed > 0.8
    assert back > there, "first said, then heard"


def test_speaking_over_an_answer(site: Site, said: Path) -> None:
    output = simulate("long-reply", "--url", site.url, "--wav", said, "--wav", said, "--barge-in", 1, "--seconds", 8)
    assert moments(output, "cleared") != []


def test_several_calls_at_once(site: Site, said: Path) -> None:
    output = simulate("echo-live", "--url", site.url, "--wav", said, "--calls", 3, "--seconds", 4)
    assert output.startswith("3 calls, 3 answered, 0 failed\n")
    assert "frames came, late by" in output


def test_the_other_provider(site: Site, said: Path) -> None:
    output = simulate(
        "echo", "--provider", "telnyx", "--telnyx-key", PRIVATE_KEY, "--url", site.url, "--wav", said, "--seconds", 6
    )
    assert moments(output, "answered") != []


def test_a_number_that_nobody_has(site: Site) -> None:
    output = simulate("--number", "+4930999", "--url", site.url, "--seconds", 2)
    assert "told: Nobody answers here at the moment." in output
    assert moments(output, "answered") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Say whom to call"),
        (["echo", "--key", "5"], "5@3.0"),
        (["echo", "--key", "E@1"], "0-9"),
        (["echo", "--wav", "nowhere.wav"], "nowhere.wav cannot be read"),
        (["echo", "--calls", "0"], "1 or more"),
        (["echo", "--provider", "telnyx"], "TELNYX_PUBLIC_KEY="),
        (["echo", "--provider", "telnyx", "--telnyx-key", "x"], "32 bytes"),
        (["echo", "--url", "http://127.0.0.1:9"], "does not answer"),
        (["echo", "--url", "nonsense"], "does not answer"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        simulate(*arguments)


def test_a_secret_that_is_missing_or_another(site: Site, settings: Any) -> None:
    settings.TWILIO_AUTH_TOKEN = "another"
    with pytest.raises(CommandError, match=r"403.*same secret"):
        simulate("echo", "--url", site.url)
    settings.TWILIO_AUTH_TOKEN = ""
    with pytest.raises(CommandError, match="TWILIO_AUTH_TOKEN is not set"):
        simulate("echo", "--url", site.url)


async def test_it_can_be_stopped(site: Site) -> None:
    """A command that hears nothing hangs up when it was told to."""
    output = await asyncio.to_thread(simulate, "echo-live", "--url", site.url, "--seconds", 1)
    assert moments(output, "hung up by the caller") == pytest.approx([1.0], abs=0.5)
