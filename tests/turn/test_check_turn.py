"""The command against Debian's coturn, as we configure it, and against everything that is wrong with a server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.certificate import own_certificate
from tests.coturn import Coturn, running_coturn, static_provider, timed_credentials

DONE = r"{} +done +127\.0\.0\.1:\d+ +\d+\.\d"


def check(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("check_turn", *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def check_fails(*arguments: str, **options: Any) -> str:
    """What it prints before it fails."""
    out = StringIO()
    with pytest.raises(CommandError, match="failed"):
        call_command("check_turn", *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def static(settings: Settings, *urls: str, username: str = "u", credential: str = "c") -> None:
    own = {"urls": list(urls), "username": username, "credential": credential}
    settings.TURN_PROVIDERS = {"list": static_provider(own)}


@pytest.mark.parametrize("kind", ["coturn", "coturn_users"])
def test_a_relay_that_works(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, kind: str
) -> None:
    server: Coturn = request.getfixturevalue(kind)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    settings.TURN_PROVIDERS = {"default": server.provider("udp", "tcp", "tls")}
    settings.STREAMS_ICE_SERVERS = [{"urls": server.stun_url}]
    table = check()
    for transport in ("udp", "tcp", "tls"):
        assert re.search(re.escape(server.url(transport)) + f" +{DONE.format(transport)}", table), table
    assert re.search(f"STREAMS_ICE_SERVERS\n.*\n  {re.escape(server.stun_url)} +{DONE.format('udp')}", table), table
    assert server.stun_url not in check("default"), "only what was asked for"


def test_expired_and_wrong_credentials(settings: Settings, coturn: Coturn, coturn_users: Coturn) -> None:
    expired, wrong = "expired 5 minutes ago", "refuses the credentials (401)"
    username, credential = timed_credentials(coturn.secret, time.time() - 300)
    static(settings, coturn.url("udp"), coturn.url("tcp"), username=username, credential=credential)
    table = check_fails()
    assert table.count(expired) == 2
    assert username not in table
    assert credential not in table
    settings.TURN_PROVIDERS = {"default": coturn.provider("udp")}
    settings.TURN_PROVIDERS["default"]["OPTIONS"]["secret"] = "another secret"
    assert wrong in (table := check_fails())
    assert "another secret" not in table
    static(settings, coturn_users.url("udp"), username=coturn_users.user, credential="a wrong password")
    assert wrong in (table := check_fails())
    assert "a wrong password" not in table


def says(settings: Settings, words: dict[str, str], **options: Any) -> None:
    """Below each URL, what is wrong with it."""
    static(settings, *words)
    lines = check_fails(**options).splitlines()
    for url, sentence in words.items():
        place = next(number for number, line in enumerate(lines) if line.split()[:1] == [url])
        assert sentence in lines[place + 1], lines


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Packets and connections arrive there, and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        yield tcp.getsockname()[1]


def test_servers_that_do_not_answer(settings: Settings, deaf_port: int) -> None:
    words = {
        f"stun:127.0.0.1:{deaf_port}": f"Nothing answers on UDP port {deaf_port}",
        f"turn:127.0.0.1:{deaf_port}": f"Nothing answers on UDP port {deaf_port}",
        f"turn:127.0.0.1:{deaf_port}?transport=tcp": f"Nothing answers on TCP port {deaf_port}",
        f"turns:127.0.0.1:{deaf_port}": f"Nothing answers on TCP port {deaf_port}",
    }
    says(settings, words, timeout=0.3)


class Banner(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 mail.example.org\r\n")


@pytest.fixture
def mail_port() -> Iterator[int]:
    """Something speaks there, but neither TURN nor TLS."""
    with TCPServer(("127.0.0.1", 0), Banner) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        yield server.server_address[1]
        server.shutdown()


def test_servers_that_cannot_be_reached(settings: Settings, coturn: Coturn, mail_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    words = {
        "turn:nowhere.invalid": "The name has no address",
        f"turn:127.0.0.1:{closed}?transport=tcp": f"Nothing listens on TCP port {closed}",
        f"turns:127.0.0.1:{mail_port}": f"Port {mail_port} does not speak TLS",
        coturn.url("tls"): "The certificate is refused, as browsers would: self-signed certificate",
        "turns:127.0.0.1?transport=udp": "Neither browsers nor aiortc use",
    }
    says(settings, words)


def test_a_relay_that_does_not_relay_to_us(settings: Settings, tmp_path: Path) -> None:
    with running_coturn(tmp_path, own_certificate(tmp_path), peers=()) as server:
        settings.TURN_PROVIDERS = {"default": server.provider("udp", "tcp")}
        table = check_fails()
    assert table.count("The server does not relay to this machine, 127.0.0.1 (403)") == 2
    assert "allowed-peer-ip" in table


def test_a_quota_that_is_used_up(settings: Settings, coturn: Coturn) -> None:
    settings.TURN_PROVIDERS = {"default": coturn.provider("udp")}
    options = settings.TURN_PROVIDERS["default"]["OPTIONS"]
    options["urls"] *= 25
    assert check_fails().count("allows this user no more allocations (486)") == 1


def test_nothing_to_try_and_an_unknown_provider(settings: Settings) -> None:
    with pytest.raises(CommandError, match="There is nothing to try"):
        check()
    settings.TURN_PROVIDERS = {}
    assert "TURN_PROVIDERS has no 'nobody'" in check_fails("nobody")
