"""What goes beside the media: inputs, outputs, typed text, warnings."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from tests.browser.visitor import Visitors
from tests.speech import sentence, silence, write_wav


async def test_a_tone_is_heard_without_asking_for_a_microphone(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/tone/", allow=False)
    page = visitor.page
    pitch = page.get_by_label("Pitch (Hz)")
    await expect(page.get_by_label("Microphone")).to_have_count(0)
    await pitch.fill("880")
    await visitor.start()
    await visitor.hears(880)
    await pitch.fill("20")
    await pitch.press("Enter")
    problem = page.locator("#input-pitch-error")
    await expect(problem).to_have_text("Ensure this value is greater than or equal to 50.")
    assert "input-pitch-error" in (await pitch.get_attribute("aria-describedby") or "")
    await expect(pitch).to_have_attribute("aria-invalid", "true")
    await pitch.fill("660")
    await pitch.press("Tab")
    await expect(problem).to_be_hidden()
    await page.get_by_role("button", name="Start over").click()
    await visitor.hears(660)


async def test_voice_notes_are_written_down_and_nothing_is_played(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", silence(1), sentence(4)[1], silence(3))
    visitor = await visitors.arrive("/streams/voice-notes/", microphone)
    await visitor.start()
    await expect(visitor.page.locator('[data-output="text"] li').first).to_have_text(
        re.compile(r"^\d\.\d s, -\d+ dB, at "), timeout=20_000
    )
    assert await visitor.page.evaluate("streamPage.incoming") is None
    await expect(visitor.page.locator("audio")).to_have_count(0)


async def test_every_kind_of_output_is_shown_in_its_way(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/exhibition/")
    await visitor.start()

    def panel(kind: str) -> Any:
        return visitor.page.locator(f'[data-output="{kind}"]')

    await expect(panel("text").locator("li")).to_have_text(["A line", "Another"])
    await expect(panel("number")).to_have_text("1,234.5")
    await expect(panel("json")).to_have_text('{\n  "key": [\n    1,\n    2\n  ]\n}')
    await expect(panel("chat").locator("li")).to_have_text(["Hello?", "Hello!"])
    await expect(panel("chat").locator("li").nth(1)).to_have_attribute("data-role", "assistant")
    await visitor.page.wait_for_function("document.querySelector('[data-output=image] img').naturalWidth === 80")
    await visitor.stop()
    await expect(panel("text").locator("li")).to_have_count(2)


async def test_an_output_that_does_not_fit_its_panel_is_said_and_harms_nothing(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/misfits/")
    await visitor.start()
    await expect(visitor.page.locator('[data-output="number"]')).to_have_text("7")
    await visitor.sees_message("An output could not be shown.", type="page")


async def test_several_readers_see_the_same_outputs(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/counting/")
    await visitor.start()
    await visitor.page.locator('[data-output="text"] li').first.wait_for()
    other = await visitor.page.context.new_page()
    await other.goto(visitors.site)
    follow = """(url) => new Promise((resolve) => {
      const outputs = [];
      new EventSource(url).addEventListener("output", ({ data }) => outputs.push(data) === 20 && resolve(outputs));
    })"""
    seen = await other.evaluate(follow, await visitor.page.evaluate("streamPage.api.outputs(streamPage.client.id)"))
    assert seen == [str(number) for number in range(20)]
    await expect(visitor.page.locator('[data-output="text"] li')).to_have_text(seen)


async def test_what_is_published_just_before_the_end_is_shown(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/goodbye/")
    await visitor.start()
    await visitor.sees_state("ended")
    await visitor.reads("The stream has ended.")
    await expect(visitor.page.locator('[data-output="text"] li')).to_have_text(["The last word"])


async def test_a_gap_is_said(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/counting/")
    event = 'event: gap\\nid: 3\\ndata: {"first":1,"last":3}\\n\\nevent: output\\nid: 4\\ndata: "late"\\n\\n'
    stub = f"streamPage.api.outputs = () => 'data:text/event-stream,' + encodeURIComponent(`{event}`)"
    await visitor.page.evaluate(f"() => {{ {stub} }}")
    await visitor.start()
    await visitor.sees_message("3 outputs were missed.", type="page")
    await expect(visitor.page.locator('[data-output="text"] li').first).to_have_text("late")


async def test_every_kind_of_field_reaches_the_handler(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/every-field/")
    page = visitor.page
    outputs = page.locator('[data-output="json"]')
    await visitor.start()
    await expect(outputs).to_have_text(shown("word", 3, True, "b", ["tu"], ""))
    await page.get_by_label("Loud").uncheck()
    await page.get_by_label("Red").check()
    await page.get_by_label("Monday").check()
    await page.get_by_label("Level").press("ArrowRight")
    await page.get_by_label("Word").fill("other")
    await page.get_by_label("Word").press("Tab")
    await expect(outputs).to_have_text(shown("other", 4, False, "r", ["mo", "tu"], ""))
    await page.get_by_label("Monday").uncheck()
    await page.get_by_label("Tuesday").uncheck()
    await expect(page.locator("#input-days-error")).to_have_text("This field is required.")


def shown(*values: object) -> str:
    return json.dumps(values, indent=2)


async def test_a_typed_text_is_answered(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/typing/", write_wav(tmp_path / "nothing.wav", silence(5)))
    page = visitor.page
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await visitor.start()
    await visitor.sees_state("listening")
    await page.get_by_label("Write instead of speaking").fill("Good morning")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator('[data-output="chat"] li')).to_have_text(["Good morning", "You said: Good morning"])
    await visitor.sees_message("response_finished")
    await expect(page.get_by_label("Write instead of speaking")).to_have_value("")
    await page.get_by_role("button", name="Answer now").click()
    await expect(page.locator('[data-output="chat"] li').last).to_have_text("You said: (speech)")


async def test_the_end_is_counted_down(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/short/")
    await visitor.start()
    await expect(visitor.page.get_by_role("timer")).to_have_text(re.compile("0:0[12]"))
    await expect(visitor.page.locator('[data-part="notice"]')).to_have_text("The conversation ends in 2 seconds.")
    await visitor.sees_message("The conversation ends in 2 seconds.", type="warning")
    await visitor.sees_state("ended")
    await expect(visitor.page.get_by_role("timer")).to_be_hidden()


async def test_a_stop_word_is_noted(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    requests: list[str] = []
    await visitor.start()
    await visitor.sees_state("listening")
    visitor.page.on("request", lambda request: requests.append(request.url))
    stopword = "new CustomEvent('message', {detail: {type: 'stopword', data: ''}})"
    await visitor.page.evaluate(f"streamPage.client.dispatchEvent({stopword})")
    await expect(visitor.page.locator('[data-part="log"] li[data-type="stopword"]')).to_contain_text("stop word")
    assert not requests
