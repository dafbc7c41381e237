"""Three hosts: a visitor, a site, and between them a relay that forwards nothing. Media can only go through coturn."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.certificate import own_certificate
from tests.coturn import running_coturn
from tests.network.namespaces import Host, cable, hosts
from tests.site.server import TOP, running_site

RELAY, VISITOR = "10.77.1.1", "10.77.1.2"
RELAY_AT_THE_SITE, SITE = "10.77.2.1", "10.77.2.2"


@pytest.fixture
def three_hosts() -> Iterator[list[Host]]:
    if os.geteuid() != 0:
        (pytest.fail if "CI" in os.environ else pytest.skip)("Network namespaces need root.")
    with hosts("visitor", "relay", "site") as (visitor, relay, site):
        cable(visitor, VISITOR, relay, RELAY)
        cable(site, SITE, relay, RELAY_AT_THE_SITE)
        yield [visitor, relay, site]


def test_a_session_where_only_the_relay_leads_to_the_site(three_hosts: list[Host], tmp_path: Path) -> None:
    visitor, relay, site = three_hosts
    route = subprocess.run([*visitor.within, "ip", "route", "get", SITE], capture_output=True, text=True)
    assert "Network is unreachable" in route.stderr
    with ExitStack() as running:
        coturn = running.enter_context(
            running_coturn(
                tmp_path,
                own_certificate(tmp_path),
                address=RELAY,
                relay_address=RELAY_AT_THE_SITE,
                peers=[SITE],
                within=relay.within,
            )
        )
        providers = {transport: coturn.provider(transport) for transport in ("udp", "tcp")}
        running.enter_context(running_site(tmp_path, turn_providers=providers, within=site.within))
        heard = visits(visitor, tmp_path / "socket", "plain-echo", "through-udp", "through-tcp")
    assert heard["plain-echo"] is None, "there is another way"
    assert heard["through-udp"] > 0.8
    assert heard["through-tcp"] > 0.8


def visits(visitor: Host, socket: Path, *streams: str) -> dict[str, Any]:
    command = [*visitor.within, sys.executable, "-m", "tests.network.visit", str(socket), *streams]
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, timeout=60, check=True)
    heard: dict[str, Any] = json.loads(done.stdout)
    return heard
