"""What the page tells of a reply's timing: how quickly it came, and how much of it was heard."""

import re
from pathlib import Path

from playwright.async_api import Locator, expect

from tests.browser.visitor import PATIENCE, Visitor, Visitors
from tests.speech import sentence, silence, write_wav


def told(visitor: Visitor, words: str) -> Locator:
    return visitor.page.locator('[data-part="log"] li[data-type="timing"]').filter(has_text=re.compile(words)).first


async def test_the_page_tells_how_quickly_the_answer_came(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", silence(1.5), sentence(4)[1], silence(3.5))
    visitor = await visitors.arrive("/streams/echo/", microphone)
    await visitor.start()
    answered = told(visitor, r"^\d\d:\d\d:\d\dAnswered after \d\.\d\d s")
    details = answered.get_by_text("after your last word")
    await answered.wait_for(timeout=PATIENCE)
    await expect(details).to_be_hidden()
    await answered.locator("summary").press("Enter")
    await expect(details).to_be_visible()
    await expect(details).to_contain_text(
        re.compile(r"^It sounded \d+ % complete; decided \d\.\d\d s after|^Silence decided")
    )
    await visitor.sees_message("response_finished", 2)
    finished = await visitor.messages()
    assert await visitor.page.get_by_text("Answered after").count() == finished.count("response_finished")
    await expect(visitor.page.get_by_role("status")).not_to_contain_text("Answered after")


async def test_the_page_tells_how_much_was_heard_of_an_answer_that_was_cut_short(
    visitors: Visitors, tmp_path: Path
) -> None:
    speech = [part for number in (4, 5) for part in (sentence(number)[1], silence(3.5))]
    visitor = await visitors.arrive("/streams/long-reply/", write_wav(tmp_path / "speech.wav", silence(1), *speech))
    await visitor.start()
    await told(visitor, r"Interrupted after \d\.\d s of 1?\d\.\d s$").wait_for(timeout=PATIENCE)


async def test_the_page_tells_that_an_answer_goes_on(visitors: Visitors, tmp_path: Path) -> None:
    speech = [part for number in (4, 5) for part in (sentence(number)[1], silence(3.5))]
    visitor = await visitors.arrive("/streams/steadfast/", write_wav(tmp_path / "speech.wav", silence(1), *speech))
    await visitor.start()
    await visitor.sees_message("response_resumed")
    await visitor.sees_state("answering")
    await expect(visitor.page.get_by_text("Went on with the answer").first).to_be_visible()
