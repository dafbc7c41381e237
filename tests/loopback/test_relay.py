"""Sessions through a real TURN server: Debian's coturn, with both kinds of credentials."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from django.test import AsyncClient
from pytest_django import Settings

from tests.coturn import Coturn, Transport
from tests.listening import find
from tests.loopback.conftest import MakePeer, poster
from tests.loopback.peer import RATE, Peer
from tests.loopback.test_conversation import spoken

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture(params=["secret", "password"])
def server(request: pytest.FixtureRequest) -> Coturn:
    """One for each kind of credentials."""
    found: Coturn = request.getfixturevalue({"secret": "coturn", "password": "coturn_users"}[request.param])
    return found


async def configuration() -> dict[str, Any]:
    """What the site gives a visitor."""
    response = await AsyncClient().get("/api/streams/echo-live/rtc_configuration")
    given: dict[str, Any] = response.json()
    return given


def candidates(sdp: str) -> set[str]:
    """Their types."""
    return set(re.findall(r"^a=candidate:.* typ (\w+)", sdp, re.M))


async def hears_its_echo(client: Peer) -> None:
    said = spoken(1)[RATE // 2 : RATE]
    client.voice.say(np.tile(said, 2))
    await client.hears(0.5)
    assert find(said[RATE // 8 : RATE // 4], np.concatenate(client.heard))[1] > 0.8


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_audio_goes_through_the_relay_and_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, peer: MakePeer, server: Coturn, transport: Transport
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    settings.TURN_PROVIDERS = {"default": server.provider(transport, RELAY_ONLY=True)}
    client = peer(configuration=await configuration())
    await client.connect(poster("echo-live"))
    assert candidates(client.pc.localDescription.sdp) == {"relay"}
    await hears_its_echo(client)


async def test_the_servers_own_end_goes_through_its_relay(settings: Settings, peer: MakePeer, coturn: Coturn) -> None:
    settings.TURN_PROVIDERS = {"own": coturn.provider("udp", RELAY_ONLY=True)}
    settings.TURN_SERVER_PROVIDER = "own"
    client = peer()
    answer = await client.connect(poster("echo-live"))
    assert candidates(answer["sdp"]) == {"relay"}
    await hears_its_echo(client)


async def test_expired_credentials_give_no_relay(peer: MakePeer, coturn: Coturn) -> None:
    expired = {"iceServers": [coturn.ice_server("udp", lifetime=-60)], "iceTransportPolicy": "relay"}
    offer = await peer(configuration=expired).offer()
    assert candidates(offer["sdp"]) == set()
