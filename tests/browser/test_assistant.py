"""A conversation with the assistant, by real speech: the page shows what was said, and what it answers is intelligible.

Our own recogniser is the judge of both.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from benchmarks.recordings.synthetic import Phrase, synthesis
from streams.assistant import GREETING
from streams.media.audio import resample
from streams.media.speech.recognition import get_stt_model
from tests.browser.visitor import PATIENCE, Visitor, Visitors
from tests.speech import RATE, Samples, sentence, silence, write_wav

QUESTION = "What is twelve plus thirty?"
GREETED = 5.0
"""Seconds after which the greeting is over."""


def spoken(text: str) -> Samples:
    """By another voice than our own: flite's."""
    synthesised = synthesis(Phrase("question", "slt", (text,)), text)
    return resample(synthesised.samples, synthesised.rate, RATE)


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def bubbles(visitor: Visitor, role: str = "") -> Locator:
    return visitor.page.locator(f'[data-output="chat"] li{f"[data-role={role}]" if role else ""}')


async def recognised(visitor: Visitor) -> list[str]:
    return words(get_stt_model("moonshine/tiny").stt(await visitor.taped()))


async def test_a_question_is_written_down_and_its_answer_is_heard_and_read(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", silence(GREETED), spoken(QUESTION), silence(8))
    visitor = await visitors.arrive("/streams/assistant/", microphone)
    await visitor.start()
    await visitor.sees_state("listening")
    await expect(bubbles(visitor).first).to_have_text(GREETING, timeout=PATIENCE)
    await visitor.tape()
    asked = re.compile(r"^What is (12|twelve) plus (30|thirty)\?$", re.IGNORECASE)
    await expect(bubbles(visitor, "user").first).to_have_text(asked, timeout=PATIENCE)
    await visitor.sees_message("response_finished", 2)
    await expect(bubbles(visitor)).to_have_count(3)
    await expect(bubbles(visitor).last).to_have_text("12 plus 30 is 42.")
    heard = await recognised(visitor)
    assert "42" in heard or heard[-2:] == ["forty", "two"], heard


async def test_what_a_person_says_is_in_the_transcript(visitors: Visitors, tmp_path: Path) -> None:
    _, person = sentence(4)
    microphone = write_wav(tmp_path / "speech.wav", silence(GREETED), person, silence(8))
    visitor = await visitors.arrive("/streams/assistant/", microphone)
    await visitor.start()
    await visitor.sees_message("response_finished", 2)
    shown = await bubbles(visitor, "user").first.text_content() or ""
    expected = words(get_stt_model("moonshine/tiny").stt((RATE, person)))
    assert len(set(expected) & set(words(shown))) >= 0.8 * len(set(expected)), (shown, expected)


async def test_speaking_over_an_answer_cuts_it_in_the_chat_too(visitors: Visitors, tmp_path: Path) -> None:
    parts = [silence(GREETED), spoken("What can you do?"), silence(3.5), spoken("That is enough for now."), silence(9)]
    visitor = await visitors.arrive("/streams/assistant/", write_wav(tmp_path / "speech.wav", *parts))
    await visitor.start()
    cut = bubbles(visitor, "assistant").nth(1)
    await expect(cut).to_have_text(re.compile("^I can tell you"), timeout=PATIENCE)
    await expect(cut).to_have_text(re.compile("…$"), timeout=PATIENCE)
    await expect(bubbles(visitor, "user").nth(1)).to_have_text(re.compile("enough for now"), timeout=PATIENCE)
    await expect(bubbles(visitor, "assistant").nth(2)).to_have_text(re.compile("^You said: That"), timeout=PATIENCE)


async def test_a_typed_question_is_answered_in_sound(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/assistant/", write_wav(tmp_path / "nothing.wav", silence(5)))
    await visitor.start()
    await visitor.sees_message("response_finished")
    await visitor.tape()
    await visitor.page.get_by_label("Write instead of speaking").fill("What is 2 plus 5?")
    await visitor.page.get_by_role("button", name="Send").click()
    await expect(bubbles(visitor)).to_have_text([GREETING, "What is 2 plus 5?", "2 plus 5 is 7."])
    await visitor.sees_message("response_finished", 2)
    heard = await recognised(visitor)
    assert {"7", "seven"} & set(heard), heard


@pytest.mark.parametrize("screen", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}])
async def test_a_long_chat_stays_in_its_place(visitors: Visitors, tmp_path: Path, screen: dict[str, Any]) -> None:
    silent = write_wav(tmp_path / "nothing.wav", silence(5))
    visitor = await visitors.arrive("/streams/assistant/", silent, viewport=screen)
    await visitor.start()
    await visitor.sees_state("listening")
    for number in range(6):
        await visitor.page.get_by_label("Write instead of speaking").fill(f"What is {number} plus 1000?")
        await visitor.page.get_by_role("button", name="Send").click()
        await expect(bubbles(visitor, "assistant").last).to_have_text(f"{number} plus 1000 is {number + 1000}.")
    chat = visitor.page.locator('[data-output="chat"]')
    below = await chat.evaluate("(list) => list.scrollHeight - list.scrollTop - list.clientHeight")
    assert below <= 1, "the newest message is not seen"
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") == screen["width"]
