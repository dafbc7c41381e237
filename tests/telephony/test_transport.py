"""The telephone's transport on a virtual clock: its pace, its marks, what it takes back, and a network that jumbles."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streams.media import mulaw
from streams.media.audio import Audio, Samples
from streams.media.context import Context
from streams.media.handlers import AsyncStreamHandler
from streams.media.outputs import CloseStream, Emitted
from streams.media.session import Reason, Session, SessionConfig
from telephony.media_streams import FRAME, RATE, Marked, Media, Stopped
from telephony.simulator.player import Player
from telephony.transport import AHEAD_SECONDS, LONGEST_GAP, MARK_SECONDS, REORDER, TelephoneTransport
from telephony.twilio import TwilioCodec
from tests.listening import find
from tests.media.client import voice
from tests.media.virtual_time import now, settled

pytestmark = pytest.mark.virtual_time


class Plays(AsyncStreamHandler):
    def __init__(self) -> None:
        super().__init__(input_sample_rate=RATE, output_sample_rate=RATE)
        self.items: asyncio.Queue[Emitted] = asyncio.Queue()

    def copy(self) -> Plays:
        return Plays()

    async def receive(self, frame: Audio) -> None:
        """Listens to nobody."""

    async def emit(self) -> Emitted:
        return await self.items.get()

    def play(self, samples: Samples) -> None:
        self.items.put_nowait((RATE, samples[None, :]))


class Ear(Session):
    """Notes what it is given: (first sample, media time, filler)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given: list[tuple[int, float, bool]] = []

    def receive_audio(self, samples: Samples, rate: int, media_time: float, filler: bool = False) -> None:
        assert rate == RATE
        self.given.append((int(samples[0]), media_time, filler))
        super().receive_audio(samples, rate, media_time, filler)


class Line:
    """A provider, ``delay`` seconds away, that plays what it is sent, 20 ms a tick, and echoes marks."""

    def __init__(self, config: SessionConfig | None = None, delay: float = 0.0) -> None:
        self.handler = Plays()
        codec = TwilioCodec()
        codec.parse('{"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1"}}')
        self.transport = TelephoneTransport(codec, self._send, self._hang_up)
        self.session = Ear(self.handler, self.transport, Context("caller"), config=config)
        self.player = Player()
        self.delay = delay
        self.echoes = True
        self.sent: list[tuple[float, str]] = []
        self.sizes: set[int] = set()
        self.heard: list[Samples] = []
        self.most_waiting = 0.0
        self.hung_up: float | None = None
        self.began = now()
        self._under_way: deque[dict[str, Any]] = deque()  # timers of the same moment come in any order
        self._ticking: asyncio.Task[None] | None = None

    async def open(self) -> Line:
        self.session.connecting()
        self.transport.start(self.session)
        self._ticking = asyncio.create_task(self._tick())
        await settled()
        return self

    async def _send(self, text: str) -> None:
        assert self.hung_up is None, "sent after the end"
        self.sent.append((now(), json.loads(text)["event"]))
        self._under_way.append(json.loads(text))
        asyncio.get_running_loop().call_later(self.delay, self._take)

    def _take(self) -> None:
        body = self._under_way.popleft()
        match body["event"]:
            case "media":
                samples = mulaw.decode(base64.b64decode(body["media"]["payload"]))
                self.sizes.add(samples.size)
                self.player.write(samples)
                self.most_waiting = max(self.most_waiting, self.player.waiting)
            case "mark":
                self._echo(self.player.mark(body["mark"]["name"]))
            case "clear":
                self._echo(self.player.clear())

    def _echo(self, names: list[str]) -> None:
        for name in names if self.echoes else ():
            asyncio.get_running_loop().call_later(self.delay, self.transport.receive, Marked(name))

    async def _tick(self) -> None:
        while self.hung_up is None:
            await asyncio.sleep(0.02)
            frame, marks = self.player.tick()
            self.heard.append(frame)
            self._echo(marks)

    async def _hang_up(self) -> None:
        self.hung_up = now()

    def events(self, name: str) -> list[float]:
        return [moment for moment, event in self.sent if event == name]

    def sound(self) -> Samples:
        """What was heard, without silence around it."""
        heard = np.concatenate([np.zeros(FRAME, np.int16), *self.heard])
        loud = np.flatnonzero(heard)
        return heard[loud[0] : loud[-1] + 1] if loud.size else heard[:0]

    def speak(self, *chunks: int) -> None:
        """Frames whose samples are their chunk's number."""
        for chunk in chunks:
            self.transport.receive(Media(chunk, np.full(FRAME, chunk, np.int16)))


# -- to the caller


async def test_audio_goes_out_at_its_pace_a_little_ahead() -> None:
    line = await Line().open()
    wave = voice(2, RATE)
    line.handler.play(wave)
    await asyncio.sleep(3)
    assert line.sizes == {FRAME}
    assert 0.04 < line.most_waiting <= AHEAD_SECONDS + 0.02
    assert np.count_nonzero(line.sound()) / wave.size > 0.99, "without a gap"
    assert line.sound().size <= wave.size
    assert find(wave, np.concatenate(line.heard))[1] > 0.99
    began = line.events("media")[0]
    assert line.events("media")[-1] - began == pytest.approx(2 - AHEAD_SECONDS, abs=0.03)


async def test_a_pause_in_the_audio_costs_nothing_of_the_pace() -> None:
    line = await Line().open()
    for _ in range(3):
        line.handler.play(voice(0.5, RATE))
        await asyncio.sleep(2)
    assert line.most_waiting <= AHEAD_SECONDS + 0.02
    assert sum(np.abs(frame).max() > 500 for frame in line.heard) == pytest.approx(75, abs=2)


async def test_marks_follow_the_audio_and_end_it() -> None:
    line = await Line().open()
    line.handler.play(voice(1.05, RATE))
    await asyncio.sleep(2)
    assert [event for _, event in line.sent][-1] == "mark"
    assert 5 <= len(line.events("mark")) <= 8


async def test_frames_that_come_one_by_one_are_not_marked_one_by_one() -> None:
    line = await Line().open()
    for number in range(50):
        line.handler.play(voice(0.02, RATE))
        await asyncio.sleep(0.02 if number % 5 else 0.03)
    assert len(line.events("media")) == 50
    assert len(line.events("mark")) == 5
    line.handler.play(voice(0.02, RATE))
    await asyncio.sleep(1)
    assert [event for _, event in line.sent][-1] == "mark"
    assert line.events("mark")[-1] - line.events("media")[-1] == pytest.approx(MARK_SECONDS, abs=0.01)


async def test_who_waits_for_the_end_has_it_marked_at_once() -> None:
    line = await Line().open()
    line.handler.play(voice(0.04, RATE))
    await asyncio.sleep(0.01)
    line.session.finish()
    waiting = asyncio.ensure_future(line.session.played())
    await settled()
    assert line.events("mark") == [pytest.approx(now(), abs=0.001)]
    await waiting


async def test_cleared_at_once_and_nothing_follows() -> None:
    line = await Line().open()
    line.handler.play(voice(5, RATE))
    await asyncio.sleep(1)
    line.session.hold()
    line.session.clear()
    await settled()
    cleared = now()
    assert line.events("clear") == [pytest.approx(cleared, abs=0.001)], "once is enough"
    assert line.player.waiting == 0
    assert line.transport.ahead() == 0
    await asyncio.sleep(1)
    assert line.events("media")[-1] <= cleared
    assert line.session.heard_seconds() == pytest.approx(1, abs=0.05)


async def test_nothing_to_clear_sends_no_clear() -> None:
    line = await Line().open()
    line.session.clear()
    line.handler.play(voice(0.5, RATE))
    await asyncio.sleep(2)
    line.session.clear()
    await settled()
    assert line.events("clear") == []


async def test_what_was_heard_is_what_the_line_has_played() -> None:
    line = await Line().open()
    line.handler.play(voice(3, RATE))
    for _ in range(10):
        await asyncio.sleep(0.23)
        played = sum(bool(frame.any()) for frame in line.heard) * 0.02
        assert line.session.heard_seconds() == pytest.approx(played, abs=0.045)


async def test_a_hold_takes_back_what_was_not_heard_and_a_release_sends_it_again() -> None:
    line = await Line().open()
    wave = voice(3, RATE, pitch=211.7)
    line.handler.play(wave)
    await asyncio.sleep(1)
    line.session.hold()
    await asyncio.sleep(0.5)
    assert line.events("clear") != []
    assert not line.heard[-1].any(), "silence while held"
    line.session.release()
    await asyncio.sleep(3)
    spoken = np.concatenate([frame for frame in line.heard if frame.any()])
    assert spoken.size == pytest.approx(wave.size, abs=3 * FRAME)
    assert find(wave[: RATE // 2], spoken)[1] > 0.99
    assert find(wave[-RATE:], spoken)[1] > 0.99


async def test_played_waits_for_the_mark_and_not_for_the_clock() -> None:
    line = await Line(delay=0.3).open()
    line.handler.play(voice(0.5, RATE))
    await asyncio.sleep(0.01)
    line.session.finish()
    await line.session.played()
    assert sum(bool(frame.any()) for frame in line.heard) == pytest.approx(25, abs=1), "all of it has been heard"
    assert now() - line.began == pytest.approx(0.5 + 0.6, abs=0.1)


async def test_a_lost_mark_costs_a_moment_and_not_the_call() -> None:
    line = await Line().open()
    line.echoes = False
    line.handler.play(voice(0.5, RATE))
    await asyncio.sleep(0.01)
    line.session.finish()
    async with asyncio.timeout(2):
        await line.session.played()
    line.echoes = True
    line.handler.play(voice(0.5, RATE))
    await asyncio.sleep(0.1)
    line.session.finish()
    await line.session.played()
    assert sum(bool(frame.any()) for frame in line.heard) == pytest.approx(50, abs=1)


async def test_marks_tell_how_far_away_the_caller_is() -> None:
    line = await Line(delay=0.15).open()
    line.handler.play(voice(3, RATE))
    await asyncio.sleep(1)
    assert await line.transport.latency() == pytest.approx(0.15, abs=0.03)
    for _ in range(8):
        await asyncio.sleep(0.23)
        played = sum(bool(frame.any()) for frame in line.heard) * 0.02
        assert line.session.heard_seconds() == pytest.approx(played, abs=0.045)


@pytest.mark.parametrize("name", ["", "from another", "-5", "999999999999", "１２"])
async def test_marks_that_are_not_ours_mean_nothing(name: str) -> None:
    line = await Line().open()
    line.handler.play(voice(1, RATE))
    await asyncio.sleep(0.5)
    heard = line.session.heard_seconds()
    line.transport.receive(Marked(name))
    assert line.session.heard_seconds() == pytest.approx(heard, abs=AHEAD_SECONDS + 0.02)
    await asyncio.sleep(2)
    assert sum(bool(frame.any()) for frame in line.heard) == pytest.approx(50, abs=1)


# -- its end


async def test_the_last_word_is_heard_before_the_line_is_closed() -> None:
    line = await Line(delay=0.1).open()
    line.handler.play(voice(0.7, RATE))
    line.handler.items.put_nowait(CloseStream("Bye"))
    await asyncio.sleep(3)
    assert line.hung_up is not None
    assert line.player.waiting == 0
    assert sum(bool(frame.any()) for frame in line.heard) == pytest.approx(35, abs=1)
    assert line.hung_up - line.began < 1.2


async def test_a_time_limit_plays_what_was_sent() -> None:
    line = await Line(SessionConfig(time_limit=1.0), delay=0.05).open()
    line.handler.play(voice(5, RATE))
    await asyncio.sleep(4)
    assert line.hung_up is not None
    assert line.player.waiting == 0
    assert line.hung_up - line.began < 1.6


@pytest.mark.parametrize("how", ["stop", "gone"])
async def test_a_caller_who_hangs_up_is_not_waited_for(how: str) -> None:
    line = await Line().open()
    line.handler.play(voice(5, RATE))
    await asyncio.sleep(0.5)
    if how == "stop":
        line.transport.receive(Stopped())
    else:
        line.transport.gone()
    closed = now()
    await line.session.close(Reason.CLIENT_CLOSED)
    assert now() - closed < 0.1
    assert line.hung_up is None or how == "stop"


async def test_closing_twice_hangs_up_once() -> None:
    line = await Line().open()
    await line.session.close(Reason.TIME_LIMIT)
    first = line.hung_up
    await asyncio.sleep(1)
    await line.transport.close()
    assert line.hung_up == first


# -- from the caller


def numbers(line: Line) -> list[int]:
    return [value for value, _, filler in line.session.given if not filler]


JUMBLED: dict[str, Callable[[Line], None]] = {
    "in order": lambda line: line.speak(1, 2, 3, 4, 5, 6),
    "twice": lambda line: line.speak(1, 2, 2, 3, 1, 3, 4, 5, 6, 6),
    "swapped": lambda line: line.speak(1, 3, 2, 4, 6, 5),
    "far apart": lambda line: line.speak(1, 3, 4, 5, 6, 2),
    "swapped and twice": lambda line: line.speak(1, 3, 3, 2, 2, 4, 6, 6, 5),
}


@pytest.mark.parametrize("how", JUMBLED)
async def test_chunks_are_heard_in_order_and_once(how: str) -> None:
    line = await Line().open()
    JUMBLED[how](line)
    assert numbers(line) == [1, 2, 3, 4, 5, 6]
    assert [moment for _, moment, _ in line.session.given] == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1])
    assert not any(filler for _, _, filler in line.session.given)


async def test_the_first_chunk_may_have_any_number() -> None:
    line = await Line().open()
    line.speak(70, 71, 72)
    assert numbers(line) == [70, 71, 72]


async def test_what_is_lost_is_silence_in_its_place() -> None:
    line = await Line().open()
    line.speak(1, 2, *range(4, 4 + REORDER + 1))
    assert [filler for _, _, filler in line.session.given[:4]] == [False, False, True, False]
    moments = [moment for _, moment, _ in line.session.given]
    assert moments == pytest.approx([0.02 * number for number in range(len(moments))])
    line.speak(3)
    assert numbers(line) == [1, 2, *range(4, 4 + REORDER + 1)], "too late is lost"


async def test_a_long_gap_is_not_filled_whole() -> None:
    line = await Line().open()
    line.speak(1, *range(30_000, 30_000 + REORDER + 1))
    assert sum(filler for _, _, filler in line.session.given) == LONGEST_GAP
