import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from streams.media import weights
from tests.media.virtual_time import VirtualTimeLoop


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: run on a loop whose clock jumps; see tests/media/virtual_time.py")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def fetched_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all weights, downloaded for real."""
    directory, before = tmp_path_factory.mktemp("models"), weights.directory()
    weights.set_directory(directory)
    try:
        for name in weights.WEIGHTS:
            weights.fetch(name)
    finally:
        weights.set_directory(before)
    return directory
