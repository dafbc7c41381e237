"""Each provider keeps the contract, and asks as its service's documentation says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from turn.providers.base import Credentials, Misconfigured, Provider
from turn.providers.cloudflare import Cloudflare
from turn.providers.conformance import (
    RELAY_PASSWORD,
    TTL,
    WAYS,
    HTTPProviderContract,
    ProviderContract,
    Reply,
    StandIn,
    fetched,
)
from turn.providers.coturn import Coturn
from turn.providers.huggingface import HuggingFace
from turn.providers.static import Static
from turn.providers.twilio import Twilio

SECRET = "secret-of-nobody"
RELAY = {"urls": "turn:turn.example.org", "username": "me", "credential": RELAY_PASSWORD}

CLOUDFLARE = {
    "iceServers": [
        {"urls": ["stun:stun.cloudflare.com:3478", "stun:stun.cloudflare.com:53"]},
        {
            "urls": [
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:53?transport=udp",
                "turn:turn.cloudflare.com:3478?transport=tcp",
                "turns:turn.cloudflare.com:5349?transport=tcp",
            ],
            "username": "bc91",
            "credential": RELAY_PASSWORD,
        },
    ]
}
TWILIO: dict[str, Any] = {
    "ttl": str(TTL),
    "username": "dc2d",
    "password": RELAY_PASSWORD,
    "account_sid": "AC0",
    "ice_servers": [
        {"url": "stun:global.stun.twilio.com:3478", "urls": "stun:global.stun.twilio.com:3478"},
        {
            "url": "turn:global.turn.twilio.com:3478?transport=udp",
            "urls": "turn:global.turn.twilio.com:3478?transport=udp",
            "username": "dc2d",
            "credential": RELAY_PASSWORD,
        },
    ],
}


class TestStatic(ProviderContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return Static([RELAY])


class TestCoturn(ProviderContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return Coturn("turn:turn.example.org", SECRET)

    def test_the_credential_is_the_drafts(self) -> None:
        before = int(time.time())
        found = Coturn(["stun:a", "turn:a:3478", "turns:a"], SECRET).fetch_sync("user-7", 60)
        assert found.expires_at is not None
        stun, turn = found.ice_servers
        assert stun == {"urls": ["stun:a"]}, "no credentials for STUN"
        expiry, _, user = turn["username"].partition(":")
        assert (int(expiry), user) == (found.expires_at, "user-7")
        assert before + 60 <= found.expires_at <= time.time() + 60
        digest = hmac.digest(SECRET.encode(), turn["username"].encode(), hashlib.sha1)
        assert base64.b64decode(turn["credential"]) == digest
        assert turn["urls"] == ["turn:a:3478", "turns:a"]


class TestCloudflare(HTTPProviderContract):
    good = json.dumps(CLOUDFLARE).encode()
    without_relay = b'{"iceServers": {"urls": ["stun:a"]}}'

    def make(self, base_url: str, timeout: float) -> Provider:
        return Cloudflare(key_id="key-1", token=SECRET, base_url=base_url, timeout=timeout)

    @pytest.mark.parametrize("way", WAYS)
    def test_the_request(self, provider: Provider, server: StandIn, way: str) -> None:
        server.reply = Reply(201, self.good)
        found = fetched(provider, way)
        (asked,) = server.requests
        assert (asked.method, asked.path) == ("POST", "/turn/keys/key-1/credentials/generate-ice-servers")
        assert asked.headers["Authorization"] == f"Bearer {SECRET}"
        assert json.loads(asked.body) == {"ttl": TTL}
        assert [server["urls"] for server in found.ice_servers] == [
            ["stun:stun.cloudflare.com:3478"],
            [
                "turn:turn.cloudflare.com:3478?transport=udp",
                "turn:turn.cloudflare.com:3478?transport=tcp",
                "turns:turn.cloudflare.com:5349?transport=tcp",
            ],
        ], "all but port 53, which browsers refuse"


class TestHuggingFace(HTTPProviderContract):
    good = json.dumps({"iceServers": CLOUDFLARE["iceServers"][1]}).encode()
    without_relay = TestCloudflare.without_relay

    def make(self, base_url: str, timeout: float) -> Provider:
        return HuggingFace(token=SECRET, base_url=base_url, timeout=timeout)

    @pytest.mark.parametrize("way", WAYS)
    def test_the_request(self, provider: Provider, server: StandIn, way: str) -> None:
        fetched(provider, way)
        (asked,) = server.requests
        assert (asked.method, asked.path) == ("GET", f"/credentials?ttl={TTL}")
        assert asked.headers["Authorization"] == f"Bearer {SECRET}"


class TestTwilio(HTTPProviderContract):
    good = json.dumps(TWILIO).encode()
    without_relay = b'{"ice_servers": [{"urls": "stun:a"}]}'

    def make(self, base_url: str, timeout: float) -> Provider:
        return Twilio(account_sid="AC0", auth_token=SECRET, base_url=base_url, timeout=timeout)

    @pytest.mark.parametrize("way", WAYS)
    def test_the_request(self, provider: Provider, server: StandIn, way: str) -> None:
        server.reply = Reply(201, json.dumps({**TWILIO, "ttl": "60"}).encode())
        before = time.time()
        found = fetched(provider, way)
        (asked,) = server.requests
        assert (asked.method, asked.path) == ("POST", "/Accounts/AC0/Tokens.json")
        assert base64.b64decode(asked.headers["Authorization"].removeprefix("Basic ")) == f"AC0:{SECRET}".encode()
        assert asked.body == f"Ttl={TTL}".encode()
        assert found.ice_servers[0] == {"urls": "stun:global.stun.twilio.com:3478"}, "without the old name, url"
        assert found.expires_at is not None
        assert before + 60 <= found.expires_at <= time.time() + 60, "what Twilio says counts"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Static("turn:a"), "ice_servers must be a list"),  # type: ignore[arg-type]
        (lambda: Static([{"urls": "turn:a"}]), "ice_servers[0]: a TURN server needs"),
        (lambda: Coturn("turn:a", ""), "secret must be"),
        (lambda: Coturn("stun:a", SECRET), "the address of the TURN server"),
        (lambda: Coturn([], SECRET), "must start with one of"),
        (lambda: Coturn("turn://a", SECRET), "which is no address"),
        (lambda: Cloudflare(key_id="", token=SECRET), "key_id is missing. Set CLOUDFLARE_TURN_KEY_ID and"),
        (lambda: HuggingFace(token="hf\n"), "token has characters that no key"),
        (lambda: Twilio(account_sid="AC0", auth_token="ü"), "auth_token has characters that no key"),
        (lambda: HuggingFace(token=SECRET, timeout=0), "timeout must be"),
    ],
)
def test_what_cannot_work_is_said_at_once(make: Any, sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        make()
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value)


def test_credentials_as_browsers_take_them() -> None:
    assert Credentials([RELAY]).configuration() == {"iceServers": [RELAY]}
    assert Credentials([RELAY], None, "relay").configuration()["iceTransportPolicy"] == "relay"
