from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from turn.services import client_configuration, server_configuration

TURN = {"urls": ["turn:turn.example.org:3478"], "username": "me", "credential": "secret"}
STUN = {"urls": "stun:stun.example.org"}


def messages() -> list[str]:
    return [message.msg for message in run_checks() if message.id == "turn.E001"]


async def test_clients_and_server_have_their_own_lists(settings: Settings) -> None:
    settings.STREAMS_ICE_SERVERS = [STUN, TURN]
    settings.STREAMS_SERVER_ICE_SERVERS = []
    assert (await client_configuration()).for_client() == {"iceServers": [STUN, TURN], "relay": "ready"}
    assert (await server_configuration()).ice_servers == []
    assert messages() == []


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("stun:stun.example.org", "STREAMS_ICE_SERVERS must be a list of dictionaries."),
        ([{"url": "stun:a"}], 'STREAMS_ICE_SERVERS[0]: must be a dictionary with the key "urls".'),
        ([STUN, {"urls": "http://a"}], 'STREAMS_ICE_SERVERS[1]: "urls" must start with one of'),
        ([{"urls": []}], '"urls" must start with one of'),
        ([{"urls": "turn:a"}], 'a TURN server needs "username" and "credential".'),
        ([{**STUN, "password": "x"}], "has unknown keys: password."),
    ],
)
def test_malformed_settings_are_named(settings: Settings, value: Any, sentence: str) -> None:
    settings.STREAMS_ICE_SERVERS = value
    assert sentence in messages()[0]
