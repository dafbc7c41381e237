"""A connection that fails: what the page says, what the server notes, what an administrator reads."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import expect

from tests.browser.test_page import sign_in
from tests.browser.visitor import Visitor, Visitors
from tests.coturn import Coturn, free_port


async def administrator(visitors: Visitors) -> Visitor:
    visitor = await visitors.arrive("/accounts/login/?next=/streams/echo/")
    await sign_in(visitor)
    await visitor.page.get_by_role("button", name="Start").wait_for()
    return visitor


async def start_over(visitor: Visitor, server: dict[str, Any]) -> None:
    """Start with this relay and nothing else, in place of the site's configuration."""
    configuration = {"iceServers": [server], "iceTransportPolicy": "relay"}

    async def answer(route: Any) -> None:
        await route.fulfill(json=configuration)

    await visitor.page.unroute("**/rtc_configuration")
    await visitor.page.route("**/rtc_configuration", answer)
    await visitor.start()


async def reads_record(visitor: Visitor, *words: str) -> None:
    """Follow the link to the record of the session that has just failed, read it, and come back."""
    await visitor.page.get_by_role("link", name="What the server saw").click()
    await visitor.page.locator("#result_list tbody th a").click()
    for each in words:
        await expect(visitor.page.locator("#content-main")).to_contain_text(each)
    await visitor.page.goto(visitor.page.url.split("/admin/")[0] + "/streams/echo/")


async def test_each_trouble_with_a_relay_has_its_words(visitors: Visitors, coturn: Coturn) -> None:
    visitor = await administrator(visitors)
    await start_over(visitor, {**coturn.ice_server("udp", "tcp"), "credential": "wrong"})
    await visitor.reads("refused the site's credentials")
    await visitor.reads("For administrators: Run “manage.py check_turn”")
    await reads_record(visitor, "refused the browser's credentials.", "errors 401", "failed", "named no address")

    await start_over(visitor, coturn.ice_server("udp", "tcp", lifetime=-60))
    await visitor.reads("credentials for the relay server have expired")
    await reads_record(visitor, "refused the browser's credentials, which had expired", "errors 401")

    nobody = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    await start_over(visitor, {"urls": nobody, "username": "u", "credential": "c"})
    await visitor.reads("relay server that this connection needs cannot be reached")
    await reads_record(visitor, "The browser could not reach the TURN server.")


async def test_a_session_over_a_relay_is_recorded_as_one(visitors: Visitors, coturn: Coturn) -> None:
    visitor = await administrator(visitors)
    async with visitor.page.expect_response(ends_candidates):
        await start_over(visitor, coturn.ice_server("tcp"))
        await visitor.sees_state("listening")
    session = await visitor.page.evaluate("streamPage.client.id")
    async with visitor.page.expect_response("**/close"):
        await visitor.stop()
    await visitor.page.goto(f"{visitors.site}/admin/streams/sessionrecord/?q={session}")
    await expect(visitor.page.locator("#result_list")).to_contain_text("host ↔ relay · udp")
    await expect(visitor.page.locator("#result_list")).to_contain_text("ended")


def ends_candidates(response: Any) -> bool:
    return '"candidate":""' in (response.request.post_data or "")


async def test_a_server_that_does_not_answer(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    held: list[Any] = []
    reports: asyncio.Queue[str] = asyncio.Queue()

    async def close(route: Any) -> None:  # the first of them comes before the server knows the session
        answer = await route.fetch()
        if await answer.json() == {"status": "success"}:
            reports.put_nowait(route.request.post_data)
        await route.fulfill(response=answer)

    await visitor.page.route("**/webrtc/offer", lambda route: held.append(route))
    await visitor.page.route("**/close", close)
    await visitor.page.clock.install()
    await visitor.start()
    await visitor.sees_state("connecting")
    await visitor.page.clock.fast_forward(5_000)
    await visitor.reads("The server is slow to answer")
    await visitor.page.clock.fast_forward(30_000)
    await visitor.sees_state("error")
    await visitor.reads("The server did not answer in time.")
    await held[0].continue_()
    report = await asyncio.wait_for(reports.get(), 20)
    assert '"stage":"signalling"' in report, "the place of an answer that came too late is free"


LATE = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
LISTEN = """() => {
  const add = RTCPeerConnection.prototype.addIceCandidate;
  RTCPeerConnection.prototype.addIceCandidate = function (candidate) {
    window.added = candidate;
    return add.call(this, candidate);
  };
}"""


async def test_candidates_that_the_server_finds_after_its_answer_are_added(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/echo/")
    await visitor.page.evaluate(LISTEN)

    async def late(route: Any) -> None:
        if "ice-candidate" in (route.request.post_data or ""):
            await route.fulfill(json={"status": "success", "candidates": [LATE]})
        else:
            await route.continue_()

    await visitor.page.route("**/webrtc/offer", late)
    await visitor.start()
    await visitor.page.wait_for_function("window.added")
    assert await visitor.page.evaluate("window.added") == LATE
    await visitor.sees_state("listening")
