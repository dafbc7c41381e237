"""Packages that bring speech engines, as pip would install them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.media.speech import engines


def plugin(site: Path, name: str, entries: str, module: str = "") -> None:
    """A package in ``site``, which must be on the path."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    if module:
        (site / f"{name}.py").write_text(module)


@contextmanager
def engines_of_their_own() -> Iterator[None]:
    """Nothing registered, loaded or found yet; and as before afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_registered", {"stt": {}, "tts": {}, "vad": {}})
        patch.setattr(engines, "_loaded", {})
        engines._plugins.cache_clear()
        yield
        engines._plugins.cache_clear()
