"""The pages without a conversation: failures in words, sign-in, slots, a phone's width."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.visitor import Visitor, Visitors
from tests.site.server import PASSWORD


async def test_a_refused_microphone_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/", allow=False)
    await visitor.start()
    await visitor.sees_state("error")
    await visitor.reads("The microphone is blocked")


async def test_a_missing_microphone_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    missing = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') }"
    await visitor.page.evaluate(f"() => {{ {missing} }}")
    await visitor.start()
    await visitor.reads("No microphone was found")


async def test_an_insecure_page_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive(f"{visitors.site.replace('127.0.0.1', 'insecure.test')}/streams/echo/")
    await visitor.start()
    await visitor.reads("secure pages only")


async def test_a_full_stream_says_so_and_stop_frees_the_place(visitors: Visitors) -> None:
    first = await visitors.arrive("/streams/one-at-a-time/")
    second = await visitors.arrive("/streams/one-at-a-time/")
    await first.start()
    await first.sees_state("listening")
    await second.start()
    await second.reads("This stream is full right now")
    async with first.page.expect_response("**/close"):
        await first.stop()
    await first.sees_state("ended")
    await second.start()
    await second.sees_state("listening")


async def test_leaving_the_page_frees_the_place(visitors: Visitors) -> None:
    first = await visitors.arrive("/streams/one-place/")
    second = await visitors.arrive("/streams/one-place/")
    await first.start()
    await first.sees_state("listening")
    await first.page.goto(visitors.site)
    outcome = second.page.locator("main:is([data-state=listening], [data-state=error])")
    await second.start()
    await outcome.wait_for()
    while await outcome.get_attribute("data-state") == "error":  # the goodbye was still on its way
        await second.reads("This stream is full right now")
        await second.start()
        await outcome.wait_for()


async def test_a_lost_connection_is_replaced(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    await visitor.start()
    await visitor.sees_state("listening")
    before = await visitor.page.evaluate("streamPage.client.id")
    await visitor.page.evaluate("streamPage.api.close(streamPage.client.id)")
    await visitor.sees_message("Reconnecting", type="page")
    await visitor.sees_state("listening")
    assert await visitor.page.evaluate("streamPage.client.id") != before


async def test_the_time_limit_ends_the_session_in_words(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/short/")
    await visitor.start()
    await visitor.sees_state("ended")
    await visitor.reads("The time for this conversation is over")


async def test_the_chosen_microphone_is_used_at_once_and_remembered(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    await visitor.start()
    await visitor.sees_state("listening")
    label = "Fake Audio Input 2"
    await visitor.page.get_by_label("Microphone", exact=True).select_option(label=label)
    in_use = f"streamPage.outgoing?.getAudioTracks()[0].label === {label!r}"
    await visitor.page.wait_for_function(in_use)
    await visitor.page.reload()
    await visitor.start()
    await visitor.sees_state("listening")
    assert await visitor.page.evaluate(in_use)


async def test_muting_silences_the_microphone_and_the_sound(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    await visitor.page.get_by_role("button", name="Mute the microphone").click()
    await visitor.start()
    await visitor.sees_state("listening")
    assert not await visitor.page.evaluate("streamPage.outgoing.getAudioTracks()[0].enabled")
    await visitor.page.get_by_role("button", name="Mute the sound").click()
    assert await visitor.page.evaluate("document.querySelector('audio').muted")


async def test_a_stream_for_members_asks_to_sign_in_first(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/members/")
    await expect(visitor.page).to_have_url(re.compile(r"/accounts/login/\?next=/streams/members/"))
    await sign_in(visitor)
    await expect(visitor.page.get_by_role("heading", name="Members")).to_be_visible()
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page.get_by_role("link", name="Members")).to_have_count(0)


PAGES = ["", "accounts/login/", *(f"streams/{slug}/" for slug in ("echo", "talking-head", "every-field", "exhibition"))]


@pytest.mark.parametrize("path", [f"/{page}" for page in PAGES])
async def test_pages_fit_a_phone(visitors: Visitors, tmp_path: Path, path: str) -> None:
    visitor = await visitors.arrive(path, viewport={"width": 360, "height": 740})
    await visitor.page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") <= 360


async def sign_in(visitor: Visitor) -> None:
    await visitor.page.get_by_label("Username").fill("ada")
    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.page.get_by_role("button", name="Sign in").click()
