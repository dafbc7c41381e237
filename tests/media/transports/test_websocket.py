"""The WebSocket transport on a virtual clock: its protocol, its pace, its resampling, its end."""

import asyncio
import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streams.media import mulaw
from streams.media.audio import Audio, Samples, resample
from streams.media.context import Context
from streams.media.errors import WebRTCError
from streams.media.handlers import AsyncStreamHandler
from streams.media.messages import message
from streams.media.outputs import CloseStream, Emitted
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason, Session, SessionConfig, State
from streams.media.timing import ReplyTiming, get_reply_timing
from streams.media.transports.websocket import (
    FLOOD_SECONDS,
    Media,
    Ping,
    ProtocolError,
    Start,
    Stop,
    WebSocketTransport,
    parse,
    parse_binary,
    parse_media,
)
from tests.listening import find
from tests.media.client import silence, voice
from tests.media.virtual_time import now, settled

AHEAD = 0.2
"""Seconds of audio that may be on their way or at the client."""


class Recorder(AsyncStreamHandler):
    """Keeps what it hears, counts how often it is asked, plays what it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.received: list[Audio] = []
        self.asked = 0
        self.items: asyncio.Queue[Emitted] = asyncio.Queue()
        self.shut = 0

    def copy(self) -> "Recorder":
        return Recorder()

    async def receive(self, frame: Audio) -> None:
        self.received.append(frame)

    async def emit(self) -> Emitted:
        self.asked += 1
        return None if self.items.empty() else self.items.get_nowait()

    async def shutdown(self) -> None:
        self.shut += 1

    def heard(self) -> Samples:
        return np.concatenate([frame[1][0] for frame in self.received])


class Line:
    """A socket: ``sent`` has the moment and the content of every message to the client."""

    def __init__(self, handler: Any, start: Start | None = None, config: SessionConfig | None = None) -> None:
        self.sent: list[tuple[float, str | bytes]] = []
        self.hung_up: float | None = None
        self.wire = start or Start("caller")
        self.transport = WebSocketTransport(self.wire, self._send, self._hang_up)
        self.session = Session(handler, self.transport, Context("caller"), config=config)

    async def open(self) -> "Line":
        self.session.connecting()
        self.transport.start(self.session)
        await settled()
        return self

    async def _send(self, data: str | bytes) -> None:
        assert self.hung_up is None
        self.sent.append((now(), data))

    async def _hang_up(self) -> None:
        self.hung_up = now()

    async def speak(self, samples: Samples, rate: int, chunk: float = 0.02) -> None:
        """In real time."""
        size = round(rate * chunk)
        for at in range(0, samples.size, size):
            self.transport.receive(samples[at : at + size])
            await asyncio.sleep(chunk)

    def audio(self) -> list[tuple[float, Samples]]:
        heard = []
        for moment, data in self.sent:
            if isinstance(data, bytes):
                heard.append((moment, np.frombuffer(data, "<i2").astype(np.int16)))
            elif '"media"' in data:
                heard.append((moment, mulaw.decode(base64.b64decode(json.loads(data)["media"]["payload"]))))
        return heard

    def heard(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *(samples for _, samples in self.audio())])

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(data) for _, data in self.sent if isinstance(data, str) and '"media"' not in data]

    def ahead(self, rate: int) -> float:
        """The most that the client ever had and could not have played yet."""
        worst, end = 0.0, 0.0
        for moment, samples in self.audio():
            end = max(end, moment) + samples.size / rate
            worst = max(worst, end - moment)
        return worst


# -- the protocol


def test_what_clients_send_is_understood() -> None:
    assert parse('{"event":"start","websocket_id":"abc"}') == Start("abc")
    assert parse('{"event":"start","websocket_id":"abc","sample_rate":8000}') == Start("abc", "mulaw", 8000, True)
    assert parse('{"event":"start","websocket_id":"a","encoding":"pcm16","sample_rate":16000}') == Start(
        "a", "pcm16", 16000, True
    )
    assert parse('{"event":"ping"}') == Ping()
    assert parse('{"event":"stop"}') == Stop()
    media = parse('{"event":"media","media":{"payload":"/38A"}}')
    assert isinstance(media, Media)
    assert media.samples.tolist() == [0, 0, -32124]
    assert parse_binary(b"\x01\x00\xff\xff").samples.tolist() == [1, -1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "7",
        "null",
        '"start"',
        "{}",
        '{"event":7}',
        '{"event":["start"]}',
        '{"event":"dance"}',
        '{"event":"\\ud800"}',
        "[" * 100_000,
        '{"event":' * 50_000,
        '{"event":"start"}',
        '{"event":"start","websocket_id":7}',
        '{"event":"start","websocket_id":""}',
        '{"event":"start","websocket_id":"' + "x" * 65 + '"}',
        '{"event":"start","websocket_id":"a","encoding":"opus"}',
        '{"event":"start","websocket_id":"a","encoding":["mulaw"]}',
        '{"event":"start","websocket_id":"a","encoding":"pcm16"}',
        '{"event":"start","websocket_id":"a","sample_rate":"8000"}',
        '{"event":"start","websocket_id":"a","sample_rate":8000.5}',
        '{"event":"start","websocket_id":"a","sample_rate":true}',
        '{"event":"start","websocket_id":"a","sample_rate":11025}',
        '{"event":"start","websocket_id":"a","sample_rate":96000}',
        '{"event":"start","websocket_id":"a","sample_rate":-8000}',
        '{"event":"start","websocket_id":"a","sample_rate":' + "9" * 5000 + "}",
        '{"event":"media"}',
        '{"event":"media","media":7}',
        '{"event":"media","media":{}}',
        '{"event":"media","media":{"payload":7}}',
        '{"event":"media","media":{"payload":"not base64!"}}',
        '{"event":"media","media":{"payload":"YQ"}}',
        '{"event":"media","media":{"payload":"\\ud800\\u00e9"}}',
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(text: str) -> None:
    with pytest.raises(ProtocolError, match=r"\w{3}.*\.$") as refusal:
        parse(text)
    str(refusal.value).encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"media","media":{"payload":"/38A"}}',
        '{"event": "media", "media": {"payload": "/38A"}}',
        '{"event":"media","media":{"payload":""}}',
    ],
)
def test_usual_media_needs_no_json_parser(text: str) -> None:
    short, usual = parse_media(text.encode()), parse(text)
    assert short is not None and isinstance(usual, Media)
    assert short.samples.tolist() == usual.samples.tolist()


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"media","media":{"payload":"}}',
        '{"event":"media","media":{"payload":"/38"}}',
        '{"event":"media","media":{"payload":"/3 8A"}}',
        '{"event":"media","media":{"payload":"/38A\\n"}}',
        '{"event":"media","media":{"payload":"\\u002f38A"}}',
        '{"event":"media","media":{"payload":"/38A","x":"/38A"}}',
        '{"event":"media","media":{"payload":"/38A"}}}',
        '{"event":"media","media":{"payload":"/38A"},"event":"stop"}',
        '{"media":{"payload":"/38A"},"event":"media"}',
        '{"event":"stop"}',
        "",
    ],
)
def test_any_other_text_is_left_to_the_json_parser(text: str) -> None:
    assert parse_media(text.encode()) is None


@pytest.mark.parametrize("id", ["a b", "<script>", "new\\nline", "a/b", "\\u0000", "\\ud800"])
def test_an_id_that_no_later_request_could_name_is_refused(id: str) -> None:
    """As the HTTP routes do: inputs and outputs are asked for by this id, and it is written to the log."""
    with pytest.raises(ProtocolError):
        parse(f'{{"event":"start","websocket_id":"{id}"}}')


def test_an_odd_number_of_bytes_is_refused() -> None:
    with pytest.raises(ProtocolError, match="odd"):
        parse_binary(b"abc")


async def test_fastrtcs_bytes() -> None:
    handler = Recorder(output_sample_rate=8000)
    line = await Line(handler).open()
    handler.items.put_nowait((8000, np.full((1, 160), 1000, np.int16)))
    line.transport.send_message(message("send_input", []))
    await asyncio.sleep(0.1)
    payload = base64.b64encode(bytes([206] * 160)).decode()
    sent = [data for _, data in line.sent]
    assert sent == ['{"type":"send_input","data":[]}', f'{{"event":"media","media":{{"payload":"{payload}"}}}}']


# -- pace


@pytest.mark.parametrize("burst", [0.02, 0.1, 5.0])
async def test_audio_is_sent_as_it_is_spoken(burst: float) -> None:
    """However fast it was made, the client never has more than it can throw away when it is interrupted."""
    handler = Recorder(output_sample_rate=8000)
    line = await Line(handler).open()
    said = voice(5.0, 8000)
    for at in range(0, said.size, round(8000 * burst)):
        handler.items.put_nowait((8000, said[None, at : at + round(8000 * burst)]))
    began = now()
    await asyncio.sleep(6)
    assert line.heard().size == said.size
    assert line.ahead(8000) <= AHEAD + 0.001
    assert line.audio()[0][0] == pytest.approx(began, abs=0.03)
    assert line.audio()[-1][0] >= began + 5.0 - AHEAD - 0.1


async def test_playback_is_finished_when_the_client_has_played_it(loud_is_speech: None) -> None:
    def reply(audio: Audio) -> Audio:
        return 8000, voice(2.0, 8000)[None, :]

    line = await Line(ReplyOnPause(reply, input_sample_rate=16000, output_sample_rate=8000)).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(5.0, 16000)]), 16000)
    began = line.audio()[0][0]
    finished = next(moment for moment, data in line.sent if isinstance(data, str) and "response_finished" in data)
    assert finished == pytest.approx(began + 2.0, abs=0.05)


async def test_idle_for_a_minute() -> None:
    handler = Recorder()
    line = await Line(handler).open()
    asked = handler.asked
    await asyncio.sleep(60)
    assert handler.asked - asked <= 60 * 50
    assert line.sent == []
    assert line.session.audio is not None
    assert line.session.playout.buffered == 0
    assert not line.session.audio._input
    assert line.transport._messages.empty()


async def test_a_silent_microphone_for_a_minute() -> None:
    handler = Recorder(input_sample_rate=8000)
    line = await Line(handler).open()
    await line.speak(silence(60, 8000), 8000, chunk=0.1)
    assert handler.asked <= 60 * 100, "by the clock and by what comes in"
    assert line.sent == []
    assert line.session.audio is not None
    assert not line.session.audio._input
    assert len(line.transport._chunker) == 0


# -- resampling


@pytest.mark.parametrize("encoding", ["mulaw", "pcm16"])
@pytest.mark.parametrize("wire", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("handler_rate", [16000, 24000, 48000])
async def test_any_rate_on_the_wire_for_any_handler(encoding: Any, wire: int, handler_rate: int) -> None:
    handler = Recorder(input_sample_rate=handler_rate, output_sample_rate=handler_rate)
    line = await Line(handler, Start("caller", encoding, wire, True)).open()
    said = voice(1.0, wire, pitch=440)
    await line.speak(said, wire, chunk=0.05)
    kinds = {(rate, frame.shape[0], frame.dtype.name) for rate, frame in handler.received}
    assert kinds == {(handler_rate, 1, "int16")}
    whole = resample(said, wire, handler_rate)
    assert find(whole[handler_rate // 4 : -handler_rate // 4], handler.heard())[1] > 0.999
    answer = voice(1.0, handler_rate, pitch=330)
    for at in range(0, answer.size, handler_rate // 50):
        handler.items.put_nowait((handler_rate, answer[None, at : at + handler_rate // 50]))
    await asyncio.sleep(2)
    assert find(resample(answer, handler_rate, wire)[wire // 20 : -wire // 20], line.heard())[1] > 0.998
    assert all(samples.size % (wire // 50) == 0 for _, samples in line.audio())


@pytest.mark.parametrize("chunk", [1, 7, 160, 2048, 8000])
async def test_chunks_of_any_size(chunk: int) -> None:
    handler = Recorder(input_sample_rate=8000)
    handler.live_edge = False  # type: ignore[misc]
    line = await Line(handler).open()
    said = voice(1.0, 8000)
    for at in range(0, said.size, chunk):
        line.transport.receive(said[at : at + chunk])
    await settled()
    assert {frame.shape for _, frame in handler.received} == {(1, 160)}
    assert np.array_equal(handler.heard(), said)


async def test_mulaw_without_a_rate_is_at_the_handlers_own_rates() -> None:
    handler = Recorder(input_sample_rate=16000, output_sample_rate=24000)
    line = await Line(handler).open()
    assert line.session.playout.rate == 24000
    said = voice(0.5, 16000)
    await line.speak(said, 16000)
    assert np.array_equal(handler.heard(), said[-handler.heard().size :])
    assert handler.heard().size >= said.size - 320


@pytest.mark.parametrize("size", [160, 1024, 2048, 4096])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_a_live_handler_hears_everything_from_a_client_that_sends_large_chunks(rate: int, size: int) -> None:
    """FastRTC's own client sends 2048 samples at a time: 256 ms of a handler that wants 8 kHz."""
    handler = Recorder(input_sample_rate=rate)
    line = await Line(handler).open()
    said = voice(5.0, rate, pitch=0.1)  # no two places are alike
    said = said[: said.size // size * size]
    await line.speak(said, rate, chunk=size / rate)
    heard, end = handler.heard(), said.size // (rate // 50) * (rate // 50)
    assert heard.size >= end - rate // 50, "but for a frame, from which nothing can be told yet"
    assert np.array_equal(heard, said[end - heard.size : end])


# -- interruptions


@pytest.fixture
def long_reply() -> ReplyOnPause:
    def reply(audio: Audio) -> Audio:
        return 8000, voice(30.0, 8000)[None, :]

    return ReplyOnPause(reply, input_sample_rate=16000, output_sample_rate=8000)


async def test_speaking_over_a_reply_clears_the_clients_buffer(loud_is_speech: None, long_reply: ReplyOnPause) -> None:
    line = await Line(long_reply, Start("caller", "mulaw", 8000, True)).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(2.0, 16000)]), 16000)
    assert line.heard().size > 8000
    await line.speak(np.concatenate([voice(0.6, 16000)]), 16000)
    assert [told for told in line.messages() if told.get("type") != "timing"][-2:] == [
        {"event": "clear"},
        message("log", "started_talking"),
    ]
    heard = line.heard().size
    await line.speak(voice(1.0, 16000), 16000)
    assert line.heard().size == heard
    assert line.session.playout.buffered == 0


async def test_no_clear_when_nothing_waits_at_the_client(loud_is_speech: None, long_reply: ReplyOnPause) -> None:
    line = await Line(long_reply).open()
    await line.speak(voice(1.0, 16000), 16000)
    assert {"event": "clear"} not in line.messages()


async def test_a_clear_comes_before_what_follows_it() -> None:
    handler = Recorder(output_sample_rate=8000)
    line = await Line(handler).open()
    handler.items.put_nowait((8000, voice(2.0, 8000)[None, :]))
    await asyncio.sleep(0.5)
    handler.clear_queue()
    handler.items.put_nowait((8000, np.full((1, 800), 30000, np.int16)))
    await asyncio.sleep(0.5)
    kinds = ["clear" if isinstance(data, str) and '"clear"' in data else "media" for _, data in line.sent]
    after = kinds.index("clear") + 1
    assert kinds.count("clear") == 1
    assert [int(samples.max()) > 20000 for _, samples in line.audio()][after - 1 :] == [True]


async def test_an_uninterruptible_reply_is_heard_at_once(loud_is_speech: None) -> None:
    def reply(audio: Audio) -> Audio:
        return 8000, voice(1.0, 8000)[None, :]

    handler = ReplyOnPause(reply, can_interrupt=False, input_sample_rate=16000, output_sample_rate=8000)
    line = await Line(handler).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(1.0, 16000)]), 16000)
    paused = next(moment for moment, data in line.sent if isinstance(data, str) and "pause_detected" in data)
    assert line.audio()[0][0] == pytest.approx(paused, abs=0.05)


@pytest.mark.parametrize("text", ["", "hello"])
async def test_a_triggered_reply_is_heard_at_once(loud_is_speech: None, text: str) -> None:
    said: list[int] = []

    def reply(audio: Audio) -> Audio:
        said.append(audio[1].size)
        return 8000, voice(1.0, 8000)[None, :]

    line = await Line(ReplyOnPause(reply, input_sample_rate=16000, output_sample_rate=8000)).open()
    await line.speak(voice(0.5, 16000), 16000)
    asked = now()
    line.session.trigger_response(text)
    await asyncio.sleep(0.2)
    assert line.audio()[0][0] == pytest.approx(asked, abs=0.05)
    assert said[0] / 16000 == pytest.approx(0.5, abs=0.05)


def played(line: Line, rate: int) -> tuple[Samples, float]:
    """What a client that obeys "clear" hears, and the longest gap in it."""
    parts: list[tuple[float, Samples]] = []
    for moment, data in line.sent:
        if isinstance(data, str) and '"clear"' in data:
            parts = [(begun, samples[: max(round((moment - begun) * rate), 0)]) for begun, samples in parts]
        elif isinstance(data, bytes):
            end = max((begun + samples.size / rate for begun, samples in parts), default=0.0)
            parts.append((max(end, moment), np.frombuffer(data, "<i2").astype(np.int16)))
    sound = [(begun, samples) for begun, samples in parts if samples.size]
    gaps = [later[0] - (earlier[0] + earlier[1].size / rate) for earlier, later in pairwise(sound)]
    return np.concatenate([np.zeros(0, np.int16), *(samples for _, samples in sound)]), max(gaps, default=0.0)


PCM = Start("caller", "pcm16", 16000, True)


@pytest.mark.parametrize("written", [0.005, 0.02, 0.033, 6.0])
@pytest.mark.parametrize("cough", [0.13, 0.16])
async def test_a_cough_silences_a_client_at_once_and_it_goes_on_where_it_stopped(
    loud_is_speech: None, cough: float, written: float
) -> None:
    """What it had been sent ahead is void at the hold, and is sent again: nothing is lost, nothing heard twice."""
    reply = voice(6.0, 16000, pitch=0.3)

    def answer(audio: Audio) -> Iterator[Emitted]:
        for at in range(0, reply.size, round(16000 * written)):
            yield 16000, reply[None, at : at + round(16000 * written)]

    line = await Line(ReplyOnPause(answer, input_sample_rate=16000, output_sample_rate=16000), PCM).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(2.0, 16000)]), 16000)
    began = now()
    await line.speak(np.concatenate([voice(cough, 16000), silence(8.0, 16000)]), 16000)
    clears = [moment for moment, data in line.sent if isinstance(data, str) and '"clear"' in data]
    assert [moment - began for moment in clears] == [pytest.approx(0.1, abs=0.05)]
    heard, gap = played(line, 16000)
    assert heard.tolist() == reply.tolist()
    assert 0.1 < gap < 0.8
    assert not [told for told in line.messages() if told.get("data") == "response_resumed"], "it was no speech at all"


async def test_two_coughs_one_after_the_other(loud_is_speech: None) -> None:
    reply = voice(6.0, 16000, pitch=0.3)
    handler = ReplyOnPause(lambda audio: (16000, reply[None, :]), input_sample_rate=16000, output_sample_rate=16000)
    line = await Line(handler, PCM).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(2.0, 16000)]), 16000)
    for pause in (0.75, 8.0):
        await line.speak(np.concatenate([voice(0.13, 16000), silence(pause, 16000)]), 16000)
    assert played(line, 16000)[0].tolist() == reply.tolist()


async def test_a_hold_at_the_very_end_of_a_reply(loud_is_speech: None) -> None:
    """All has been sent and 0.1 s of it not been heard: the reply is not over."""
    reply = voice(2.0, 16000, pitch=0.3)
    handler = ReplyOnPause(lambda audio: (16000, reply[None, :]), input_sample_rate=16000, output_sample_rate=16000)
    line = await Line(handler, PCM).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(0.6, 16000)]), 16000)
    began = line.audio()[0][0]
    await line.speak(silence(began + 1.8 - now(), 16000), 16000)
    await line.speak(np.concatenate([voice(0.13, 16000), silence(2.0, 16000)]), 16000)
    assert played(line, 16000)[0].tolist() == reply.tolist()
    finished = next(moment for moment, data in line.sent if isinstance(data, str) and "response_finished" in data)
    last, samples = line.audio()[-1]
    assert finished >= last + samples.size / 16000 - 0.001


async def test_what_was_heard_of_a_reply_does_not_count_what_was_sent_ahead(loud_is_speech: None) -> None:
    timings: list[ReplyTiming] = []

    def answer(audio: Audio) -> Emitted:
        timings.append(get_reply_timing())
        return 16000, voice(20.0, 16000)[None, :]

    line = await Line(ReplyOnPause(answer, input_sample_rate=16000, output_sample_rate=16000), PCM).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(3.0, 16000), voice(1.0, 16000)]), 16000)
    assert timings[0].interrupted
    assert timings[0].heard_seconds == pytest.approx(played(line, 16000)[0].size / 16000, abs=0.001)


async def test_fastrtcs_clients_hear_nothing_twice(loud_is_speech: None) -> None:
    """They may not know "clear": what they have been sent is not sent again, and the rest waits."""
    reply = voice(6.0, 8000, pitch=0.3)
    handler = ReplyOnPause(lambda audio: (8000, reply[None, :]), input_sample_rate=16000, output_sample_rate=8000)
    line = await Line(handler).open()
    await line.speak(np.concatenate([voice(1.0, 16000), silence(2.0, 16000)]), 16000)
    await line.speak(np.concatenate([voice(0.13, 16000), silence(8.0, 16000)]), 16000)
    assert line.heard().tolist() == mulaw.decode(mulaw.encode(reply)).tolist()


# -- messages


async def test_every_message_is_delivered_in_order() -> None:
    line = await Line(Recorder()).open()
    sent = [message("log", number) for number in range(200)]
    sent += [message("send_input", []), message("fetch_output", []), message("warning", "w"), message("stopword")]
    for each in sent:
        line.transport.send_message(each)
    await settled()
    assert line.messages() == sent


async def test_errors_are_told() -> None:
    class Failing(Recorder):
        async def receive(self, frame: Audio) -> None:
            raise WebRTCError("The kitchen is closed")

    line = await Line(Failing()).open()
    await line.speak(voice(0.1, 48000), 48000)
    assert line.messages()[0] == message("error", "The kitchen is closed")


# -- the end


async def test_the_time_limit_ends_it_after_a_warning() -> None:
    handler = Recorder()
    line = await Line(handler, config=SessionConfig(time_limit=30)).open()
    began = now()
    await asyncio.sleep(40)
    told = [(round(moment - began), json.loads(str(data))) for moment, data in line.sent]
    assert told == [
        (20, message("warning", "The conversation ends in 10 seconds.")),
        (30, message("end_stream", Reason.TIME_LIMIT.value)),
    ]
    assert line.hung_up == pytest.approx(began + 30, abs=0.1)
    assert (line.session.state, handler.shut) == (State.CLOSED, 1)


async def test_close_stream_hangs_up_when_the_client_has_heard_everything() -> None:
    handler = Recorder(output_sample_rate=8000)
    line = await Line(handler).open()
    handler.items.put_nowait(((8000, voice(1.0, 8000)[None, :]), CloseStream("Bye")))
    began = now()
    await asyncio.sleep(3)
    assert line.heard().size == 8000
    assert line.messages() == [message("end_stream", "Bye")]
    assert line.hung_up == pytest.approx(began + 1.0, abs=0.1)


async def test_a_client_that_is_gone_is_sent_nothing_more() -> None:
    handler = Recorder(output_sample_rate=8000)
    line = await Line(handler).open()
    handler.items.put_nowait((8000, voice(5.0, 8000)[None, :]))
    await asyncio.sleep(0.5)
    sent = len(line.sent)
    line.transport.gone()
    await asyncio.sleep(2)
    assert (len(line.sent), line.hung_up) == (sent, None)
    assert (line.session.state, handler.shut) == (State.CLOSED, 1)


async def test_a_flood_ends_the_session_in_words() -> None:
    line = await Line(Recorder(input_sample_rate=8000)).open()
    with pytest.raises(ProtocolError, match="faster than"):
        for _ in range(round(FLOOD_SECONDS) + 2):
            line.transport.receive(silence(1.0, 8000))
    await asyncio.sleep(1)
    assert line.messages() == [message("end_stream", Reason.FLOODED.value)]
    assert line.hung_up is not None


async def test_only_the_sockets_tasks_are_left_and_then_none() -> None:
    before = asyncio.all_tasks()
    line = await Line(Recorder()).open()
    await line.session.close(Reason.SERVER_SHUTDOWN)
    await settled()
    assert asyncio.all_tasks() == before
