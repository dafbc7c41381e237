"""Front ends written from FastRTC's documented wire protocol; nothing but the base path is ours."""

from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import expect

from tests.browser.visitor import Visitor, Visitors
from tests.speech import RATE, sentence, silence, write_wav

HERTZ = 700


@pytest.fixture
def whistle(tmp_path: Path) -> Path:
    """Pulses, because browsers take a steady tone for noise."""
    times = np.arange(RATE) / RATE
    wave = 12000 * np.sin(2 * np.pi * HERTZ * times) * (times % 0.5 < 0.35)
    return write_wav(tmp_path / "whistle.wav", wave.astype(np.int16))


async def arrive(visitors: Visitors, client: str, stream: str, microphone: Path) -> Visitor:
    visitor = await visitors.arrive(f"/fastrtc/{client}.html?base=/api/streams/{stream}", microphone)
    assert not await visitor.page.context.cookies()
    await visitor.start()
    return visitor


async def test_a_webrtc_front_end_is_asked_answered_and_heard(visitors: Visitors, whistle: Path) -> None:
    visitor = await arrive(visitors, "webrtc", "ask-first", whistle)
    page = visitor.page
    await expect(page.locator("#state")).to_have_text("connected")
    await expect(page.locator("#messages li").first).to_have_text("send_input")
    await expect(page.locator("#outputs li")).to_have_text('"hello"')
    await visitor.hears(HERTZ, "document.querySelector('audio').srcObject")
    await visitor.stop()
    await page.wait_for_function("peerConnection.connectionState === 'closed'")


async def test_a_websocket_front_end_is_heard(visitors: Visitors, whistle: Path) -> None:
    visitor = await arrive(visitors, "websocket", "plain-echo", whistle)
    await expect(visitor.page.locator("#state")).to_have_text("open")
    await visitor.hears(HERTZ, "speaker")
    await visitor.stop()
    await expect(visitor.page.locator("#state")).to_have_text("closed")


async def test_a_websocket_front_end_is_asked_and_answered(visitors: Visitors, whistle: Path) -> None:
    visitor = await arrive(visitors, "websocket", "ask-first", whistle)
    await expect(visitor.page.locator("#messages li").first).to_have_text("send_input")
    await expect(visitor.page.locator("#outputs li")).to_have_text('"hello"')
    await visitor.hears(HERTZ, "speaker")


@pytest.mark.parametrize("client", ["webrtc", "websocket"])
async def test_a_warning_is_told(visitors: Visitors, whistle: Path, client: str) -> None:
    visitor = await arrive(visitors, client, "short", whistle)
    warning = "warning: The conversation ends in 2 seconds."
    await expect(visitor.page.locator("#messages li").first).to_have_text(warning)


@pytest.mark.parametrize("client", ["webrtc", "websocket"])
async def test_an_error_is_told(visitors: Visitors, tmp_path: Path, client: str) -> None:
    speech = write_wav(tmp_path / "speech.wav", silence(0.5), sentence(4)[1], silence(2.5))
    visitor = await arrive(visitors, client, "raises", speech)
    await visitor.page.locator("#messages li", has_text="error: RuntimeError: on purpose").first.wait_for()


@pytest.mark.parametrize("client", ["webrtc", "websocket"])
async def test_a_full_stream_is_told(visitors: Visitors, whistle: Path, client: str) -> None:
    first = await arrive(visitors, client, f"one-for-{client}", whistle)
    await expect(first.page.locator("#state")).to_have_text("connected" if client == "webrtc" else "open")
    second = await arrive(visitors, client, f"one-for-{client}", whistle)
    full = "Too many connections. Maximum limit is 1" if client == "webrtc" else "concurrency_limit_reached"
    await expect(second.page.locator("#messages li")).to_have_text(full)
