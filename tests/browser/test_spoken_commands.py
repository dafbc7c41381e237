"""Streams that words govern, with real speech: what the page says while it waits for them, and what it answers."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import expect

from tests.browser.test_assistant import bubbles, spoken
from tests.browser.visitor import PATIENCE, Visitors
from tests.speech import silence, write_wav

SAYS = """() => {
  window.said = [];
  const words = document.querySelector('[data-part="words"]');
  streamPage.addEventListener("state", ({ detail }) => said.push(`${detail}: ${words.textContent}`));
}"""
"""Keeps what the page's status says in each state, of which some last for a moment only."""


async def test_the_page_waits_for_the_phrase_and_says_when_it_was_heard(visitors: Visitors, tmp_path: Path) -> None:
    ignored, called = spoken("It is going to rain tomorrow."), spoken("Listen computer, what is twelve plus thirty?")
    microphone = write_wav(tmp_path / "speech.wav", silence(1), ignored, silence(2), called, silence(20))
    visitor = await visitors.arrive("/streams/stop-words/", microphone)
    await visitor.page.get_by_label("Play a sound").check()
    await visitor.page.evaluate(SAYS)
    await visitor.start()
    await visitor.reads("Listening for “listen computer”")
    await expect(bubbles(visitor, "assistant").last).to_have_text("12 plus 30 is 42.", timeout=PATIENCE)
    await visitor.sees_message("response_finished")
    await visitor.sees_state("listening")
    said = await visitor.page.evaluate("said")
    waiting = "listening: Listening for “listen computer”"
    start, heard = said.index(waiting), said.index("heard: Heard “listen computer”")
    assert heard == start + 1, "it reacted to what was not meant for it"
    assert [words.partition(":")[0] for words in said[heard:] if "speaking" not in words] == [
        "heard",
        "thinking",
        "answering",
        "listening",
    ]
    assert await visitor.page.evaluate("localStorage.getItem('streams.chime')") == "on"


async def test_over_ends_the_turn_and_a_pause_does_not(visitors: Visitors, tmp_path: Path) -> None:
    parts = [spoken("I would like to know"), silence(2), spoken("what time it is. Over."), silence(20)]
    visitor = await visitors.arrive("/streams/walkie-talkie/", write_wav(tmp_path / "speech.wav", silence(1), *parts))
    await visitor.start()
    await visitor.reads("Say “over” when you have finished.")
    await visitor.sees_state("speaking")
    await visitor.reads("Say “over” when you have finished.")
    said = re.compile("I would like to know.* what time it is$", re.IGNORECASE)
    await expect(bubbles(visitor, "user").last).to_have_text(said, timeout=PATIENCE)
    await expect(bubbles(visitor, "assistant").last).to_have_text(re.compile(r"^It is \d+:\d\d [AP]M\.$"))
    assert (await visitor.messages()).count("pause_detected") == 1
