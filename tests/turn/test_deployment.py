"""What deploy/coturn holds: the configuration does what its comments say, and the template carries the same files."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import ssl
import subprocess
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import TurnClientUdpProtocol

from tests.certificate import own_certificate
from tests.coturn import CONFIGURATION, REALM, Coturn, running_coturn
from turn.allocation import Stage, Trial, try_servers

FOLDER = CONFIGURATION.parent
TEMPLATE = (FOLDER / "cloudformation.yaml").read_text()


def user_data() -> str:
    return textwrap.dedent(TEMPLATE.split("Fn::Sub: |\n")[1].split("\n  Started:")[0])


@pytest.mark.parametrize("name", ["turnserver.conf", "privileged-ports.conf", "renewed-certificate"])
def test_the_template_carries_the_files_beside_it(name: str) -> None:
    assert f"<<'END'\n{(FOLDER / name).read_text()}END\n" in user_data()


def test_the_user_data_is_a_script_that_fits() -> None:
    """Into the 16 KiB that EC2 takes."""
    script = user_data()
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert len(script) < 15_000


async def tried(server: Coturn, **different: str) -> Trial:
    [trial] = await try_servers([{**server.ice_server("udp"), **different}])
    return trial


async def test_nobody_relays_without_credentials(coturn: Coturn) -> None:
    trial = await tried(coturn, username="", credential="")
    assert trial.stage is Stage.ALLOCATION
    assert "(401)" in trial.words


FORBIDDEN = [
    *("10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "198.18.0.1", "224.0.0.1", "127.0.0.1"),
]
OUTSIDE = ["9.255.255.255", "172.32.0.1", "192.167.255.255", "100.128.0.1", "198.20.0.1", "223.255.255.255"]


async def test_the_relay_keeps_out_of_private_networks_and_of_itself(tmp_path: Path) -> None:
    async def allowed(number: int, peer: str) -> bool:
        try:
            await client.channel_bind(0x4000 + number, (peer, 9))
        except TransactionFailed as error:
            assert error.response.error_code == 403, error
            return False
        return True

    with running_coturn(tmp_path, own_certificate(tmp_path), peers=()) as server:
        address, given = (server.address, server.port), server.ice_server("udp")
        made = TurnClientUdpProtocol(address, given["username"], given["credential"], 600, 500)
        _, client = await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, remote_addr=address)
        await client.connect()
        peers = [*FORBIDDEN, *OUTSIDE]
        assert [peer for number, peer in enumerate(peers) if await allowed(number, peer)] == OUTSIDE
        await client.delete()


async def test_a_secret_is_replaced_without_a_restart(tmp_path: Path) -> None:
    """As the guide has it: the new one beside the old one, then the old one goes."""
    with running_coturn(tmp_path, own_certificate(tmp_path)) as server, closing(sqlite3.connect(server.database)) as db:
        old, server.secret = server.ice_server("udp"), "a newer secret"
        assert not (await tried(server)).passed
        with db:
            db.execute("INSERT INTO turn_secret (realm, value) VALUES (?, ?)", (REALM, server.secret))
        assert (await tried(server)).passed
        assert (await tried(server, **{key: old[key] for key in ("username", "credential")})).passed
        with db:
            db.execute("DELETE FROM turn_secret WHERE value != ?", (server.secret,))
        assert (await tried(server)).passed
        assert not (await tried(server, **{key: old[key] for key in ("username", "credential")})).passed


def test_a_renewed_certificate_is_served_after_a_signal(tmp_path: Path) -> None:
    with running_coturn(tmp_path, own_certificate(tmp_path)) as server:
        address = server.address, server.tls_port
        before = ssl.get_server_certificate(address)
        own_certificate(tmp_path)
        server.process.send_signal(signal.SIGUSR2)
        for _ in range(1000):
            if ssl.get_server_certificate(address) != before:
                return
    pytest.fail("coturn goes on with the old certificate")
