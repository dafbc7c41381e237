"""Somebody with a browser, a microphone that plays a recording, and ears."""

import base64
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from playwright.async_api import Browser, Page, Playwright, expect

Loudness: TypeAlias = npt.NDArray[np.float64]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP insecure.test 127.0.0.1",
]
RECORDER = (Path(__file__).parent / "recorder.js").read_text()
EAR = (Path(__file__).parent / "ear.js").read_text()
TAPE = (Path(__file__).parent / "tape.js").read_text()
EYE = (Path(__file__).parent / "eye.js").read_text()
PATIENCE = 30_000  # milliseconds until a test that waits for something fails


class Visitor:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.failures: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    async def start(self) -> None:
        await self.page.get_by_role("button", name="Start").click()

    async def stop(self) -> None:
        await self.page.get_by_role("button", name="Stop").click()

    async def sees_state(self, state: str) -> None:
        await expect(self.page.locator("main")).to_have_attribute("data-state", state, timeout=PATIENCE)

    async def reads(self, words: str) -> None:
        await expect(self.page.get_by_role("status")).to_contain_text(words, timeout=PATIENCE)

    async def sees_message(self, text: str, times: int = 1, type: str = "log") -> None:
        entries = self.page.locator(f'[data-part="log"] li[data-type="{type}"][data-text="{text}"]')
        await entries.nth(times - 1).wait_for()

    async def messages(self) -> list[str]:
        entries = self.page.locator('[data-part="log"] li[data-type="log"]')
        texts: list[str] = await entries.evaluate_all("entries => entries.map((entry) => entry.dataset.text)")
        return texts

    async def listen(self) -> None:
        """Start recording how loud both directions are."""
        await self.page.evaluate(RECORDER)

    async def tape(self) -> None:
        """Start recording what the stream plays."""
        await self.page.evaluate(TAPE)

    async def taped(self) -> tuple[int, npt.NDArray[np.int16]]:
        """Sample rate and samples of the recording, until now."""
        rate, samples = await self.page.evaluate("window.tape()")
        return rate, np.frombuffer(base64.b64decode(samples), np.int16)

    async def hears(self, hertz: float, source: str = "streamPage.incoming") -> None:
        """Wait until a tone of that frequency is heard: the loudest one, for a fifth of a second."""
        await self.page.evaluate(EAR, [source, hertz, PATIENCE])

    async def sees(self, test: str) -> None:
        """Wait until ``test``, JavaScript, holds for the picture's ``top`` and ``bottom``: [red, green, blue]."""
        await self.page.wait_for_function(EYE, arg=test)

    async def heard(self) -> tuple[Loudness, Loudness, Loudness]:
        """Seconds, loudness of the microphone, loudness of what the stream plays; until now."""
        times, said, heard = np.array(await self.page.evaluate("window.recorded")).T
        return times, said, heard


class Visitors:
    """Launches browsers; `leave` closes them and fails if a page threw anything."""

    def __init__(self, site: str, playwright: Playwright, chromium: str) -> None:
        self.site = site
        self._playwright = playwright
        self._chromium = chromium
        self._browsers: list[Browser] = []
        self._all: list[Visitor] = []

    async def arrive(
        self,
        path: str,
        microphone: Path | None = None,
        *,
        camera: Path | None = None,
        allow: bool = True,
        script: str = "",
        **context: Any,
    ) -> Visitor:
        """``script`` runs before those of each page."""
        flags = [*FLAGS, "--use-fake-device-for-media-stream=device-count=2"]
        flags.append("--use-fake-ui-for-media-stream" + ("" if allow else "=deny"))
        if microphone:
            flags.append(f"--use-file-for-fake-audio-capture={microphone}")
        if camera:
            flags.append(f"--use-file-for-fake-video-capture={camera}")
        browser = await self._playwright.chromium.launch(executable_path=self._chromium, args=flags)
        self._browsers.append(browser)
        page = await (await browser.new_context(**context)).new_page()
        visitor = Visitor(page)
        self._all.append(visitor)
        await page.add_init_script(script)
        await page.goto(path if path.startswith("http") else self.site + path)
        return visitor

    async def leave(self) -> None:
        for browser in self._browsers:
            await browser.close()
        failures = [failure for visitor in self._all for failure in visitor.failures]
        assert not failures, failures
