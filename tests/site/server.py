"""The real site in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"


@dataclass
class Site:
    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running_site(
    var: Path,
    *,
    certificate: Path | None = None,
    turn_providers: Mapping[str, Any] | None = None,
    within: Sequence[str] = (),
) -> Iterator[Site]:
    """Start it with a fresh database in ``var`` and an administrator "ada". It must stop with 0 on SIGTERM.

    ``certificate``: a PEM file with certificate and key, to serve by TLS. ``turn_providers``: as the setting.
    ``within``: a command to start it with, as ``ip netns exec …``; it then listens on the Unix socket in ``var``.

    Its log must show no traceback but the deliberate ones.
    """
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.site.settings",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "VAR_DIR": str(var),
        "TEST_TURN_PROVIDERS": json.dumps(turn_providers or {}),
    }
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "--verbosity=0"], cwd=TOP, env=environment, check=True)
    admin = ["--noinput", "--username=ada", "--email=ada@example.com", "--verbosity=0"]
    subprocess.run([*manage, "createsuperuser", *admin], cwd=TOP, env=environment, check=True)

    port = free_port()
    keys = f"ssl:{port}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    address = ["-b", "127.0.0.1", "-p", str(port)] if certificate is None else ["-e", keys]
    if within:
        address = ["-u", str(var / "socket")]
    daphne = [*within, sys.executable, "-m", "daphne", *address, "rtcproject.asgi:application"]
    log = var / "daphne.log"
    with log.open("w") as output:
        server = subprocess.Popen(daphne, cwd=TOP, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(server, var / "socket" if within else ("127.0.0.1", port), log)
        yield Site(f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}", server, log)
    finally:
        server.terminate()
        try:
            status = server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    text = log.read_text()
    assert status == 0, text
    assert text.count("Traceback") == text.count("RuntimeError: on purpose"), text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(server: subprocess.Popen[bytes], address: Path | tuple[str, int], log: Path) -> None:
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    while server.poll() is None:
        with socket.socket(family) as probe:
            if probe.connect_ex(str(address) if isinstance(address, Path) else address) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"The site did not start:\n{log.read_text()}")
