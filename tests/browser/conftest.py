import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import async_playwright

from tests.browser.visitor import Visitors
from tests.site.server import Site, running_site


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def site(running: Site) -> str:
    return running.url


@pytest.fixture
async def visitors(site: str) -> AsyncIterator[Visitors]:
    chromium = shutil.which("chromium")
    assert chromium, "The browser tests need Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        visitors = Visitors(site, playwright, chromium)
        yield visitors
        await visitors.leave()
