"""Which stage a connection failed at: by the table, and with real peers whose connection fails."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from streams.media.errors import NoCandidates, PortsExhausted
from streams.media.session import Reason, State
from streams.media.transports import webrtc
from streams.media.transports.diagnosis import CLIENT_WORDS, SLOW_SECONDS, Observation, Stage, report
from streams.media.transports.ice import IceConfig
from streams.media.transports.webrtc import WebRTCConfig, WebRTCTransport
from tests.media.transports.test_ice import until
from tests.media.transports.test_webrtc import Call, offer

real_time = pytest.mark.real_time
HOST = {"host": 2}


def both(**more: Any) -> Observation:
    """Both ends have addresses."""
    return Observation(local=HOST, remote=HOST, **more)


@pytest.mark.parametrize(
    ("seen", "stage", "words", "advice"),
    [
        (Observation(), Stage.GATHERING, "no address to offer", "STREAMS_BIND_ADDRESSES"),
        (Observation(ports_exhausted=True), Stage.GATHERING, "UDP ports", "STREAMS_UDP_PORTS"),
        (Observation(relay_error="401 Unauthorized"), Stage.GATHERING, "gave it no relay: 401", "check_turn"),
        (Observation(local=HOST), Stage.CANDIDATES, "named no address", "relay only"),
        (Observation(local=HOST, remote={"mdns": 1}), Stage.CANDIDATES, ".local names only", "STUN"),
        (both(), Stage.CANDIDATES, "(2 host) fits one of this server (2 host)", "IPv6"),
        (both(tried=3), Stage.CHECKS, "any of 3 paths between 2 host and 2 host", "TURN server"),
        (both(tried=3, waited=0.4), Stage.CHECKS, "It was tried for 0.4 s.", "TURN server"),
        (Observation(local=HOST, remote={"relay": 1}, tried=1), Stage.CHECKS, "a relay was among them", "check_turn"),
        (both(tried=1, relay_error="no answer"), Stage.CHECKS, "no relay: no answer", "check_turn"),
        (both(tried=1, path_found=True), Stage.DTLS, "encryption", "MTU"),
        (both(path_found=True, seconds=0.2), Stage.CONNECTED, "after 0.2 s", ""),
        (both(seconds=SLOW_SECONDS + 1), Stage.CONNECTED, "after 6.0 s", "Slow"),
        (both(seconds=0.2, heard=False), Stage.MEDIA, "nothing came", "firewall"),
        (both(seconds=0.2, relay_error="no answer"), Stage.CONNECTED, "after 0.2 s", ""),
    ],
)
def test_words_and_advice(seen: Observation, stage: Stage, words: str, advice: str) -> None:
    found = report(seen)
    assert found.stage is stage
    assert words in found.words
    assert advice in found.advice
    assert bool(found.advice) == bool(advice)


def test_every_stage_that_a_page_tells_has_words_here() -> None:
    source = Path(__file__).parents[3] / "static/streams/js/connection-watch.js"
    table = re.search(r"const FAILED = {(.*?)\n};", source.read_text(), re.DOTALL)
    assert table is not None
    stages = re.findall(r"^  (\w+):", table[1], re.MULTILINE)
    assert len(stages) > 5
    assert {Stage(stage) for stage in stages} <= set(CLIENT_WORDS)


# -- real peers


def nobody_at(sdp: str, *lines: str) -> str:
    """The offer with these candidates in place of its own."""
    kept = "".join(line for line in sdp.splitlines(keepends=True) if "candidate" not in line)
    first, media, rest = kept.partition("m=")
    return first + media + rest.replace("a=mid:", "".join(f"a={line}\r\n" for line in lines) + "a=mid:", 1)


async def ended(call: Call) -> tuple[Stage, str]:
    await call.session.close(Reason.CONNECT_TIMEOUT)
    assert call.transport.report is not None
    return call.transport.report.stage, call.transport.report.words


@real_time
async def test_checks_that_nobody_answers() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        port = hole.getsockname()[1]
        call = Call()
        await call.answer(nobody_at(await offer(), f"candidate:1 1 udp 1000 127.0.0.1 {port} typ host"))
        hole.setblocking(False)
        assert call.transport._ice is not None
        await until(lambda: call.transport._ice is not None and call.transport._ice.tried() > 0)
        stage, words = await ended(call)
    assert stage is Stage.CHECKS
    assert "between 1 host and" in words


@real_time
@pytest.mark.parametrize(
    ("line", "words"), [((), "named no address"), (("candidate:1 1 udp 9 nobody.local 9 typ host",), ".local names")]
)
async def test_a_client_that_cannot_be_found(line: tuple[str, ...], words: str) -> None:
    call = Call()
    await call.answer(nobody_at(await offer(), *line))
    stage, found = await ended(call)
    assert (stage, words in found) == (Stage.CANDIDATES, True)


@real_time
async def test_a_server_without_an_address() -> None:
    call = Call(WebRTCConfig(relay_only=True))
    with pytest.raises(NoCandidates):
        await call.answer(await offer())
    assert (await ended(call))[0] is Stage.GATHERING


@real_time
async def test_a_server_without_a_port() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        call = Call(WebRTCConfig(ice=IceConfig(ports=(port, port), bind_addresses=["127.0.0.1"])))
        with pytest.raises(PortsExhausted):
            await call.answer(await offer())
    stage, words = await ended(call)
    assert (stage, "UDP ports" in words) == (Stage.GATHERING, True)


@real_time
async def test_a_certificate_that_is_not_the_offers(client: RTCPeerConnection) -> None:
    client.createDataChannel("text")
    await client.setLocalDescription(await client.createOffer())
    forged = re.sub(r"(a=fingerprint:sha-\d+ )..:..", r"\g<1>00:00", client.localDescription.sdp)
    call = Call()
    call.session.connecting()
    await client.setRemoteDescription(RTCSessionDescription(await call.answer(forged), "answer"))
    await until(lambda: call.transport.report is not None)
    assert (await ended(call))[0] is Stage.DTLS


async def connected(call: Call, client: RTCPeerConnection) -> None:
    client.addTransceiver("audio", direction="recvonly")
    client.createDataChannel("text")
    await client.setLocalDescription(await client.createOffer())
    call.session.connecting()
    await client.setRemoteDescription(RTCSessionDescription(await call.answer(client.localDescription.sdp), "answer"))
    await until(lambda: call.transport.report is not None)


@pytest.fixture
async def client() -> AsyncIterator[RTCPeerConnection]:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield client
    await client.close()


@real_time
async def test_a_connection_that_is_made(client: RTCPeerConnection) -> None:
    call = Call()
    await connected(call, client)
    stage, words = await ended(call)
    assert (stage, words[:18]) == (Stage.CONNECTED, "Connected after 0.")
    assert call.transport.report is not None and call.transport.report.path == "host ↔ host · udp"


@real_time
async def test_a_connection_through_which_nothing_comes(
    client: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(WebRTCTransport, "_received_packets", lambda self: 7)
    call = Call(WebRTCConfig(media_timeout=0.02))
    await connected(call, client)
    await until(lambda: call.session.state is State.CLOSED)
    assert (await ended(call))[0] is Stage.MEDIA
