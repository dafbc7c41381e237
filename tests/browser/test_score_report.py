"""The report of score_turns, read in Chromium."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from streams.management.score_report import Named, as_html
from streams.media.pauses import AlgoOptions
from streams.media.recordings import Recording, Utterance
from streams.media.scoring import Scorer, Settings
from tests.media.test_scoring import LoudInChunks, signal


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A report about one utterance with two pauses in it, in a window too small for it."""
    sound = signal(30, (1, 2), (12, 13), (25, 26))
    scorer = Scorer([Recording("halting", 16000, sound, (Utterance(1, 26, "Well"),))], model=LoudInChunks())
    silence = Settings(AlgoOptions(end_of_utterance="silence"))
    report = tmp_path / "report.html"
    report.write_text(as_html([Named("silence", scorer.score(silence))], audio=True), encoding="utf-8")
    chromium = shutil.which("chromium")
    assert chromium, "The browser tests need Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 600, "height": 800})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(report.as_uri())
        yield page
        await browser.close()
    assert problems == []


async def scrolled(page: Page) -> float:
    return float(await page.locator(".chart").evaluate("chart => chart.scrollLeft"))


async def test_keys_lead_from_fault_to_fault(page: Page) -> None:
    await page.keyboard.press("n")
    await expect(page.locator(".cut").nth(0)).to_be_focused()
    await page.keyboard.press("n")
    await expect(page.locator(".cut").nth(1)).to_be_focused()
    await expect(page.locator(".cut").nth(1)).to_be_in_viewport()
    await expect(page.locator("#place")).to_have_text("2 of 2")
    assert await scrolled(page) == pytest.approx(1350 - 300, abs=100)


async def test_zooming_keeps_the_place(page: Page) -> None:
    for _ in range(2):
        await page.keyboard.press("n")
    await page.get_by_role("button", name="Zoom in").click()
    await expect(page.locator("#zoom")).to_have_text("200 px a second")
    await expect(page.locator(".cut").nth(1)).to_be_in_viewport()
    await page.keyboard.press("-")
    await expect(page.locator("#zoom")).to_have_text("100 px a second")


async def test_what_is_drawn_lies_at_its_time(page: Page) -> None:
    band = await page.locator(".band").bounding_box()
    chart = await page.locator(".paper").bounding_box()
    assert band is not None and chart is not None
    assert band["x"] - chart["x"] == pytest.approx(100, abs=1)
    assert band["width"] == pytest.approx(2500, abs=1)
    wave = await page.locator(".sound path").bounding_box()
    assert wave is not None
    assert wave["width"] == pytest.approx(3000, abs=20)


async def test_a_click_takes_the_sound_there(page: Page) -> None:
    await page.locator(".chart").click(position={"x": 250, "y": 40})
    await expect(page.locator(".cursor")).to_be_visible()
    assert await page.locator("audio").evaluate("audio => audio.currentTime") == pytest.approx(2.5, abs=0.05)


async def test_the_page_fits_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 700})
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
