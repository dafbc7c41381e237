"""A connection that fails: what the page says, what the server notes, what an administrator reads."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.test_page import sign_in
from tests.browser.visitor import Visitor, Visitors
from tests.coturn import Coturn, free_port, timed_credentials


def server(coturn: Coturn, **changes: Any) -> dict[str, Any]:
    return {**coturn.ice_server("udp", "tcp"), **changes}


def expired(coturn: Coturn) -> dict[str, Any]:
    username, credential = timed_credentials(coturn.secret, time.time() - 60)
    return server(coturn, username=username, credential=credential)


async def given(visitor: Visitor, **configuration: Any) -> None:
    """Let the page have this configuration, in place of the site's."""

    async def answer(route: Any) -> None:
        await route.fulfill(json=configuration)

    await visitor.page.unroute("**/rtc_configuration")
    await visitor.page.route("**/rtc_configuration", answer)


def ends_candidates(response: Any) -> bool:
    return '"candidate":""' in (response.request.post_data or "")


async def reads_record(visitor: Visitor, *words: str) -> None:
    """Follow the link to the record of the session that has just failed, and read it."""
    await visitor.page.get_by_role("link", name="What the server saw").click()
    await visitor.page.locator("#result_list tbody th a").first.click()
    for each in words:
        await expect(visitor.page.locator("#content-main")).to_contain_text(each)


async def administrator(visitors: Visitors) -> Visitor:
    visitor = await visitors.arrive("/accounts/login/?next=/streams/echo/")
    await sign_in(visitor)
    await visitor.page.get_by_role("button", name="Start").wait_for()
    return visitor


REFUSED = ("refused the site's credentials", "The TURN server refused the browser's credentials.", "errors 401")
EXPIRED = ("have expired", "refused the browser's credentials, which had expired", "errors 401")


@pytest.mark.parametrize("words", [REFUSED, EXPIRED], ids=["wrong", "expired"])
async def test_relay_credentials_that_are_refused(visitors: Visitors, coturn: Coturn, words: tuple[str, ...]) -> None:
    visitor = await administrator(visitors)
    bad = expired(coturn) if words is EXPIRED else server(coturn, credential="wrong")
    await given(visitor, iceServers=[bad], iceTransportPolicy="relay")
    await visitor.start()
    await visitor.reads(words[0])
    await visitor.reads("For administrators")
    await reads_record(visitor, *words[1:], "failed", "The client named no address")


async def test_a_relay_that_cannot_be_reached(visitors: Visitors, coturn: Coturn) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    nobody = {"urls": f"turn:127.0.0.1:{free_port()}?transport=tcp", "username": "u", "credential": "c"}
    await given(visitor, iceServers=[nobody], iceTransportPolicy="relay")
    await visitor.start()
    await visitor.reads("cannot be reached")
    await expect(visitor.page.get_by_role("link", name="What the server saw")).to_have_count(0)


async def test_a_session_over_a_relay_is_recorded_as_one(visitors: Visitors, coturn: Coturn) -> None:
    visitor = await administrator(visitors)
    await given(visitor, iceServers=[coturn.ice_server("tcp")], iceTransportPolicy="relay")
    async with visitor.page.expect_response(ends_candidates):
        await visitor.start()
        await visitor.sees_state("listening")
    session = await visitor.page.evaluate("streamPage.client.id")
    async with visitor.page.expect_response("**/close"):
        await visitor.stop()
    await visitor.page.goto(f"{visitors.site}/admin/streams/sessionrecord/?q={session}")
    await expect(visitor.page.locator("#result_list")).to_contain_text("host ↔ relay · udp")
    await expect(visitor.page.locator("#result_list")).to_contain_text("ended")
