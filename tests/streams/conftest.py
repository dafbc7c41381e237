from pathlib import Path

import pytest

from streams.media import weights


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
