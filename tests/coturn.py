"""A real TURN server: Debian's coturn with the configuration of ``deploy/coturn``, on ports of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from aioice.ice import get_host_addresses

CONFIGURATION = Path(__file__).resolve().parents[1] / "deploy" / "coturn" / "turnserver.conf"
SCHEMA = Path("/usr/share/coturn/schema.sql")
REALM = "relay"
SECRET = "a secret that coturn and the site share"
USER, PASSWORD = "ada", "a password that does not expire"

Transport = Literal["udp", "tcp", "tls"]


@dataclass
class Coturn:
    """A running server. ``secret`` for credentials that expire, or ``user`` and ``password``; the others are empty."""

    port: int
    tls_port: int
    certificate: Path
    log: Path
    database: Path
    process: subprocess.Popen[bytes] = field(init=False, repr=False)
    address: str = "127.0.0.1"
    secret: str = ""
    user: str = ""
    password: str = ""

    def url(self, transport: Transport = "udp") -> str:
        if transport == "tls":
            return f"turns:{self.address}:{self.tls_port}?transport=tcp"
        return f"turn:{self.address}:{self.port}?transport={transport}"

    @property
    def stun_url(self) -> str:
        return f"stun:{self.address}:{self.port}"

    def provider(self, *transports: Transport, **entry: Any) -> dict[str, Any]:
        """An entry of TURN_PROVIDERS, as a site has it."""
        if self.user:
            return static_provider(self.ice_server(*transports), **entry)
        options = {"urls": [self.url(each) for each in transports], "secret": self.secret}
        return {"BACKEND": "turn.providers.coturn.Coturn", "OPTIONS": options, **entry}

    def ice_server(self, *transports: Transport, lifetime: float = 3600) -> dict[str, Any]:
        """As RTCPeerConnection takes it, with credentials that work, or have expired if ``lifetime`` is negative."""
        username, credential = self.user, self.password
        if self.secret:
            username, credential = timed_credentials(self.secret, time.time() + lifetime)
        return {"urls": [self.url(each) for each in transports], "username": username, "credential": credential}


def static_provider(*ice_servers: dict[str, Any], **entry: Any) -> dict[str, Any]:
    """An entry of TURN_PROVIDERS."""
    return {"BACKEND": "turn.providers.static.Static", "OPTIONS": {"ice_servers": list(ice_servers)}, **entry}


def timed_credentials(secret: str, expires: float, user: str = "ada") -> tuple[str, str]:
    """User name and password of draft-uberti-behave-turn-rest-00."""
    username = f"{round(expires)}:{user}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


@contextmanager
def running_coturn(
    folder: Path,
    certificate: Path,
    *,
    users: bool = False,
    peers: Sequence[str] = ("127.0.0.1",),
    address: str = "127.0.0.1",
    relay_address: str = "",
    within: Sequence[str] = (),
) -> Iterator[Coturn]:
    """Start coturn and wait until it answers a STUN request.

    ``users``: with a user and password in its database, else with a shared secret. ``peers``: addresses that it may
    relay to, though they are private. ``within``: a command to start it with, as ``ip netns exec …``.
    """
    turnserver = shutil.which("turnserver")
    assert turnserver, "The TURN tests need coturn: apt-get install coturn"
    server = Coturn(free_port(), free_port(), certificate, folder / "coturn.log", folder / "turndb", address)
    configuration = CONFIGURATION.read_text()
    if users:
        server.user, server.password = USER, PASSWORD
        configuration = configuration.replace("\nuse-auth-secret\n", "\nlt-cred-mech\n")
    else:
        server.secret = SECRET
    (folder / "turnserver.conf").write_text(configuration)
    fill_database(server)
    options = {
        "-c": folder / "turnserver.conf",
        "--listening-ip": address,
        "--relay-ip": relay_address or address,
        "--listening-port": server.port,
        "--tls-listening-port": server.tls_port,
        "--cert": certificate,
        "--pkey": certificate,
        "--userdb": server.database,
    }
    command = [*within, turnserver, *(str(part) for option in options.items() for part in option), "--pidfile="]
    command += [f"--allowed-peer-ip={peer}" for peer in peers]
    command += ["--allow-loopback-peers"] * ("127.0.0.1" in peers)
    with server.log.open("w") as output:
        server.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(server, within)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(timeout=20)


def fill_database(server: Coturn) -> None:
    """What ``turnadmin --set-secret`` and ``turnadmin --add`` do."""
    with closing(sqlite3.connect(server.database)) as database, database:
        database.executescript(SCHEMA.read_text())
        if server.secret:
            database.execute("INSERT INTO turn_secret (realm, value) VALUES (?, ?)", (REALM, server.secret))
        else:
            key = hashlib.md5(f"{server.user}:{REALM}:{server.password}".encode()).hexdigest()
            row = (REALM, server.user, key)
            database.execute("INSERT INTO turnusers_lt (realm, name, hmackey) VALUES (?, ?, ?)", row)


def wait_for(server: Coturn, within: Sequence[str]) -> None:
    """Ask for a STUN binding until it comes; coturn's own client waits for ever when nobody answers."""
    ask = [*within, "turnutils_stunclient", "-p", str(server.port), server.address]
    while server.process.poll() is None:
        with suppress(subprocess.SubprocessError):
            subprocess.run(ask, check=True, timeout=0.2, capture_output=True)
            return
    pytest.fail(f"coturn did not start:\n{server.log.read_text()}")


def own_addresses() -> list[str]:
    """Where sessions on this machine are reached."""
    return ["127.0.0.1", *get_host_addresses(use_ipv4=True, use_ipv6=False)]


def free_port() -> int:
    """Free for UDP and for TCP."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            port: int = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port
