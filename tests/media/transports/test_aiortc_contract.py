"""What we take for granted of the private parts of aiortc and aioice. When one of these fails after an update,
tracks.py, ice.py and webrtc.py must be read again before anything else is believed."""

import asyncio
import inspect
import threading
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

import av
import numpy as np
import pytest
from aioice import Candidate, Connection, TransportPolicy
from aioice.ice import StunProtocol
from aioice.turn import TurnTransport
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcrtpreceiver
from aiortc.codecs import depayload, get_decoder, get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver, StreamStatistics
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import RtpPacket

from streams.media.playout import Playout
from streams.media.transports.ice import IceConfig, IceConnection, host_candidate
from streams.media.transports.opus import FRAME_TICKS, SILENCE
from streams.media.transports.tracks import AiortcDecoder, AudioReceiver, AudioSender

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
PCMU = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, channels=1, payloadType=0)
G722 = RTCRtpCodecParameters(mimeType="audio/G722", clockRate=8000, channels=1, payloadType=9)


class FakeDtls:
    """As much of a DTLS transport as a receiver needs."""

    state = "connected"
    _stats_id = "transport"

    def __init__(self) -> None:
        self.receivers: list[object] = []

    def _register_rtp_receiver(self, receiver: object, parameters: object) -> None:
        self.receivers.append(receiver)

    def _unregister_rtp_receiver(self, receiver: object) -> None:
        self.receivers.remove(receiver)

    async def _send_rtp(self, data: bytes) -> None:
        pass


def receiver_of(transport: FakeDtls) -> RTCRtpReceiver:
    receiver = RTCRtpReceiver("audio", cast(Any, transport))
    receiver._track = RemoteStreamTrack(kind="audio")
    return receiver


def rtp(sequence: int, payload: bytes = SILENCE) -> RtpPacket:
    packet = RtpPacket(payload_type=96, sequence_number=sequence, timestamp=sequence * 960, ssrc=1)
    packet.payload = payload
    return packet


# -- tracks.py: receiving


def test_packets_are_handed_to_handle_rtp_packet() -> None:
    assert inspect.iscoroutinefunction(RTCRtpReceiver._handle_rtp_packet)
    assert list(inspect.signature(RTCRtpReceiver._handle_rtp_packet).parameters) == [
        "self",
        "packet",
        "arrival_time_ms",
    ]
    source = inspect.getsource(RTCDtlsTransport._handle_rtp_data)
    assert "receiver._handle_rtp_packet(packet, arrival_time_ms=arrival_time_ms)" in source


def test_the_end_of_the_transport_is_told_to_handle_disconnect() -> None:
    assert list(inspect.signature(RTCRtpReceiver._handle_disconnect).parameters) == ["self"]
    assert not inspect.iscoroutinefunction(RTCRtpReceiver._handle_disconnect)
    assert "_handle_disconnect()" in inspect.getsource(RTCDtlsTransport)


async def test_the_codecs_and_the_streams_are_where_we_look() -> None:
    receiver = receiver_of(FakeDtls())
    assert receiver._RTCRtpReceiver__codecs == {}  # type: ignore[attr-defined]
    assert receiver._RTCRtpReceiver__remote_streams == {}  # type: ignore[attr-defined]


async def test_receive_fills_the_codecs_by_payload_type_and_starts_a_decoder_thread() -> None:
    transport = FakeDtls()
    receiver, before = receiver_of(transport), threading.active_count()
    await receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS, PCMU]))
    assert receiver._RTCRtpReceiver__codecs == {96: OPUS, 0: PCMU}  # type: ignore[attr-defined]
    assert threading.active_count() == before + 1
    receiver._RTCRtpReceiver__stop_decoder()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    receiver._RTCRtpReceiver__stop_decoder()  # type: ignore[attr-defined]  # again does no harm
    await receiver.stop()


async def test_our_receiver_has_no_thread_and_stops_twice() -> None:
    transport, heard = FakeDtls(), list[int]()
    before = threading.active_count()
    receiver = AudioReceiver.adopt(receiver_of(transport), lambda samples, *rest: heard.append(samples.size))
    await receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS, PCMU]))
    assert threading.active_count() == before
    assert transport.receivers == [receiver]
    for sequence in range(5):
        await receiver._handle_rtp_packet(rtp(sequence), arrival_time_ms=0)
    assert heard == [960] * 5
    receiver._handle_disconnect()
    await receiver.stop()
    assert transport.receivers == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_piles_up_unread_in_our_receiver() -> None:
    receiver = AudioReceiver.adopt(receiver_of(FakeDtls()), lambda *frame: None)
    await receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS]))
    for sequence in range(500):
        await receiver._handle_rtp_packet(rtp(sequence), arrival_time_ms=0)
    assert receiver.track is not None
    assert cast(RemoteStreamTrack, receiver.track)._queue.qsize() <= 1
    assert receiver._RTCRtpReceiver__decoder_queue.qsize() == 0  # type: ignore[attr-defined]
    await receiver.stop()


async def test_a_receiver_accepts_another_class() -> None:
    """``adopt`` changes the class: both must have the same layout, and the track must have been made before."""
    assert not hasattr(RTCRtpReceiver, "__slots__")
    receiver = receiver_of(FakeDtls())
    assert type(AudioReceiver.adopt(receiver, lambda *frame: None)) is AudioReceiver
    assert AudioReceiver.__mro__[1] is RTCRtpReceiver


async def test_the_statistics_of_reception_reports() -> None:
    assert rtcrtpreceiver.StreamStatistics is StreamStatistics
    statistics = StreamStatistics(48000)
    for sequence in (1, 2, 4):
        statistics.add(rtp(sequence))
    assert (statistics.packets_received, statistics.packets_lost) == (3, 1)
    receiver = AudioReceiver.adopt(receiver_of(FakeDtls()), lambda *frame: None)
    receiver._codecs[96] = OPUS
    await receiver._handle_rtp_packet(rtp(7), arrival_time_ms=0)
    report = await getattr_stats(receiver)
    assert report.packetsReceived == 1


async def getattr_stats(receiver: AudioReceiver) -> Any:
    cast(Any, receiver.transport)._get_stats = dict
    stats = await receiver.getStats()
    (report,) = [report for report in stats.values() if report.type == "inbound-rtp"]
    return report


@pytest.mark.parametrize("codec", [OPUS, PCMU, G722], ids=lambda codec: codec.name)
def test_depayload_leaves_audio_as_it_is(codec: RTCRtpCodecParameters) -> None:
    assert depayload(codec, b"payload") == b"payload"


@pytest.mark.parametrize(("codec", "rate"), [(PCMU, 8000), (G722, 16000)], ids=["PCMU", "G722"])
def test_other_decoders_take_a_jitter_frame_and_give_mono(codec: RTCRtpCodecParameters, rate: int) -> None:
    frames = cast(list[av.AudioFrame], get_decoder(codec).decode(JitterFrame(data=b"\x55" * 160, timestamp=0)))
    assert [(frame.sample_rate, frame.layout.name, frame.format.name) for frame in frames] == [(rate, "mono", "s16")]
    decoder = AiortcDecoder(codec)
    assert decoder.rate == rate
    assert decoder.decode(b"\x55" * 160).shape == (rate // 50,)


def test_names_of_codecs() -> None:
    assert (OPUS.name, PCMU.name, G722.name) == ("opus", "PCMU", "G722")


# -- tracks.py: sending


def test_a_ready_packet_is_sent_as_it_is_without_a_thread() -> None:
    source = inspect.getsource(RTCRtpSender._next_encoded_frame)
    encoding, packing = source.split("else:")[0], source.split("else:")[-1]
    assert "run_in_executor" in encoding and "run_in_executor" not in packing
    packet: Any = av.Packet(b"opus")
    packet.pts, packet.time_base = 3 * FRAME_TICKS, Fraction(1, 48000)
    assert get_encoder(OPUS).pack(packet) == ([b"opus"], 3 * FRAME_TICKS)


@pytest.mark.parametrize("codec", [PCMU, G722], ids=lambda codec: codec.name)
async def test_our_plain_frames_are_encoded_by_aiortc(codec: RTCRtpCodecParameters) -> None:
    playout = Playout(48000)
    sender = AudioSender(playout)
    sender.opus = False
    playout.write((8000 * np.sin(np.arange(48000) / 20)).astype(np.int16))
    encoder, sent = get_encoder(codec), list[tuple[bytes, int]]()
    for _ in range(50):
        frame = await sender.recv()
        payloads, timestamp = encoder.encode(cast(av.AudioFrame, frame))
        sent += [(payload, timestamp) for payload in payloads]
    assert sum(len(payload) for payload, _ in sent) == pytest.approx(8000, abs=320)
    assert [later - earlier for (_, earlier), (_, later) in pairwise(sent)] == [160] * (len(sent) - 1)


def test_a_track_ends_as_we_end_it() -> None:
    track = AudioSender(Playout(24000))
    assert isinstance(track, MediaStreamTrack)
    assert track.readyState == "live"
    track.stop()
    assert track.readyState == "ended"
    assert issubclass(MediaStreamError, Exception)


# -- webrtc.py


@pytest.mark.real_time
async def test_the_negotiated_codecs_are_known_when_the_offer_has_been_set() -> None:
    client, server = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        client.addTrack(AudioStreamTrack())
        await client.setLocalDescription(await client.createOffer())
        await server.setRemoteDescription(RTCSessionDescription(client.localDescription.sdp, "offer"))
        (transceiver,) = server.getTransceivers()
        assert transceiver._codecs[0].name == "opus"
        assert transceiver.receiver.track is not None
        assert transceiver.sender.track is None
        assert not transceiver.receiver._RTCRtpReceiver__started
    finally:
        await client.close()
        await server.close()


@pytest.mark.real_time
async def test_the_transport_counts_what_it_receives() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        transceiver = pc.addTransceiver("audio")
        reports = transceiver.receiver.transport._get_stats()
        assert [report.packetsReceived for report in reports.values()] == [0]
        pc.createDataChannel("text")
        assert pc.sctp is not None
        assert pc.sctp.transport._get_stats()
    finally:
        await pc.close()


def test_without_a_configuration_a_public_server_would_be_asked() -> None:
    """The reason for always passing one; should this fail, the rule may go."""
    assert [server.urls for server in RTCIceGatherer.getDefaultIceServers()] == ["stun:stun.l.google.com:19302"]


# -- ice.py


def ice_connection(**kwargs: Any) -> IceConnection:
    return IceConnection.adopt(Connection(ice_controlling=False, **kwargs), IceConfig())


def test_the_gatherer_and_its_transport_share_the_connection_that_is_adopted() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    transport = RTCIceTransport(gatherer)
    adopted = IceConnection.adopt(transport._connection, IceConfig())
    assert adopted is gatherer._connection
    assert not hasattr(Connection, "__slots__")
    assert cast(Any, transport._recv).__self__ is adopted


async def test_gathering_asks_for_the_candidates_of_each_component() -> None:
    assert list(inspect.signature(Connection.get_component_candidates).parameters) == [
        "self",
        "component",
        "addresses",
        "timeout",
    ]
    connection = ice_connection()
    await connection.gather_candidates()
    assert connection._local_candidates == connection._gathered
    assert connection._local_candidates_end
    assert {protocol.local_candidate.type for protocol in connection._protocols} == {"host"}
    assert connection._transport_policy is TransportPolicy.ALL
    await connection.close()
    assert connection._protocols == []


async def test_a_late_candidate_is_paired_with_those_that_came_before_it() -> None:
    connection = ice_connection()
    protocol = StunProtocol(connection)
    protocol.local_candidate = host_candidate(1, "192.0.2.1", 5000)
    await connection.add_remote_candidate(host_candidate(1, "192.0.2.2", 5000))
    assert (connection._check_list, len(connection._remote_candidates)) == ([], 1)
    connection._protocols.append(protocol)
    for _ in range(2):  # a second time does no harm
        connection._pair_remote_candidate(connection._remote_candidates[0])
    (pair,) = connection._check_list
    assert (pair.protocol, pair.task, connection.tried()) == (protocol, None, 0)
    assert (connection._check_list_done, connection._early_checks_done, connection._nominated) == (False, False, {})
    assert inspect.getsource(Connection.check_start_task).count("if pair.task is None") == 1
    assert isinstance(pair.remote_candidate, Candidate)


def test_giving_an_allocation_back_is_a_task_that_closes_the_socket_when_cancelled() -> None:
    assert "self.__close_task = asyncio.create_task(self._close())" in inspect.getsource(TurnTransport.close)
