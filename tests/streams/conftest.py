from pathlib import Path

import pytest

from streams.media import weights
from tests.virtual_time_marker import pytest_asyncio_loop_factories, pytest_configure  # noqa: F401 - hooks


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
