import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import async_playwright

from tests.browser.visitor import Visitors
from tests.coturn import Coturn
from tests.site.server import running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, coturn: Coturn, coturn_users: Coturn) -> Iterator[str]:
    """The site, with the streams "through-…" that nobody reaches but through a relay."""
    providers = {
        "secret-udp": coturn.provider("udp", RELAY_ONLY=True),
        "secret-tcp": coturn.provider("tcp", RELAY_ONLY=True),
        "password-udp": coturn_users.provider("udp", RELAY_ONLY=True),
        "password-tcp": coturn_users.provider("tcp", RELAY_ONLY=True),
    }
    with running_site(tmp_path_factory.mktemp("site"), turn_providers=providers) as site:
        yield site.url


@pytest.fixture
async def visitors(site: str) -> AsyncIterator[Visitors]:
    chromium = shutil.which("chromium")
    assert chromium, "The browser tests need Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        visitors = Visitors(site, playwright, chromium)
        yield visitors
        await visitors.leave()
