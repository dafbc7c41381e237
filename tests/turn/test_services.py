"""Who gets which ICE servers, and what happens when there should be some and are none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest
from pytest_django import Settings

from turn import services
from turn.cache import CredentialCache
from turn.ice_servers import problem
from turn.providers.base import Credentials, OutOfOrder, Provider
from turn.services import client_configuration, server_configuration

STUN = {"urls": "stun:stun.example.org"}
MINE = {"urls": "turn:mine.example.org", "username": "me", "credential": "secret-of-nobody"}


class Counting(Provider):
    """Gives its number and the user as the username; raises ``error``, if there is one."""

    asked: ClassVar[list[str]] = []
    error: ClassVar[Exception | None] = None
    hangs: ClassVar[bool] = False

    def __init__(self, name: str = "one") -> None:
        self.name = name

    def fetch_sync(self, user: str, ttl: int) -> Credentials:
        self.asked.append(user)
        if self.error:
            raise self.error
        server = {"urls": f"turn:{self.name}", "username": user, "credential": "secret-of-nobody"}
        return Credentials([server], 4e9)

    async def fetch(self, user: str, ttl: int) -> Credentials:
        if self.hangs:
            await asyncio.Event().wait()
        return self.fetch_sync(user, ttl)


class Shared(Counting):
    shared_by: ClassVar[Literal["nobody", "user", "everybody"]] = "everybody"


def entry(backend: str = "Counting", **more: Any) -> dict[str, Any]:
    return {"BACKEND": f"tests.turn.test_services.{backend}", **more}


@pytest.fixture(autouse=True)
def site(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(Counting, "asked", [])
    monkeypatch.setattr(services, "PATIENCE", 0.05)
    settings.STREAMS_ICE_SERVERS = [STUN]
    settings.STREAMS_SERVER_ICE_SERVERS = []
    settings.TURN_PROVIDERS = {"default": entry(), "other": entry(OPTIONS={"name": "two"})}
    yield settings
    services._given_ones.clear()


async def relay(**kwargs: Any) -> tuple[list[Any], str]:
    """The URLs for a visitor, and the word about the relay."""
    told = (await client_configuration("user-7", **kwargs)).for_client()
    return [server["urls"] for server in told["iceServers"]], told["relay"]


async def test_the_sites_list_and_then_the_default_provider() -> None:
    told = (await client_configuration("user-7")).for_client()
    assert told["iceServers"] == [STUN, {"urls": "turn:one", "username": "user-7", "credential": "secret-of-nobody"}]
    assert told["expires_in"] > 0
    assert "iceTransportPolicy" not in told


async def test_an_administrators_choice_comes_first_then_the_code_then_the_default() -> None:
    code = {"iceServers": [MINE]}
    assert (await relay())[0][-1] == "turn:one"
    assert (await relay(given=code))[0] == ["turn:mine.example.org"]
    assert (await relay(given=code, chosen="other"))[0][-1] == "turn:two"
    assert (await relay(chosen="other"))[0][-1] == "turn:two"


async def test_without_a_provider_the_sites_list_is_all(settings: Settings) -> None:
    settings.TURN_PROVIDERS = {"other": entry()}
    assert await relay() == (["stun:stun.example.org"], "none")
    settings.STREAMS_ICE_SERVERS = [MINE]
    assert await relay() == (["turn:mine.example.org"], "ready")


async def test_a_choice_that_is_gone_falls_back_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert (await relay(chosen="gone"))[0][-1] == "turn:one"
        assert (await relay(chosen="gone", given={"iceServers": [MINE]}))[0] == ["turn:mine.example.org"]
    (record,) = caplog.records
    assert "'gone': TURN_PROVIDERS does not have it" in record.getMessage()


async def test_a_provider_gets_no_name_that_tells_who_a_stranger_is() -> None:
    for _ in range(2):
        await client_configuration("")
    assert len(set(Counting.asked)) == 2, "strangers do not share a quota"


async def test_each_visitor_has_credentials_or_all_share_them(settings: Settings) -> None:
    for user in ("a", "b", "a"):
        await client_configuration(user)
    assert Counting.asked == ["a", "b"]
    settings.TURN_PROVIDERS = {"default": entry("Shared")}
    for user in ("a", "b", ""):
        await client_configuration(user)
    assert Counting.asked == ["a", "b", "everybody"]


@pytest.mark.parametrize("error", [OutOfOrder("It is down."), RuntimeError("a bug")])
async def test_a_failing_provider_refuses_nobody(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Counting, "error", error)
    for _ in range(3):
        assert await relay() == (["stun:stun.example.org"], "unavailable")
    assert len(Counting.asked) == 1
    (record,) = caplog.records
    assert (record.levelno, "connections do without" in record.getMessage()) == (logging.ERROR, True)

    monkeypatch.setattr(Counting, "error", None)
    services._provided_ones.clear()
    assert (await relay())[1] == "ready"
    assert "works again" in caplog.records[-1].getMessage()
    assert "secret-of-nobody" not in caplog.text


async def test_several_that_fail_are_told_once_each(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.TURN_PROVIDERS = {"default": entry("Missing"), "other": entry("Gone")}

    async def failing() -> None:
        raise ValueError

    async def working() -> dict[str, Any]:
        return {}

    for _ in range(2):
        await relay()
        await relay(chosen="other")
        await relay(given=failing)
        await relay(given=working)
        services._given_ones.clear()
    assert len(caplog.records) == 3, caplog.text


async def test_nor_does_one_whose_servers_no_browser_takes(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TURN_PROVIDERS = {"default": entry(OPTIONS={"name": "//two"})}
    assert await relay() == (["stun:stun.example.org"], "unavailable")
    assert "'turn://two', which is no address" in caplog.text


async def test_nor_does_one_that_hangs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(Counting, "hangs", True)
    assert await relay() == (["stun:stun.example.org"], "unavailable")
    assert "within 0.05 s" in caplog.text


@pytest.mark.parametrize("broken", [entry("Missing"), entry(OPTIONS={"no": 1}), "nonsense"])
async def test_nor_does_one_that_is_misconfigured(
    settings: Settings, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TURN_PROVIDERS = {"default": broken}
    assert await relay() == (["stun:stun.example.org"], "unavailable")
    assert "TURN_PROVIDERS['default']: " in caplog.text


async def test_relay_only_stays_when_the_relay_does_not(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TURN_PROVIDERS = {"default": entry(RELAY_ONLY=True)}
    assert (await client_configuration("a")).for_client()["iceTransportPolicy"] == "relay"
    monkeypatch.setattr(Counting, "error", OutOfOrder("down"))
    told = (await client_configuration("b")).for_client()
    assert (told["iceTransportPolicy"], told["relay"]) == ("relay", "unavailable"), "an address is not given away"


# -- what the code says -------------------------------------------------------------------------------------------


async def test_a_function_is_asked_for_each_connection_and_its_other_keys_are_passed_on() -> None:
    asked = 0

    async def given() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"iceServers": [MINE], "iceTransportPolicy": "relay", "iceCandidatePoolSize": 2}

    for _ in range(2):
        told = (await client_configuration(given=given)).for_client()
    assert told == {**(await given()), "relay": "ready"}
    assert asked == 3


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "it is a NoneType, not a dictionary"),
        ({"iceServers": [{"urls": "turn:a"}]}, 'a TURN server needs "username"'),
        ({"iceServers": 5}, "there is no list of ICE servers"),
        ({"iceTransportPolicy": "Relay"}, 'must be "all" or "relay"'),
        ({"certificates": object()}, "not JSON serializable"),
        (ValueError("hm"), "<locals>.given: It raised ValueError"),
        (asyncio.Event(), "within 0.05 s"),
    ],
)
async def test_a_function_that_fails_refuses_nobody(
    found: Any, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    async def given() -> Any:
        nonlocal asked
        asked += 1
        if isinstance(found, asyncio.Event):
            await found.wait()
        if isinstance(found, Exception):
            raise found
        return found

    for _ in range(2):
        assert await relay(given=given) == (["stun:stun.example.org"], "unavailable")
    assert asked == 1, "the second visitor does not wait for it"
    (record,) = caplog.records
    assert sentence in record.getMessage()


async def test_a_function_that_fails_leaves_relay_only_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [{"iceServers": [MINE], "iceTransportPolicy": "relay"}, ValueError("hm")]

    async def given() -> Any:
        if isinstance(found := answers.pop(0), Exception):
            raise found
        return found

    assert (await client_configuration(given=given)).relay == "ready"
    monkeypatch.setattr(services, "_given_ones", CredentialCache())
    failed = await client_configuration(given=given)
    assert (failed.relay, failed.ice_transport_policy) == ("unavailable", "relay")


async def test_a_dictionary_that_cannot_be_used_refuses_nobody(caplog: pytest.LogCaptureFixture) -> None:
    assert await relay(given={"iceServers": "turn:a"}) == (["stun:stun.example.org"], "unavailable")
    assert "there is no list of ICE servers" in caplog.text


# -- this server's own end ----------------------------------------------------------------------------------------


async def test_this_server_has_a_list_and_a_provider_of_its_own(settings: Settings) -> None:
    assert (await server_configuration()).ice_servers == []
    settings.STREAMS_SERVER_ICE_SERVERS = [STUN]
    settings.TURN_SERVER_PROVIDER = "other"
    found = await server_configuration()
    assert [server["urls"] for server in found.ice_servers] == ["stun:stun.example.org", "turn:two"]
    assert Counting.asked == ["server"]
    assert (await server_configuration({"iceServers": [MINE, STUN, STUN]})).ice_servers == [MINE, STUN]


async def test_a_malformed_list_refuses_nobody(settings: Settings) -> None:
    settings.STREAMS_ICE_SERVERS = ["turn:a", {"url": "turn:a"}, {"urls": "turn:me:secret-of-nobody@a"}, STUN]
    assert (await relay())[0] == ["stun:stun.example.org", "turn:one"]
    assert "secret-of-nobody" not in "".join(map(problem, settings.STREAMS_ICE_SERVERS))
    settings.STREAMS_ICE_SERVERS = "stun:a"
    assert (await relay())[0] == ["turn:one"]
