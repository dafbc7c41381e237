"""How the server's end of a connection gathers: what it waits for, binds and announces, and that it lets go of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest
from aioice import Candidate, Connection
from aioice.ice import StunProtocol, relayed_candidate
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from streams.media.errors import NoCandidates, PortsExhausted
from streams.media.session import Reason
from streams.media.transports import ice
from streams.media.transports.diagnosis import Stage
from streams.media.transports.ice import IceConfig, IceConnection, host_candidate
from streams.media.transports.webrtc import WebRTCConfig
from tests.coturn import Coturn
from tests.media.transports.test_webrtc import Call, offer
from tests.media.virtual_time import now

real_time = pytest.mark.real_time
CREDENTIALS = {"username": "u", "credential": "c"}


# -- how long an answer waits, on a virtual clock


def gathering(patience: float, *lookups: float, hosts: int = 1) -> IceConnection:
    """A connection with host candidates, that has asked servers that answer after so many seconds."""
    connection = IceConnection.adopt(Connection(ice_controlling=False), IceConfig(patience=patience))
    connection._gathered = [host_candidate(1, "192.0.2.1", 5000 + n) for n in range(hosts)]

    async def answer(seconds: float) -> tuple[Candidate, None]:
        await asyncio.sleep(seconds)
        return host_candidate(1, "203.0.113.1", 9), None

    for seconds in lookups:
        task = asyncio.create_task(connection._look_up("STUN", "192.0.2.1", partial(answer, seconds)))
        connection._lookups.add(task)
        task.add_done_callback(connection._lookups.discard)
    return connection


@pytest.mark.parametrize(
    ("lookups", "hosts", "waited", "found"),
    [
        ((), 1, 0.0, 1),
        ((0.1,), 1, 0.1, 2),
        ((0.1, 60.0), 1, 0.3, 2),
        ((60.0,), 1, 0.3, 1),
        ((2.0, 60.0), 0, 2.0, 1),
        ((60.0,), 0, ice.LOOKUP_SECONDS, 0),
    ],
)
async def test_an_answer_waits_a_moment_or_until_there_is_something_to_say(
    lookups: tuple[float, ...], hosts: int, waited: float, found: int
) -> None:
    connection = gathering(0.3, *lookups, hosts=hosts)
    began = now()
    await connection._enough()
    assert now() - began == pytest.approx(waited, abs=1e-3)
    assert len(connection._gathered) == found
    await connection.close()


async def test_silent_servers_are_given_up_in_the_end() -> None:
    connection = gathering(0.3, 60.0)
    began = now()
    await connection.all_gathered()
    assert now() - began == pytest.approx(ice.LOOKUP_SECONDS)


# -- with real sockets


@pytest.fixture
def silent() -> Iterator[Callable[[str], dict[str, Any]]]:
    """An ICE server that takes what it is sent, and says nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.bind(("127.0.0.1", 0))
        ports = {"udp": udp.getsockname()[1], "tcp": tcp.getsockname()[1]}
        urls = {
            "stun": f"stun:127.0.0.1:{ports['udp']}",
            "turn, UDP": f"turn:127.0.0.1:{ports['udp']}",
            "turn, TCP": f"turn:127.0.0.1:{ports['tcp']}?transport=tcp",
            "turn, TLS": f"turns:127.0.0.1:{ports['tcp']}?transport=tcp",
        }
        yield lambda kind: {"urls": urls[kind], **(CREDENTIALS if "turn" in kind else {})}


Answered = Callable[..., Awaitable[tuple[Call, str]]]


@pytest.fixture
async def answered() -> AsyncIterator[Answered]:
    """Answer an offer, with a configuration of the server's end."""
    calls: list[Call] = []

    async def answer(sdp: str = "", servers: Any = (), relay_only: bool = False, **config: Any) -> tuple[Call, str]:
        call = Call(WebRTCConfig(ice_servers=servers, relay_only=relay_only, ice=IceConfig(**config)))
        calls.append(call)
        return call, await call.answer(sdp or await offer("audio"))

    yield answer
    for call in calls:
        await call.session.close(Reason.OFFER_FAILED)


def candidates(sdp: str) -> list[Any]:
    """Once, though each medium has them."""
    return [candidate_from_sdp(line) for line in dict.fromkeys(re.findall(r"a=candidate:(.*)\r\n", sdp))]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@real_time
@pytest.mark.parametrize("kind", ["stun", "turn, UDP", "turn, TCP", "turn, TLS"])
async def test_an_answer_leaves_while_a_server_is_silent(
    answered: Answered, silent: Callable[[str], dict[str, Any]], kind: str
) -> None:
    sdp = await offer("audio")
    await asyncio.sleep(0)  # what it closed leaves the loop
    before = descriptors()
    call, answer = await answered(sdp, [silent(kind)], patience=0.01)
    assert {each.type for each in candidates(answer)} == {"host"}
    assert "end-of-candidates" not in answer, "more may come"
    assert call.transport._ice is not None and call.transport._ice.is_gathering
    async with asyncio.timeout(ice.LOOKUP_SECONDS / 2):  # it is not waited for at the end either
        await call.session.close(Reason.OFFER_FAILED)
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert descriptors() == before


@real_time
async def test_names_that_cannot_be_resolved_do_not_hold_an_answer_back(answered: Answered) -> None:
    sdp = (await offer("audio")).replace(
        "a=candidate:", "a=candidate:1 1 udp 9 nobody.local 9 typ host\r\na=candidate:"
    )
    call, answer = await answered(sdp)
    assert "end-of-candidates" in answer
    assert call.transport._ice is not None
    assert call.transport._ice._remote_candidates_resolving, "it is looked for all the same"


@real_time
async def test_a_silent_name_server_holds_one_thread_for_all_offers(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = list[str](), threading.Event()

    def silent(host: str, *args: Any) -> Any:
        asked.append(host)
        answers.wait(20)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(socket, "gethostbyname", silent)
    calls = [await answered(servers=[{"urls": "stun:stun.example.org"}], patience=0.05) for _ in range(3)]
    assert asked == ["stun.example.org"]
    answers.set()
    for call, _ in calls:
        assert call.transport._ice is not None
        await call.transport._ice.all_gathered()
    assert asked == ["stun.example.org"], "what does not resolve is not asked for by aioice"


@real_time
async def test_ports_come_out_of_the_range_until_it_is_used_up(answered: Answered) -> None:
    with contextlib.ExitStack() as stack:
        taken = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        taken.bind(("127.0.0.1", 0))
        first = taken.getsockname()[1]
        _, sdp = await answered(ports=(first, first + 1), bind_addresses=["127.0.0.1"])
        assert {each.port for each in candidates(sdp)} == {first + 1}
        with pytest.raises(PortsExhausted):
            await answered(ports=(first, first + 1), bind_addresses=["127.0.0.1"])


@real_time
async def test_public_addresses_are_announced_in_place_of_the_interfaces_own(answered: Answered) -> None:
    public = ["203.0.113.5", "203.0.113.6", "2001:db8::5"]
    _, sdp = await answered(bind_addresses=["127.0.0.1"], public_addresses=public)
    found = candidates(sdp)
    assert [each.ip for each in found] == public[:2], "of the same IP version, in order"
    assert found[0].priority > found[1].priority
    assert len({each.port for each in found}) == 1
    assert "127.0.0.1" not in "".join(re.findall("a=candidate.*", sdp))


@real_time
async def test_a_session_connects_by_the_announced_address(answered: Answered) -> None:
    """What is announced is loopback's, what is bound another: the client reaches one through the other."""
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.createDataChannel("text")
    await client.setLocalDescription(await client.createOffer())
    own = candidates(client.localDescription.sdp)[0].ip
    call, sdp = await answered(client.localDescription.sdp, bind_addresses=["0.0.0.0"], public_addresses=[own])
    assert [each.ip for each in candidates(sdp)] == [own]
    call.session.connecting()
    await client.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await until(lambda: call.transport.report is not None)
    assert call.transport.report is not None and call.transport.report.stage is Stage.CONNECTED
    await client.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - aioice announces nothing
            await asyncio.sleep(0.01)


# -- with a real TURN server


@real_time
async def test_a_late_relay_is_told_when_the_clients_candidates_have_ended(answered: Answered, coturn: Coturn) -> None:
    call, sdp = await answered(servers=[coturn.ice_server("udp")], patience=0.0)
    assert {each.type for each in candidates(sdp)} == {"host"}
    (late,) = await call.transport.add_candidate(None)
    assert " typ relay" in late["candidate"]
    assert late["sdpMid"] == "0"
    assert await call.transport.add_candidate(None) == []


@real_time
async def test_a_late_relay_connects(answered: Answered, coturn: Coturn, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when every other path has been tried, and this server has begun to wait."""
    tried_all = asyncio.Event()

    async def late(**kwargs: Any) -> Any:
        await tried_all.wait()
        return await relayed_candidate(**kwargs)

    monkeypatch.setattr(ice, "relayed_candidate", late)
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.createDataChannel("text")
    await client.setLocalDescription(await client.createOffer())
    call, sdp = await answered(client.localDescription.sdp, [coturn.ice_server("udp")], patience=0.0)
    connection = call.transport._ice
    assert connection is not None
    for protocol in connection._protocols:
        mute(protocol)
    call.session.connecting()
    await until(lambda: bool(cast(Any, connection._check_list_state)._getters))
    tried_all.set()
    await client.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await until(lambda: call.transport.report is not None)
    assert call.transport.report is not None
    assert call.transport.report.path == "relay ↔ host · udp"
    await client.close()


def mute(protocol: StunProtocol) -> None:
    """Let nothing leave it, as a firewall does."""
    cast(Any, protocol.transport).sendto = lambda data, address=None: None


@real_time
async def test_an_allocation_is_not_given_back_to_a_server_that_has_gone(
    answered: Answered, coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ice, "RELEASE_SECONDS", 0.05)
    call, _ = await answered(servers=[coturn.ice_server("udp")], relay_only=True)
    assert call.transport._ice is not None
    (relay,) = call.transport._ice._protocols
    inner = cast(Any, relay.transport)._TurnTransport__inner_protocol
    inner._send = lambda data: None
    await asyncio.wait_for(call.session.close(Reason.CLIENT_CLOSED), 20)  # aioice would try for a minute
    assert inner.transport.is_closing()


@real_time
async def test_why_there_is_no_relay(answered: Answered, coturn: Coturn) -> None:
    wrong = {**coturn.ice_server("udp"), "credential": "wrong"}
    call, _ = await answered(servers=[wrong])
    assert call.transport._ice is not None
    await call.transport._ice.all_gathered()
    assert call.transport._ice.relay_error == "401 Unauthorized"
    with pytest.raises(NoCandidates):
        await answered(servers=[wrong], relay_only=True)
