"""System checks: what cannot work, or not for everybody, is told before the first visitor finds it out."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from turn.checks import CHECKS, DEPLOY_CHECKS
from turn.providers.conformance import WAYS

TURN = {"urls": ["turn:turn.example.org:3478"], "username": "me", "credential": "secret"}
STUN = {"urls": "stun:stun.example.org"}
COTURN = {"BACKEND": "turn.providers.coturn.Coturn", "OPTIONS": {"urls": "turn:a", "secret": "s"}}


def static(*servers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"BACKEND": "turn.providers.static.Static", "OPTIONS": {"ice_servers": list(servers)}, **more}


def found(**kwargs: Any) -> list[CheckMessage]:
    return [message for check in (*CHECKS, *DEPLOY_CHECKS) for message in check(**kwargs)]


def ids() -> list[str]:
    return [str(message.id) for message in found()]


@pytest.fixture(autouse=True)
def deployed(settings: Settings) -> Settings:
    settings.DEBUG = False
    settings.STREAMS_ICE_SERVERS = [STUN, TURN]
    settings.STREAMS_SERVER_ICE_SERVERS = []
    settings.TURN_PROVIDERS = {}
    settings.TURN_SERVER_PROVIDER = ""
    return settings


def test_what_is_right_is_not_told(settings: Settings) -> None:
    assert ids() == []
    settings.STREAMS_ICE_SERVERS = []
    settings.TURN_PROVIDERS = {"default": COTURN, "office": static(TURN, RELAY_ONLY=True)}
    settings.TURN_SERVER_PROVIDER = "office"
    assert ids() == []


@pytest.mark.parametrize("name", ["STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS"])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("stun:stun.example.org", " must be a list of dictionaries."),
        ([{"url": "stun:a"}], '[0]: must be a dictionary with the key "urls".'),
        ([STUN, {"urls": "http://a"}], '[1]: "urls" must start with one of'),
        ([{"urls": []}], '[0]: "urls" must start with one of'),
        ([{"urls": "turn://a"}], "which is no address such as"),
        ([{"urls": "turn:a"}], '[0]: a TURN server needs "username" and "credential".'),
        ([{**STUN, "password": "x"}], "[0]: has unknown keys: password."),
    ],
)
def test_malformed_lists_are_named(settings: Settings, name: str, value: Any, sentence: str) -> None:
    setattr(settings, name, value)
    (message,) = [message for message in run_checks() if message.id == "turn.E001"]
    assert name in message.msg
    assert sentence in message.msg


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("coturn", 'must be a dictionary with a "BACKEND"'),
        ({}, 'must be a dictionary with a "BACKEND"'),
        ({"BACKEND": "turn.providers.smoke.Smoke"}, "the BACKEND turn.providers.smoke.Smoke cannot be imported"),
        ({"BACKEND": "turn.providers.coturn.Smoke"}, "the BACKEND turn.providers.coturn.Smoke cannot be imported"),
        ({"BACKEND": "turn.providers.base.Credentials"}, "is no subclass of turn.providers.base.Provider"),
        ({"BACKEND": "turn.providers.coturn.Coturn"}, "the OPTIONS do not fit turn.providers.coturn.Coturn"),
        ({**COTURN, "OPTIONS": {"urls": "turn:a", "secret": ""}}, "secret must be the shared secret"),
        ({**COTURN, "OPTIONS": ["turn:a"]}, "the OPTIONS do not fit"),
        (
            {"BACKEND": "turn.providers.cloudflare.Cloudflare", "OPTIONS": {"key_id": "", "token": "t"}},
            "key_id is missing. Set CLOUDFLARE_TURN_KEY_ID",
        ),
        ({**COTURN, "TTL": "an hour"}, '"TTL" must be a number of seconds'),
        ({**COTURN, "TIMEOUT": 3}, "has unknown keys: TIMEOUT"),
    ],
)
def test_providers_that_cannot_be_made_are_named(settings: Settings, entry: Any, sentence: str) -> None:
    settings.TURN_PROVIDERS = {"default": COTURN, "bad": entry}
    (message,) = [message for message in run_checks() if message.id == "turn.E002"]
    assert message.msg.startswith("TURN_PROVIDERS['bad']: ")
    assert sentence in message.msg


def test_providers_are_a_dictionary(settings: Settings) -> None:
    settings.TURN_PROVIDERS = ["coturn"]
    assert ids() == ["turn.E002"]


def test_the_servers_own_provider_is_one_of_them(settings: Settings) -> None:
    settings.TURN_PROVIDERS = {"default": COTURN}
    settings.TURN_SERVER_PROVIDER = "office"
    (message,) = found()
    assert (message.id, "'office', but TURN_PROVIDERS has default" in message.msg) == ("turn.E003", True)


def test_relay_only_needs_a_relay(settings: Settings) -> None:
    settings.TURN_PROVIDERS = {"office": static(STUN, RELAY_ONLY=True)}
    assert ids() == [], "the site's own list has one"
    settings.STREAMS_ICE_SERVERS = [STUN]
    assert "turn.E004" in ids()


def test_no_relay_is_told_when_deploying(settings: Settings) -> None:
    settings.STREAMS_ICE_SERVERS = [STUN]
    assert ids() == ["turn.W001"]
    assert [message.id for message in run_checks() if message.id == "turn.W001"] == []
    assert [message.id for message in run_checks(include_deployment_checks=True) if message.id == "turn.W001"]
    settings.TURN_PROVIDERS = {"default": static(STUN), "office": COTURN}
    assert ids() == ["turn.W001"], "no stream need choose the other one"
    settings.TURN_PROVIDERS = {"default": static(TURN)}
    assert ids() == []
    settings.TURN_PROVIDERS = {}
    settings.DEBUG = True
    assert ids() == []


def test_what_aiortc_passes_over_is_counted(settings: Settings) -> None:
    settings.STREAMS_SERVER_ICE_SERVERS = [{"urls": ["stun:a", "stun:b"]}, TURN]
    (message,) = found()
    assert (message.id, "has 2 STUN addresses" in message.msg) == ("turn.W002", True)
    settings.STREAMS_SERVER_ICE_SERVERS = [TURN]
    settings.TURN_PROVIDERS = {"office": static(TURN)}
    settings.TURN_SERVER_PROVIDER = "office"
    (message,) = found()
    assert "has 2 TURN addresses" in message.msg
    settings.STREAMS_SERVER_ICE_SERVERS, settings.STREAMS_ICE_SERVERS = [], [TURN, TURN, STUN, STUN]
    assert ids() == [], "browsers use all"


@pytest.mark.parametrize("where", ["STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS", "TURN_PROVIDERS"])
@pytest.mark.parametrize(("username", "expired"), [(-60, True), (3600, False), (None, False)])
def test_expired_credentials_are_named(settings: Settings, where: str, username: int | None, expired: bool) -> None:
    timed = {**TURN, "username": f"{int(time.time()) + username}:ada" if username else "ada"}
    setattr(settings, where, {"default": static(timed)} if where == "TURN_PROVIDERS" else [timed])
    messages = [message for message in found() if message.id == "turn.W003"]
    assert len(messages) == expired
    assert all(
        where in message.msg and "turn:turn.example.org:3478 expired on 2" in message.msg for message in messages
    )


GUIDE = (Path(__file__).parents[2] / "docs" / "turn.md").read_text()
BLOCKS = [
    compile(block, "docs/turn.md", "exec", dont_inherit=True)
    for block in re.findall(r"^```py\n(.*?)^```", GUIDE, re.S | re.M)
]


def test_the_guides_settings_are_sound(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TURN_SECRET", "TURN_KEY", "TURN_TOKEN"):
        monkeypatch.setenv(name, "secret-of-nobody")
    written: dict[str, Any] = {"os": os}
    exec(BLOCKS[0], written)
    settings.TURN_PROVIDERS, settings.STREAMS_ICE_SERVERS = written["TURN_PROVIDERS"], written["STREAMS_ICE_SERVERS"]
    assert ids() == []


def test_the_guides_provider_keeps_the_contract() -> None:
    written: dict[str, Any] = {"pytest": pytest, "__name__": "docs"}
    exec(BLOCKS[1], written)
    contract, provider = written["TestVault"](), written["Vault"]("secret-of-nobody")
    for way in WAYS:
        contract.test_it_gives_a_relay(provider, way)
    contract.assert_no_secret(repr(provider))


def test_the_guide_has_every_check() -> None:
    code = "".join(path.read_text() for path in (Path(__file__).parents[2] / "turn").rglob("*.py"))
    assert set(re.findall(r"turn\.[EW]\d{3}", code)) <= set(re.findall(r"turn\.[EW]\d{3}", GUIDE))
