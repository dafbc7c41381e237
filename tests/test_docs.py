"""The Python in the README and the guides runs, and what it registers can be copied for a session."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from streams.media import AlgoOptions, Handler, InterruptionOptions, SileroVadOptions
from streams.registry import registry

TOP = Path(__file__).parent.parent
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M), 1)
]


@pytest.mark.parametrize("block", BLOCKS)
async def test_python_in_the_docs_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registry", {})
    exec(compile(block, "docs", "exec", dont_inherit=True), {"__name__": "docs"})
    assert registry.all(), "the block registers nothing"
    for registration in registry:
        assert isinstance(registration.prototype.copy(), Handler)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (AlgoOptions(), [field.name for field in dataclasses.fields(AlgoOptions)]),
        (InterruptionOptions(), ["min_speech", "min_words"]),
        (SileroVadOptions(), ["threshold"]),
    ],
)
def test_the_defaults_of_turn_taking_are_those_of_the_code(options: Any, names: list[str]) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", (TOP / "docs/turn-taking.md").read_text(), re.M))
    written = {name: rows.get(name, "nowhere").replace("∞", "inf").strip('"') for name in names}
    assert written == {name: str(getattr(options, name)) for name in names}


def test_links_lead_somewhere() -> None:
    for page in [TOP / "README.md", TOP / "ARCHITECTURE.md", *(TOP / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
