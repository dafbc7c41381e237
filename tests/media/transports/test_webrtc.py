"""What the transport does without a peer: refusing offers and candidates, keeping messages, letting go of everything.

The media path is tested with a real client in tests/loopback.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from streams.media.context import Context
from streams.media.errors import InvalidCandidate, OfferError, UnsupportedMedia
from streams.media.messages import message
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason, Session, SessionConfig, State
from streams.media.transports.opus import ENCODER_RATES
from streams.media.transports.webrtc import EARLY_MESSAGES, WebRTCConfig, WebRTCTransport

pytestmark = pytest.mark.real_time


class Call:
    def __init__(self, config: WebRTCConfig | None = None, mode: str = "send-receive") -> None:
        self.transport = WebRTCTransport(config)
        handler = ReplyOnPause(lambda audio: None)
        self.session = Session(handler, self.transport, Context("caller"), config=SessionConfig(mode=mode))

    async def answer(self, sdp: str) -> str:
        return await self.transport.answer(sdp, self.session)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    call = Call()
    yield call
    await call.session.close(Reason.OFFER_FAILED)


async def offer(*kinds: str, channel: bool = True) -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in kinds:
        pc.addTrack(AudioStreamTrack() if kind == "audio" else VideoStreamTrack())
    if channel:
        pc.createDataChannel("text")
    await pc.setLocalDescription(await pc.createOffer())
    sdp = pc.localDescription.sdp
    await pc.close()
    return str(sdp)


async def test_an_offer_is_answered_with_opus_and_our_candidates(call: Call) -> None:
    sdp = await call.answer(await offer("audio"))
    assert "m=audio" in sdp and "webrtc-datachannel" in sdp
    assert "opus/48000/2" in sdp
    assert "a=candidate:" in sdp
    assert "a=sendrecv" in sdp


async def test_a_data_channel_alone_is_answered(call: Call) -> None:
    assert "webrtc-datachannel" in await call.answer(await offer())


@pytest.mark.parametrize(
    ("mode", "direction"), [("send-receive", "a=sendrecv"), ("send", "a=recvonly"), ("receive", "a=sendonly")]
)
async def test_modes(mode: str, direction: str) -> None:
    call = Call(mode=mode)
    try:
        assert direction in await call.answer(await offer("audio"))
    finally:
        await call.session.close(Reason.CLIENT_CLOSED)


def without(sdp: str, start: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(start))


BAD = {
    "nothing": "",
    "white space": " \r\n\r\n ",
    "garbage": "garbage",
    "binary": "\x00\x01\xff" * 100,
    "json": '{"type": "offer"}',
    "a session without media": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
    "half a media line": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio\r\n",
    "a port that is none": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio x UDP/TLS/RTP/SAVPF 96\r\n",
    "an attribute without a value": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\na=fingerprint:\r\nm=audio 9 RTP 0\r\n",
    "media without security": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n",
    "a lot": "v=0\r\n" + "a=x:" + "y" * 100_000 + "\r\n",
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_offer_is_refused(call: Call, name: str) -> None:
    with pytest.raises(OfferError) as refusal:
        await call.answer(BAD[name])
    assert refusal.value.code == "invalid_offer"
    assert refusal.value.status == 400
    assert refusal.value.detail.endswith((".", ": ")) or refusal.value.detail


@pytest.mark.parametrize("missing", ["a=fingerprint", "a=ice-ufrag", "a=ice-pwd", "a=mid", "a=setup", "a=rtpmap", "m="])
async def test_an_offer_that_lacks_something_is_refused_or_answered(call: Call, missing: str) -> None:
    """Whatever aiortc makes of it, nothing but an OfferError comes out."""
    sdp = without(await offer("audio"), missing)
    try:
        assert await call.answer(sdp)
    except OfferError as error:
        assert error.code == "invalid_offer"


async def test_cut_offers_are_refused_or_answered() -> None:
    sdp = await offer("audio")
    for end in range(0, len(sdp), 97):
        call = Call()
        try:
            await call.answer(sdp[:end])
        except OfferError:
            pass
        finally:
            await call.session.close(Reason.OFFER_FAILED)


@pytest.mark.parametrize("kinds", [("video",), ("audio", "video")])
async def test_video_is_unsupported_media(call: Call, kinds: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedMedia, match="Unsupported track kind 'video' for modality 'audio'") as refusal:
        await call.answer(await offer(*kinds))
    assert (refusal.value.code, refusal.value.status) == ("unsupported_media", 400)


async def test_extra_tracks_may_be_allowed() -> None:
    call = Call(WebRTCConfig(allow_extra_tracks=True))
    try:
        assert "m=audio" in await call.answer(await offer("audio", "video"))
    finally:
        await call.session.close(Reason.CLIENT_CLOSED)


async def only(tasks: int) -> None:
    """Wait until no more tasks than these are left."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        if len(others) < tasks:
            break
        await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)


async def test_refused_offers_leave_nothing_behind() -> None:
    threads, tasks = threading.active_count(), len(asyncio.all_tasks())
    for sdp in [*BAD.values(), await offer("video"), without(await offer("audio"), "a=ice-ufrag")]:
        call = Call()
        with pytest.raises(OfferError):
            await call.answer(sdp)
        await call.session.close(Reason.OFFER_FAILED)
        assert call.session.state is State.CLOSED
    await only(tasks)
    assert threading.active_count() == threads


async def test_an_answered_offer_that_nobody_follows_leaves_nothing_behind() -> None:
    threads, tasks = threading.active_count(), len(asyncio.all_tasks())
    call = Call()
    call.session.connecting()
    await call.answer(await offer("audio"))
    await call.session.close(Reason.CONNECT_TIMEOUT)
    await call.transport.close()  # again does no harm
    await only(tasks)
    assert threading.active_count() == threads


# -- candidates

HOST = "candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host"
RELAY = "candidate:2 1 udp 41885439 127.0.0.1 40001 typ relay raddr 127.0.0.1 rport 40000"
TCP = "candidate:3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active"
CHROME = "candidate:4 1 udp 2113937151 127.0.0.1 40002 typ host generation 0 ufrag abcd network-cost 999"


@pytest.fixture
async def answered(call: Call) -> Call:
    call.session.connecting()
    await call.answer(await offer("audio"))
    return call


@pytest.mark.parametrize("text", [HOST, RELAY, TCP, CHROME, HOST.removeprefix("candidate:"), "a=" + HOST])
@pytest.mark.parametrize("where", [{"sdpMid": "0"}, {"sdpMLineIndex": 0}, {"sdpMid": "0", "sdpMLineIndex": 0}])
async def test_candidates_of_all_browsers_are_taken(answered: Call, text: str, where: dict[str, Any]) -> None:
    await answered.transport.add_candidate({"candidate": text, "sdpMid": None, "sdpMLineIndex": None, **where})


@pytest.mark.parametrize(
    "end", [None, {}, {"candidate": ""}, {"candidate": None}, {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}]
)
async def test_the_end_of_candidates_is_taken_again_and_again(answered: Call, end: dict[str, Any] | None) -> None:
    for _ in range(3):
        await answered.transport.add_candidate(end)
    await answered.transport.add_candidate({"candidate": HOST, "sdpMid": "0"})  # late ones do no harm


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "candidate:",
        "candidate:1 1 udp",
        "candidate:1 one udp 2130706431 127.0.0.1 40000 typ host",
        "candidate:1 1 udp high 127.0.0.1 40000 typ host",
        "candidate:1 1 udp 2130706431 127.0.0.1 port typ host",
        "candidate:1 1 udp 2130706431 127.0.0.1 40000 typ relay raddr 127.0.0.1 rport port",
        "candidate:1 1 udp 2130706431 127.0.0.1 99999 typ host",
        "candidate:1 1 udp 2130706431 127.0.0.1 40000 typ 203.0.113.9",
        "candidate:1 1 udp 2130706431 127.0.0.1 -1 typ host",
        "candidate:1 1 udp 2130706431 not-an-address 40000 typ host",
        "candidate:1 1 udp 2130706431 999.1.1.1 40000 typ host",
        "\x00 \x00 \x00 \x00 \x00 \x00 \x00 \x00",
    ],
)
async def test_candidates_that_cannot_be_read_are_refused(answered: Call, text: str) -> None:
    with pytest.raises(InvalidCandidate) as refusal:
        await answered.transport.add_candidate({"candidate": text, "sdpMid": "0"})
    assert refusal.value.code == "invalid_candidate_format"


async def test_a_candidate_for_no_media_is_refused(answered: Call) -> None:
    with pytest.raises(InvalidCandidate):
        await answered.transport.add_candidate({"candidate": HOST, "sdpMid": None, "sdpMLineIndex": None})


async def test_a_candidate_after_the_end_of_the_session(answered: Call) -> None:
    await answered.session.close(Reason.CLIENT_CLOSED)
    with contextlib.suppress(InvalidCandidate):
        await answered.transport.add_candidate({"candidate": HOST, "sdpMid": "0"})


# -- messages and rates


class FakeChannel:
    readyState = "open"
    bufferedAmount = 0

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


async def test_messages_wait_for_the_channel_in_order_and_within_bounds(call: Call) -> None:
    for number in range(EARLY_MESSAGES + 20):
        call.transport.send_message(message("log", number))
    channel: Any = FakeChannel()
    call.transport._on_channel(channel)
    call.transport.send_message(message("log", "later"))
    assert channel.sent[0] == '{"type":"log","data":20}'
    assert len(channel.sent) == EARLY_MESSAGES + 1
    assert channel.sent[-1] == '{"type":"log","data":"later"}'


async def test_a_second_channel_of_the_client_changes_nothing(call: Call) -> None:
    first: Any = FakeChannel()
    second: Any = FakeChannel()
    call.transport._on_channel(first)
    call.transport._on_channel(second)
    call.transport.send_message(message("log", "here"))
    assert (len(first.sent), len(second.sent)) == (1, 0)


async def test_messages_to_a_closed_channel_are_dropped(call: Call) -> None:
    channel: Any = FakeChannel()
    call.transport._on_channel(channel)
    channel.readyState = "closed"
    call.transport.send_message(message("log", "nobody hears"))
    assert channel.sent == []


@pytest.mark.parametrize("wanted", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
async def test_the_wire_has_a_rate_that_opus_knows(call: Call, wanted: int) -> None:
    assert call.transport.output_rate(wanted) in ENCODER_RATES
    assert call.transport.output_rate(wanted) in (wanted, 48000)


async def test_ice_servers_of_the_configuration_are_used_and_no_others() -> None:
    def servers(transport: WebRTCTransport) -> list[Any]:
        return list(transport._pc._RTCPeerConnection__configuration.iceServers)  # type: ignore[attr-defined]

    def policy(transport: WebRTCTransport) -> RTCIceTransportPolicy:
        return transport._pc._RTCPeerConnection__configuration.iceTransportPolicy  # type: ignore[attr-defined]

    alone = WebRTCTransport()
    relay = {"urls": "turn:127.0.0.1:1", "username": "ada", "credential": "secret"}
    relayed = WebRTCTransport(WebRTCConfig(ice_servers=[relay], relay_only=True))
    assert servers(alone) == []
    assert policy(alone) == RTCIceTransportPolicy.ALL
    assert policy(relayed) == RTCIceTransportPolicy.RELAY
    assert [(server.urls, server.username) for server in servers(relayed)] == [("turn:127.0.0.1:1", "ada")]
    await alone.close()
    await relayed.close()
