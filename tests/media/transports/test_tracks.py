import asyncio
import random
from itertools import pairwise
from typing import Any, cast

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from streams.media.audio import Samples
from streams.media.playout import Playout
from streams.media.transports.opus import FRAME_TICKS, SILENCE, OpusDecoder, OpusEncoder
from streams.media.transports.tracks import AudioReceiver, AudioSender
from tests.media.virtual_time import now, settled

RATE = 24000
FRAME = 480
LOUD = np.tile(np.array([4000, 4000, -4000, -4000], np.int16), 120)


# -- sending


class Line:
    """Receives what the sender sends, as aiortc does: one recv after the other."""

    def __init__(self, playout: Playout, *, opus: bool = True) -> None:
        self.playout = playout
        self.sender = AudioSender(playout)
        self.sender.opus = opus
        self.sent: list[tuple[float, Any]] = []
        self.began = now()
        self.task = asyncio.create_task(self._pull())

    async def _pull(self) -> None:
        while True:
            packet = await self.sender.recv()
            self.sent.append((now() - self.began, packet))

    @property
    def moments(self) -> list[float]:
        return [at for at, _ in self.sent]

    def of_sound(self) -> list[tuple[float, int]]:
        return [(at, packet.pts) for at, packet in self.sent if bytes(packet) != SILENCE]

    def of_silence(self) -> list[tuple[float, int]]:
        return [(at, packet.pts) for at, packet in self.sent if bytes(packet) == SILENCE]


@pytest.fixture
def playout() -> Playout:
    return Playout(RATE)


def steps(numbers: list[float]) -> list[float]:
    return [round(later - earlier, 6) for earlier, later in pairwise(numbers)]


async def test_a_reply_leaves_every_20_ms_on_the_grid(playout: Playout) -> None:
    line = Line(playout)
    playout.write(np.tile(LOUD, 100))
    playout.flush()
    await asyncio.sleep(1.99)
    sound = line.of_sound()
    assert len(sound) == 100
    assert line.of_silence() == []
    assert set(steps([at for at, _ in sound])) == {0.02}
    assert set(steps([pts for _, pts in sound])) == {FRAME_TICKS}
    assert sound[0][0] == 0
    assert all(packet.time_base.denominator == 48000 for _, packet in line.sent)


async def test_every_packet_is_on_the_grid_whatever_happens(playout: Playout) -> None:
    line, chance = Line(playout), random.Random(1)
    for _ in range(200):
        await asyncio.sleep(chance.random() * 0.3)
        playout.write(np.tile(LOUD, chance.randrange(1, 12))[: -chance.randrange(1, 300)])
        if chance.random() < 0.5:
            playout.flush()
        if chance.random() < 0.1:
            playout.clear()
    stamps = [packet.pts for _, packet in line.sent]
    assert all(pts % FRAME_TICKS == 0 for pts in stamps)
    assert all(step > 0 for step in steps(stamps))
    assert max(abs(at - pts / 48000) for at, pts in [(at, p.pts) for at, p in line.sent]) < 0.045


async def test_silence_after_speech_is_sent_ten_times_then_every_400_ms(playout: Playout) -> None:
    line = Line(playout)
    playout.write(np.tile(LOUD, 5))
    playout.flush()
    await asyncio.sleep(4)
    silence = [at for at, _ in line.of_silence()]
    assert [packet for _, packet in line.sent[:5] if bytes(packet) == SILENCE] == []
    dense = [step for step in steps(silence) if step < 0.3]
    assert set(dense) == {0.02}
    assert len(dense) + 1 == pytest.approx(10, abs=1)
    assert all(step == pytest.approx(0.4, abs=0.021) for step in steps(silence)[len(dense) :])
    assert len(silence) == pytest.approx(10 + 4 / 0.4, abs=2)


async def test_an_idle_line_carries_a_packet_every_400_ms(playout: Playout) -> None:
    line = Line(playout)
    await asyncio.sleep(60)
    assert len(line.sent) == pytest.approx(150, abs=10)
    assert line.of_sound() == []


async def test_timestamps_follow_the_clock_through_silence(playout: Playout) -> None:
    line = Line(playout)
    for pause in (0.5, 2.0, 7.3):
        playout.write(np.tile(LOUD, 3))
        playout.flush()
        await asyncio.sleep(pause)
    sound = line.of_sound()
    first = [sound[0], sound[3], sound[6]]
    assert [at for at, _ in first] == pytest.approx([0, 0.5, 2.5], abs=0.011)
    assert [pts / 48000 for _, pts in first] == pytest.approx([0, 0.5, 2.5], abs=0.011)


@pytest.mark.parametrize("phase", [0.0, 0.003, 0.01, 0.013, 0.019])
async def test_the_first_frame_after_silence_leaves_at_once(playout: Playout, phase: float) -> None:
    line = Line(playout)
    for start in (1.0, 3.0, 5.0):
        await asyncio.sleep(start + phase - (now() - line.began))
        playout.write(np.tile(LOUD, 3))
        await settled()
        assert line.of_sound()[-1][0] == pytest.approx(start + phase, abs=0.0001)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", range(8))
async def test_a_live_source_is_neither_cut_nor_delayed(playout: Playout, seed: int) -> None:
    """Frames come every 20 ms ± 8 ms, as an echo of a client's frames does."""
    line, chance = Line(playout), random.Random(seed)
    await asyncio.sleep(1 + chance.random() * 0.1)
    start, written = now() - line.began, []
    for number in range(1000):
        due = start + 0.02 + number * 0.02 + chance.uniform(-0.008, 0.008)
        await asyncio.sleep(due - (now() - line.began))
        playout.write(LOUD)
        written.append(now() - line.began)
    await asyncio.sleep(0.1)
    sound = line.of_sound()
    assert len(sound) == 1000
    assert [at for at, _ in line.of_silence() if written[0] < at < written[-1]] == []
    delays = [at - came for (at, _), came in zip(sound, written, strict=True)]
    assert min(delays) >= 0
    assert max(delays) < 0.0221


async def test_a_source_that_stumbles_once_is_late_by_a_frame_at_most_for_a_while(playout: Playout) -> None:
    """One frame comes 60 ms late, with those after it; some seconds later the delay is what it was."""
    line = Line(playout)
    await asyncio.sleep(1)
    start = now() - line.began
    written: list[float] = []
    for number in range(1000):
        due = start + number * 0.02 + (0.06 if 300 <= number < 303 else 0.0)
        await asyncio.sleep(max(0, max(due, written[-1] if written else 0) - (now() - line.began)))
        playout.write(np.zeros(FRAME, np.int16))
        written.append(now() - line.began)
    assert playout.buffered <= 0.0201


async def test_a_clear_is_heard_with_the_next_frame(playout: Playout) -> None:
    line = Line(playout)
    playout.write(np.tile(LOUD, 200))
    await asyncio.sleep(1)
    playout.clear()
    count = len(line.of_sound())
    await asyncio.sleep(1)
    assert len(line.of_sound()) - count <= 1
    playout.write(np.tile(LOUD, 3))
    await asyncio.sleep(0.1)
    assert len(line.of_sound()) - count >= 3


async def test_a_held_reply_goes_on_where_it_stopped(playout: Playout) -> None:
    line = Line(playout)
    playout.write(np.tile(LOUD, 100))
    playout.flush()
    await asyncio.sleep(0.5)
    playout.hold()
    await asyncio.sleep(0.3)
    assert len(line.of_sound()) == pytest.approx(26, abs=1)
    assert line.of_silence()
    playout.release()
    await asyncio.sleep(2)
    assert len(line.of_sound()) == 100


async def test_what_was_said_is_what_is_heard(playout: Playout) -> None:
    line, decoder = Line(playout), OpusDecoder()
    moments = np.arange(RATE) / RATE
    playout.write((8000 * np.sin(2 * np.pi * 300 * moments)).astype(np.int16))
    await asyncio.sleep(1)
    heard = np.concatenate([decoder.decode(bytes(packet)) for _, packet in line.sent])[9600:38400].astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert int(spectrum.argmax()) * 48000 / heard.size == pytest.approx(300, abs=5)
    assert np.abs(heard).max() == pytest.approx(8000, rel=0.2)


async def test_without_opus_frames_are_sent(playout: Playout) -> None:
    line = Line(playout, opus=False)
    playout.write(np.tile(LOUD, 3))
    playout.flush()
    await asyncio.sleep(2)
    frames = [frame for _, frame in line.sent]
    assert all(isinstance(frame, av.AudioFrame) for frame in frames)
    assert {(frame.samples, frame.sample_rate, frame.layout.name, frame.format.name) for frame in frames} == {
        (FRAME, RATE, "mono", "s16")
    }
    assert np.concatenate([frame.to_ndarray()[0] for frame in frames[:3]]).tolist() == np.tile(LOUD, 3).tolist()
    assert not frames[3].to_ndarray().any()
    assert all(frame.pts % FRAME == 0 and frame.time_base.denominator == RATE for frame in frames)


async def test_a_stopped_track_ends(playout: Playout) -> None:
    sender = AudioSender(playout)
    sender.stop()
    with pytest.raises(MediaStreamError):
        await sender.recv()


# -- receiving

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
PCMU = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, channels=1, payloadType=0)
PCMA = RTCRtpCodecParameters(mimeType="audio/PCMA", clockRate=8000, channels=1, payloadType=8)
G722 = RTCRtpCodecParameters(mimeType="audio/G722", clockRate=8000, channels=1, payloadType=9)


class FakeTransport:
    state = "connected"


class Ear:
    """A receiver that was adopted, and what it gives to the session: (samples, rate, media time)."""

    def __init__(self) -> None:
        receiver = RTCRtpReceiver("audio", cast(Any, FakeTransport()))
        self.heard: list[tuple[Samples, int, float]] = []
        self.fillers: list[bool] = []
        self.receiver = AudioReceiver.adopt(receiver, self._take)
        self.receiver._codecs.update({codec.payloadType or 0: codec for codec in (OPUS, PCMU, PCMA, G722)})

    def _take(self, samples: Samples, rate: int, at: float, filler: bool) -> None:
        self.heard.append((samples, rate, at))
        self.fillers.append(filler)

    async def hear(self, sequence: int, timestamp: int, payload: bytes, payload_type: int | None = 96) -> None:
        packet = RtpPacket(
            payload_type=payload_type or 0,
            sequence_number=sequence & 0xFFFF,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=1234,
        )
        packet.payload = payload
        await self.receiver._handle_rtp_packet(packet, arrival_time_ms=0)

    def joined(self) -> Samples:
        return np.concatenate([samples for samples, _, _ in self.heard])


def opus_packets(count: int) -> list[bytes]:
    encoder = OpusEncoder(48000)
    tone = (8000 * np.sin(2 * np.pi * 400 * np.arange(count * 960) / 48000)).astype(np.int16)
    return [encoder.encode(frame) for frame in tone.reshape(-1, 960)]


async def test_packets_become_samples_with_their_media_time() -> None:
    ear = Ear()
    for number, payload in enumerate(opus_packets(50)):
        await ear.hear(number, 5000 + number * 960, payload)
    assert [samples.size for samples, _, _ in ear.heard] == [960] * 50
    assert {rate for _, rate, _ in ear.heard} == {48000}
    assert [at for _, _, at in ear.heard] == pytest.approx([number * 0.02 for number in range(50)])
    assert int(np.abs(ear.joined()).max()) == pytest.approx(8000, rel=0.2)


async def test_a_lost_packet_becomes_silence_of_its_length() -> None:
    ear = Ear()
    for number, payload in enumerate(opus_packets(20)):
        if number != 10:
            await ear.hear(number, number * 960, payload)
            await asyncio.sleep(0.02)
    assert ear.joined().size == 20 * 960
    assert not ear.joined()[9600:10560].any()
    assert [at for _, _, at in ear.heard] == pytest.approx([number * 0.02 for number in range(20)])


async def test_after_a_lost_last_packet_the_rest_comes_at_the_deadline() -> None:
    ear, packets = Ear(), opus_packets(3)
    await ear.hear(0, 0, packets[0])
    await ear.hear(2, 1920, packets[2])
    assert len(ear.heard) == 1
    await asyncio.sleep(0.031)
    assert [at for _, _, at in ear.heard] == pytest.approx([0, 0.02, 0.04])


async def test_a_second_loss_is_waited_for_as_well() -> None:
    ear, packets = Ear(), opus_packets(40)
    for number in range(0, 40, 2):  # every second packet is lost
        await ear.hear(number, number * 960, packets[number])
        await asyncio.sleep(0.04)
    await asyncio.sleep(0.1)
    assert ear.joined().size == 39 * 960


async def test_audio_that_was_not_sent_becomes_silence() -> None:
    """DTX: the sequence goes on, the timestamp jumps."""
    ear, packets = Ear(), opus_packets(2)
    await ear.hear(0, 0, packets[0])
    await ear.hear(1, 20 * 960, packets[1])
    assert ear.joined().size == 21 * 960
    assert not ear.joined()[960 : 20 * 960].any()
    assert ear.fillers == [False, True, False]
    assert ear.heard[-1][2] == pytest.approx(0.4)


async def test_a_very_long_gap_is_not_filled_but_counted() -> None:
    ear, packets = Ear(), opus_packets(2)
    await ear.hear(0, 0, packets[0])
    await ear.hear(1, 3000 * 960, packets[1])
    assert ear.joined().size == 2 * 960
    assert ear.heard[-1][2] == pytest.approx(60)


async def test_timestamps_wrap() -> None:
    ear, packets = Ear(), opus_packets(10)
    for number, payload in enumerate(packets):
        await ear.hear(number, 0xFFFFFFFF - 3000 + number * 960, payload)
    assert ear.joined().size == 10 * 960
    assert ear.heard[-1][2] == pytest.approx(0.18)


async def test_packets_in_the_wrong_order_are_heard_in_the_right_one() -> None:
    ear, straight, packets = Ear(), Ear(), opus_packets(10)
    for number in range(10):
        await straight.hear(number, number * 960, packets[number])
    for number in (0, 1, 3, 2, 4, 5, 7, 6, 8, 9):
        await ear.hear(number, number * 960, packets[number])
    assert ear.joined().tolist() == straight.joined().tolist()


async def test_an_undecodable_packet_is_left_out_and_its_time_kept() -> None:
    ear = Ear()
    for number, payload in enumerate(opus_packets(10)):
        await ear.hear(number, number * 960, b"\xff\xff\xff" if number == 5 else payload)
    assert ear.joined().size == 10 * 960
    assert not ear.joined()[4800:5760].any()


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722], ids=lambda codec: codec.name)
@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x7e" * 160, bytes(range(160)), b"\x80" * 1300])
async def test_any_payload_of_another_codec_is_survived(codec: RTCRtpCodecParameters, payload: bytes) -> None:
    ear = Ear()
    await ear.hear(0, 0, payload, codec.payloadType)
    await ear.hear(1, 160, b"\xff" * 160, codec.payloadType)
    assert ear.heard


async def test_pcmu_is_heard_at_8_khz() -> None:
    ear = Ear()
    for number in range(50):
        await ear.hear(number, number * 160, bytes([0x90, 0x10] * 80), 0)
    assert {(samples.size, rate) for samples, rate, _ in ear.heard} == {(160, 8000)}
    assert ear.heard[-1][2] == pytest.approx(0.98)
    assert int(np.abs(ear.joined()).max()) > 10_000


async def test_a_lost_pcmu_packet_becomes_silence_of_its_length() -> None:
    ear = Ear()
    for number in (0, 1, 3, 4):
        await ear.hear(number, number * 160, bytes([0x90, 0x10] * 80), 0)
    await asyncio.sleep(0.1)
    assert ear.joined().size == 5 * 160
    assert not ear.joined()[320:480].any()


async def test_g722_is_heard_at_16_khz() -> None:
    ear = Ear()
    for number in range(10):
        await ear.hear(number, number * 160, b"\x55" * 160, 9)
    assert {rate for _, rate, _ in ear.heard} == {16000}
    assert ear.joined().size == 10 * 320
    assert ear.heard[-1][2] == pytest.approx(0.18)


async def test_unknown_payload_types_and_empty_packets_are_left_alone() -> None:
    ear = Ear()
    await ear.hear(0, 0, b"\0" * 20, 101)
    await ear.hear(1, 0, b"")
    assert ear.heard == []


async def test_a_failing_session_does_not_stop_the_receiver(caplog: pytest.LogCaptureFixture) -> None:
    ear, packets = Ear(), opus_packets(5)

    def failing(*args: object) -> None:
        raise ValueError("not this one")

    sink, ear.receiver._sink = ear.receiver._sink, failing
    await ear.hear(0, 0, packets[0])
    ear.receiver._sink = sink
    await ear.hear(1, 960, packets[1])
    assert ear.heard


async def test_nothing_is_played_after_a_disconnect() -> None:
    ear, packets = Ear(), opus_packets(3)
    await ear.hear(0, 0, packets[0])
    await ear.hear(2, 1920, packets[2])
    ear.receiver._handle_disconnect()
    await asyncio.sleep(1)
    assert len(ear.heard) == 1


async def test_the_gap_is_counted_when_the_decoder_was_not_at_fault() -> None:
    """Reception reports count our packets, so that the sender adapts."""
    ear = Ear()
    for number, payload in enumerate(opus_packets(10)):
        if number != 5:
            await ear.hear(number, number * 960, payload)
    stats = ear.receiver._remote_streams[1234]
    assert stats.packets_received == 9
    assert stats.packets_lost == 1
