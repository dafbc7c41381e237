"""FastRTC's functions: arguments, environment, what they return and raise, as its documentation has them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.turn.test_providers import CLOUDFLARE, TWILIO
from turn import credentials
from turn.cache import CredentialCache
from turn.providers.base import Credentials, Provider, TurnError, WrongKey
from turn.providers.conformance import WAYS, Reply, StandIn

VARIABLES = (
    "HF_TOKEN",
    "CLOUDFLARE_TURN_KEY_ID",
    "CLOUDFLARE_TURN_KEY_API_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials, "_cache", CredentialCache())
    return monkeypatch


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn().running() as server:
        yield server


@pytest.fixture
def server(running: StandIn) -> StandIn:
    running.requests.clear()
    running.reply = Reply(201, json.dumps({**CLOUDFLARE, **TWILIO}).encode())
    return running


class Internet:
    """Calls the functions with a client that finds the stand-in server at every address."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.hosts: list[str] = []

    def _redirect(self, request: httpx.Request) -> None:
        self.hosts.append(request.url.host)
        request.url = httpx.URL(self.server.url).join(request.url.raw_path.decode())

    def call(self, way: str, name: str, *args: Any, **kwargs: Any) -> Any:
        if way == "sync":
            with httpx.Client(event_hooks={"request": [self._redirect]}) as client:
                return getattr(credentials, name)(*args, client=client, **kwargs)

        async def redirect(request: httpx.Request) -> None:
            self._redirect(request)

        async def ask() -> Any:
            async with httpx.AsyncClient(event_hooks={"request": [redirect]}) as client:
                return await getattr(credentials, f"{name}_async")(*args, client=client, **kwargs)

        return asyncio.run(ask())


@pytest.fixture
def internet(server: StandIn) -> Internet:
    return Internet(server)


@pytest.mark.parametrize("way", WAYS)
def test_cloudflare_with_keys(internet: Internet, environment: pytest.MonkeyPatch, way: str) -> None:
    found = internet.call(way, "get_cloudflare_turn_credentials", "id", "token", ttl=60)
    assert list(found) == ["iceServers"]
    assert found["iceServers"][1]["username"] == "bc91"
    environment.setenv("CLOUDFLARE_TURN_KEY_ID", "id2")
    environment.setenv("CLOUDFLARE_TURN_KEY_API_TOKEN", "token2")
    internet.call(way, "get_turn_credentials")
    first, second = internet.server.requests
    assert internet.hosts == ["rtc.live.cloudflare.com"] * 2
    assert (first.path.split("/")[4], first.headers["Authorization"], first.body) == (
        "id",
        "Bearer token",
        b'{"ttl":60}',
    )
    assert (second.path.split("/")[4], second.headers["Authorization"]) == ("id2", "Bearer token2")
    assert json.loads(second.body) == {"ttl": 600}


@pytest.mark.parametrize("way", WAYS)
def test_a_hugging_face_token_comes_first(internet: Internet, environment: pytest.MonkeyPatch, way: str) -> None:
    internet.call(way, "get_cloudflare_turn_credentials", "id", "token", hf_token="hf_1")
    environment.setenv("HF_TOKEN", "hf_2")
    internet.call(way, "get_turn_credentials", method="cloudflare", ttl=360_000)
    assert internet.hosts == ["turn.fastrtc.org"] * 2
    assert [asked.headers["Authorization"] for asked in internet.server.requests] == ["Bearer hf_1", "Bearer hf_2"]
    assert [asked.path for asked in internet.server.requests] == ["/credentials?ttl=600", "/credentials?ttl=360000"]


@pytest.mark.parametrize("way", WAYS)
def test_the_community_server_is_deprecated(internet: Internet, environment: pytest.MonkeyPatch, way: str) -> None:
    with pytest.warns(DeprecationWarning, match="get_cloudflare_turn_credentials"):
        assert internet.call(way, "get_hf_turn_credentials", "hf_1")["iceServers"]
    environment.setenv("HF_TOKEN", "hf_2")
    with pytest.warns(DeprecationWarning):
        internet.call(way, "get_turn_credentials", method="hf")
    assert [asked.headers["Authorization"] for asked in internet.server.requests] == ["Bearer hf_1", "Bearer hf_2"]


@pytest.mark.parametrize("way", WAYS)
def test_twilio_is_for_a_relay_only(internet: Internet, environment: pytest.MonkeyPatch, way: str) -> None:
    found = internet.call(way, "get_twilio_turn_credentials", twilio_sid="AC1", twilio_token="t")
    assert (set(found), found["iceTransportPolicy"]) == ({"iceServers", "iceTransportPolicy"}, "relay")
    environment.setenv("TWILIO_ACCOUNT_SID", "AC2")
    environment.setenv("TWILIO_AUTH_TOKEN", "t")
    internet.call(way, "get_turn_credentials", method="twilio")
    assert [asked.path.split("/")[3] for asked in internet.server.requests] == ["AC1", "AC2"]


@pytest.mark.parametrize("way", WAYS)
def test_what_one_returned_is_returned_again(internet: Internet, way: str) -> None:
    for token in ("a", "a", "b"):
        found = internet.call(way, "get_cloudflare_turn_credentials", hf_token=token)
        found["iceServers"].clear()  # a caller's own, to do with as they like
    assert len(internet.server.requests) == 2
    assert internet.call(way, "get_cloudflare_turn_credentials", hf_token="a")["iceServers"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("get_cloudflare_turn_credentials", ["HF_TOKEN", "CLOUDFLARE_TURN_KEY_ID", "CLOUDFLARE_TURN_KEY_API_TOKEN"]),
        ("get_hf_turn_credentials", ["HF_TOKEN"]),
        ("get_twilio_turn_credentials", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missing_key_is_a_value_error(internet: Internet, name: str, variables: list[str], way: str) -> None:
    with pytest.raises(ValueError, match="Set ") as caught:
        internet.call(way, name)
    assert all(variable in str(caught.value) for variable in variables)


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_method_is_a_value_error(internet: Internet, way: str) -> None:
    with pytest.raises(ValueError, match="cloudflare, hf, twilio"):
        internet.call(way, "get_turn_credentials", method="smoke")


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_an_error_of_its_kind(internet: Internet, way: str) -> None:
    internet.server.reply = Reply(401)
    with pytest.raises(WrongKey) as caught:
        internet.call(way, "get_cloudflare_turn_credentials", hf_token="a")
    assert isinstance(caught.value, TurnError)


def test_an_async_client_is_passed_over_by_sync_code(environment: pytest.MonkeyPatch) -> None:
    """FastRTC's documentation names one for the sync function, too."""
    asked: list[Any] = []

    def fetch_sync(self: Provider, user: str, ttl: int, client: Any) -> Credentials:
        asked.append(client)
        return Credentials([])

    environment.setattr(credentials.HuggingFace, "fetch_sync", fetch_sync)
    credentials.get_cloudflare_turn_credentials(hf_token="a", client=httpx.AsyncClient())
    assert asked == [None]
