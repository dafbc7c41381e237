"""The WebRTC transport: one aiortc peer connection that answers one offer.

Private names of aiortc touched here: RTCRtpTransceiver._codecs, ._offerDirection, RTCDtlsTransport._get_stats,
RTCIceTransport._connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.sdp import SessionDescription, candidate_from_sdp

from streams.media.audio_path import AudioPath
from streams.media.errors import InvalidCandidate, OfferError, PortsExhausted, StreamsError, UnsupportedMedia
from streams.media.messages import Message, encode
from streams.media.session import Reason, Session
from streams.media.transports.diagnosis import ConnectionReport, Observation, report
from streams.media.transports.ice import IceConfig, IceConnection
from streams.media.transports.opus import CLOCK_RATE, ENCODER_RATES
from streams.media.transports.pictures import VideoSender, prepare_encoder, watch
from streams.media.transports.tracks import AudioReceiver, AudioSender
from streams.media.video_path import VideoPath

logger = logging.getLogger(__name__)

EARLY_MESSAGES = 100
"""Messages kept until the data channel opens; the oldest are dropped."""
FLUSH_SECONDS = 0.3
OPENING_SECONDS = 1.0
WATCH_SECONDS = 1.0
KINDS = ("host", "srflx", "prflx", "relay")
"""Types of candidates (RFC 8839)."""


@dataclass(frozen=True)
class WebRTCConfig:
    """``ice_servers``: dicts with urls, username, credential, for this side. ``media_timeout`` in seconds."""

    ice_servers: Sequence[dict[str, Any]] = field(default=(), repr=False)
    relay_only: bool = False
    ice: IceConfig = field(default_factory=IceConfig)
    media_timeout: float = 10.0
    allow_extra_tracks: bool = False
    video_bitrate: tuple[int, int] | None = None
    """Lowest and highest bit rate of the video sent, in bits per second; None: aiortc's 0.25 to 1.5 Mbit/s."""


CANDIDATE, END_OF_CANDIDATES = "a=candidate:", "a=end-of-candidates"


class WebRTCTransport:
    name = "webrtc"

    def __init__(self, config: WebRTCConfig | None = None) -> None:
        self.config = config or WebRTCConfig()
        # Never without a configuration: aiortc would then contact a public STUN server.
        servers = [RTCIceServer(**server) for server in self.config.ice_servers]
        policy = RTCIceTransportPolicy.RELAY if self.config.relay_only else RTCIceTransportPolicy.ALL
        self._pc = RTCPeerConnection(RTCConfiguration(servers, policy, RTCBundlePolicy.MAX_BUNDLE))
        self.report: ConnectionReport | None = None
        """How the connection was made; and once it is closed, what came of it."""
        self._ice: IceConnection | None = None
        self._offered: Counter[str] = Counter()
        self._path = ""
        self._ports_exhausted = False
        self._began = 0.0
        self._seconds: float | None = None
        self._connected: set[str] = set()
        self._channel: RTCDataChannel | None = None
        self._opened = asyncio.Event()
        self._early: deque[Message] = deque(maxlen=EARLY_MESSAGES)
        self._watch: asyncio.TimerHandle | None = None
        self._heard: tuple[int, float] = (0, 0.0)
        self._at_first = 0
        self._nothing_came = False

    # -- signalling ---------------------------------------------------------------------------------------------

    async def answer(self, sdp: str, session: Session) -> str:
        """Answer an offer and connect its media to ``session``. Raises OfferError, and is then to be closed."""
        description = self._check(sdp, session)
        self._began = session.loop.time()
        self._pc.on("connectionstatechange", lambda: self._on_state(session))
        self._pc.on("datachannel", self._on_channel)
        try:
            await self._pc.setRemoteDescription(
                RTCSessionDescription(sdp=without(sdp, CANDIDATE, END_OF_CANDIDATES), type="offer")
            )
            self._ice = IceConnection.adopt(self._transport().transport._connection, self.config.ice)
            for transceiver in self._pc.getTransceivers():
                self._connect(transceiver, session)
            session.run(self._take_candidates(description))
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except StreamsError as error:
            self._ports_exhausted = isinstance(error, PortsExhausted)
            raise
        except Exception as error:  # aiortc trips over a bad offer in many ways
            logger.info("Offer refused: %s: %s", type(error).__name__, error)
            raise OfferError(f"The offer could not be applied: {error}") from error
        answer = str(self._pc.localDescription.sdp)
        return without(answer, END_OF_CANDIDATES) if self._ice.is_gathering else answer

    def _check(self, sdp: str, session: Session) -> SessionDescription:
        try:
            description = SessionDescription.parse(sdp)
        except Exception as error:  # ValueError, KeyError, IndexError, AssertionError …
            raise OfferError("The offer's sdp is not a session description.") from error
        media = description.media
        if not media:
            raise OfferError("The offer has no media and no data channel.")
        if any(section.dtls is None or not section.dtls.fingerprints for section in media):
            raise OfferError("The offer has no DTLS fingerprint. WebRTC media is always encrypted.")
        kinds = [kind for kind, path in (("audio", session.audio), ("video", session.video)) if path is not None]
        extra = {section.kind for section in media} - {*kinds, "application"}
        if extra and not self.config.allow_extra_tracks:
            modality, unsupported = "-".join(kinds), ", ".join(sorted(extra))
            raise UnsupportedMedia(
                f"Unsupported track kind '{unsupported}' for modality '{modality}'. Offer only {' and '.join(kinds)}."
            )
        return description

    def _connect(self, transceiver: RTCRtpTransceiver, session: Session) -> None:
        """Connect the first transceiver of each kind, in the directions that the handler's mode has."""
        path = session.audio if transceiver.kind == "audio" else session.video
        if path is None or transceiver.kind in self._connected or transceiver.stopped:
            transceiver.direction = "inactive"
            return
        self._connected.add(transceiver.kind)
        if session.handler.mode != "receive":
            self._listen(transceiver, session)
        if session.handler.mode != "send" and transceiver._offerDirection in ("sendonly", "sendrecv"):
            self._speak(transceiver, path)
        elif transceiver.kind == "audio":
            session.is_heard = False
        if session.handler.mode == "receive":
            transceiver.direction = "sendonly"

    def _listen(self, transceiver: RTCRtpTransceiver, session: Session) -> None:
        if transceiver.kind == "audio":
            AudioReceiver.adopt(transceiver.receiver, session.receive_audio)
        elif transceiver.receiver.track is not None:
            session.run(watch(transceiver.receiver.track, session.receive_video))

    def _speak(self, transceiver: RTCRtpTransceiver, path: AudioPath | VideoPath) -> None:
        codec = transceiver._codecs[0]
        if isinstance(path, AudioPath):
            track = AudioSender(path.playout)
            track.opus = codec.name == "opus"
            self._pc.addTrack(track)
            return
        prepare_encoder(self._pc.addTrack(VideoSender(path)), codec, self.config.video_bitrate)

    async def _take_candidates(self, description: SessionDescription) -> None:
        """Take the offer's own candidates. Not before the answer: a .local name takes a second to resolve, or not."""
        adding = []
        for index, section in enumerate(description.media):
            for candidate in section.ice_candidates:
                candidate.sdpMLineIndex = index
                adding.append(self._add(candidate))
        for problem in await asyncio.gather(*adding, return_exceptions=True):
            if problem is not None:
                logger.info("A candidate in the offer was not taken: %s", problem)
        if any(section.ice_candidates_complete for section in description.media):
            await self._pc.addIceCandidate(None)

    async def _add(self, candidate: RTCIceCandidate) -> None:
        if candidate.type not in KINDS:
            raise InvalidCandidate("The ICE candidate is of no known type: host, srflx, prflx or relay.")
        self._offered["mdns" if candidate.ip.endswith(".local") else candidate.type] += 1
        await self._pc.addIceCandidate(candidate)
        self._follow_path()  # what was found before it was told has a kind only now

    def _follow_path(self) -> None:
        if self._ice is not None:
            self._path = self._ice.path() or self._path

    async def add_candidate(self, candidate: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Add a trickled candidate; None or an empty one ends them. Raises InvalidCandidate.

        Returns our own that were found after the answer, for the client to add. The end of the client's candidates
        is answered when ours have ended too.
        """
        text = (candidate or {}).get("candidate") or ""
        if not isinstance(candidate, dict) or not text:
            await self._pc.addIceCandidate(None)
            if self._ice is not None:
                await self._ice.all_gathered()
            return self._late_candidates()
        try:
            parsed = candidate_from_sdp(text.removeprefix("a=").removeprefix("candidate:"))
            if not parsed.ip.endswith(".local"):
                ipaddress.ip_address(parsed.ip)
            if not 0 < parsed.port < 65536:
                raise ValueError(f"{parsed.port} is not a port")
            parsed.sdpMid = candidate.get("sdpMid")
            parsed.sdpMLineIndex = candidate.get("sdpMLineIndex")
            await self._add(parsed)
        except (ValueError, IndexError, AssertionError) as error:
            raise InvalidCandidate(f"The ICE candidate could not be read: {error}") from error
        return self._late_candidates()

    def _late_candidates(self) -> list[dict[str, Any]]:
        late = self._ice.take_late() if self._ice is not None else []
        transceivers = self._pc.getTransceivers()
        mid = transceivers[0].mid if transceivers else getattr(self._pc.sctp, "mid", None)
        return [{"candidate": f"candidate:{each.to_sdp()}", "sdpMid": mid, "sdpMLineIndex": 0} for each in late]

    # -- life ---------------------------------------------------------------------------------------------------

    def _on_state(self, session: Session) -> None:
        state = self._pc.connectionState
        if state == "connected":
            self._seconds = session.loop.time() - self._began
            self.report = self._observe(self._ice) if self._ice is not None else None
            session.connected()
            self._at_first = self._received_packets()
            self._heard = (self._at_first, session.loop.time())
            if self._connected:  # a data channel alone is silent for half a minute, and alive
                self._keep_watch(session)
        elif state == "failed":
            session.close(Reason.CONNECTION_FAILED)
        elif state == "closed":
            session.close(Reason.CLIENT_CLOSED)

    def _keep_watch(self, session: Session) -> None:
        """Notice a client that has vanished: no media, no RTCP, nothing. ICE itself takes 30 s."""
        count, now = self._received_packets(), session.loop.time()
        if count != self._heard[0]:
            self._heard = (count, now)
        elif now - self._heard[1] >= self.config.media_timeout:
            self._nothing_came = count == self._at_first
            session.close(Reason.VANISHED)
            return
        self._watch = session.loop.call_later(WATCH_SECONDS, self._keep_watch, session)

    def _received_packets(self) -> int:
        """Datagrams that came through DTLS or SRTP."""
        return sum(report.packetsReceived for report in self._transport()._get_stats().values())

    def _transport(self) -> RTCDtlsTransport:
        """The one transport: everything is bundled."""
        transceivers = self._pc.getTransceivers()
        owner = transceivers[0].receiver if transceivers else self._pc.sctp
        if owner is None:
            raise OfferError("The offer has no media that is known here.")
        return owner.transport

    def _observe(self, ice: IceConnection) -> ConnectionReport:
        self._follow_path()
        seen = Observation(
            local=ice.kinds(),
            remote=self._offered,
            tried=ice.tried(),
            ports_exhausted=self._ports_exhausted,
            path_found=self._transport().transport.state == "completed",
            relay_error=ice.relay_error,
            path=self._path,
            seconds=self._seconds,
            waited=asyncio.get_running_loop().time() - self._began,
            heard=not self._nothing_came,
        )
        return report(seen)

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._ice is not None:
            self.report = self._observe(self._ice)
        await self._flush_messages()
        await self._pc.close()

    def output_rate(self, wanted: int) -> int:
        """What Opus encodes without resampling, else its full 48 kHz."""
        return wanted if wanted in ENCODER_RATES else CLOCK_RATE

    # -- messages -----------------------------------------------------------------------------------------------

    def _on_channel(self, channel: RTCDataChannel) -> None:
        """The client makes the channel. What it sends on it (FastRTC's "handshake") needs no answer."""
        if self._channel is None:
            self._channel = channel
            while self._early:
                channel.send(encode(self._early.popleft()))
            self._opened.set()

    def send_message(self, message: Message) -> None:
        if self._channel is None:
            self._early.append(message)
        elif self._channel.readyState == "open":
            self._channel.send(encode(message))

    def clear(self) -> None:
        """Nothing to do: packets leave when they are due, so the client holds no more than its jitter buffer."""

    def hold(self) -> float:
        return 0.0

    def ahead(self) -> float:
        return 0.0

    async def latency(self) -> float:
        """Half the round trip that the client's RTCP reports tell; 0 before the first of them."""
        reports = (await self._pc.getStats()).values()
        trips = [trip for report in reports if (trip := getattr(report, "roundTripTime", None))]
        return min(trips) / 2 if trips else 0.0

    def transfer(self, number: str) -> None:
        """Only a telephone call can go on elsewhere."""

    async def played(self) -> None:
        """Nothing to wait for, for the same reason."""

    async def _flush_messages(self) -> None:
        if self._early and self._pc.sctp is not None and self._pc.connectionState == "connected":
            # The channel opens after the media: what ends a session at its beginning still has to be told.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._opened.wait(), OPENING_SECONDS)
        channel = self._channel
        if channel is None or channel.readyState != "open" or not channel.bufferedAmount:
            return
        sent = asyncio.Event()
        channel.on("bufferedamountlow", sent.set)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await sent.wait()
        except TimeoutError:
            logger.debug("The client did not take the last messages")


def without(sdp: str, *starts: str) -> str:
    """The description without the lines that start so."""
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(starts))
