import asyncio
import random

import numpy as np
import pytest

from streams.media.audio import FRAME_SECONDS, Samples
from streams.media.playout import HIGH_WATER, Playout
from tests.media.virtual_time import now, settled

RATE = 24000
FRAME = 480


def numbered(count: int, first: int = 1) -> Samples:
    """Samples that tell their place; loud enough to be worth hearing."""
    return (np.arange(first, first + count) % 20000 + 1000).astype(np.int16)


def read_all(playout: Playout) -> list[Samples]:
    frames = []
    while (frame := playout.read()) is not None:
        frames.append(frame)
    return frames


def joined(frames: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.int16), *frames])


@pytest.fixture
def playout() -> Playout:
    return Playout(RATE)


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000, 48000])
def test_a_frame_is_20_ms(rate: int) -> None:
    playout = Playout(rate)
    playout.write(numbered(rate))
    assert [frame.size for frame in read_all(playout)] == [rate // 50] * 50


@pytest.mark.parametrize("size", [1, 7, 479, 480, 481, 960, 1000, 5000])
def test_any_chunks_come_out_as_frames_in_exact_order(playout: Playout, size: int) -> None:
    samples = numbered(48000)
    for start in range(0, samples.size, size):
        playout.write(samples[start : start + size])
    frames = read_all(playout)
    assert {frame.size for frame in frames} == {FRAME}
    assert joined(frames).tolist() == samples.tolist()
    assert playout.played == 100


def test_nothing_is_padded_before_the_flush(playout: Playout) -> None:
    playout.write(numbered(FRAME + 100))
    assert len(read_all(playout)) == 1
    assert not playout.ready
    playout.write(numbered(FRAME - 100))
    assert len(read_all(playout)) == 1
    assert not playout.buffered


def test_the_flush_pads_the_last_frame(playout: Playout) -> None:
    playout.write(numbered(FRAME + 100))
    playout.flush()
    frames = read_all(playout)
    assert [frame.size for frame in frames] == [FRAME, FRAME]
    assert joined(frames).tolist() == numbered(FRAME + 100).tolist() + [0] * (FRAME - 100)


def test_writing_goes_on_after_a_flush(playout: Playout) -> None:
    playout.write(numbered(100))
    playout.flush()
    playout.write(numbered(100))
    assert not playout.ready
    playout.write(numbered(FRAME))
    assert playout.ready


def test_nothing_to_read(playout: Playout) -> None:
    assert playout.read() is None
    playout.flush()
    assert playout.read() is None
    assert playout.played == 0


def test_clear_drops_everything_and_says_how_much(playout: Playout) -> None:
    playout.write(numbered(RATE))
    playout.read()
    assert playout.clear() == pytest.approx(0.98)
    assert playout.read() is None
    assert playout.buffered == 0
    playout.write(numbered(FRAME, first=7))
    assert (frame := playout.read()) is not None and frame.tolist() == numbered(FRAME, first=7).tolist()


def test_held_audio_goes_on_where_it_stopped(playout: Playout) -> None:
    playout.write(numbered(10 * FRAME))
    first = [playout.read() for _ in range(3)]
    playout.hold()
    assert playout.read() is None
    playout.write(numbered(5 * FRAME, first=10 * FRAME + 1))
    assert not playout.ready
    playout.release()
    assert joined([frame for frame in first if frame is not None] + read_all(playout)).tolist() == (
        numbered(15 * FRAME).tolist()
    )


def test_clearing_ends_the_hold(playout: Playout) -> None:
    playout.hold()
    playout.clear()
    playout.write(numbered(FRAME))
    assert playout.ready


# -- waiting


async def test_the_reader_wakes_when_a_frame_is_there(playout: Playout) -> None:
    began = now()
    asyncio.get_running_loop().call_later(0.3, playout.write, numbered(100))
    asyncio.get_running_loop().call_later(0.5, playout.write, numbered(FRAME))
    assert await playout.wait(1)
    assert now() - began == pytest.approx(0.5)


async def test_the_reader_wakes_at_a_flush_and_at_a_release(playout: Playout) -> None:
    began = now()
    playout.write(numbered(100))
    asyncio.get_running_loop().call_later(0.3, playout.flush)
    assert await playout.wait(1)
    assert now() - began == pytest.approx(0.3)
    playout.hold()
    asyncio.get_running_loop().call_later(0.3, playout.release)
    assert await playout.wait(1)
    assert now() - began == pytest.approx(0.6)


async def test_the_reader_may_want_several_frames(playout: Playout) -> None:
    began = now()
    asyncio.get_running_loop().call_later(0.3, playout.write, numbered(FRAME))
    asyncio.get_running_loop().call_later(0.5, playout.write, numbered(FRAME))
    assert await playout.wait(frames=2)
    assert now() - began == pytest.approx(0.5)
    assert await playout.wait(1, frames=3), "there are two"
    assert now() - began == pytest.approx(1.5)
    asyncio.get_running_loop().call_later(0.2, playout.flush)
    assert await playout.wait(frames=3)
    assert now() - began == pytest.approx(1.7)


async def test_the_reader_gives_up(playout: Playout) -> None:
    began = now()
    assert not await playout.wait(0.4)
    assert now() - began == pytest.approx(0.4)
    assert not await playout.wait(-1)


async def test_the_reader_can_be_cancelled(playout: Playout) -> None:
    waiting = asyncio.create_task(playout.wait(10))
    await settled()
    waiting.cancel()
    await settled()
    playout.write(numbered(FRAME))
    assert await playout.wait(1)


async def test_drained_waits_until_the_last_frame_has_been_read(playout: Playout) -> None:
    await playout.drained()
    playout.write(numbered(FRAME + 10))
    waiting = asyncio.create_task(playout.drained())
    playout.read()
    await settled()
    assert not waiting.done()
    playout.flush()
    await settled()
    assert not waiting.done()
    playout.read()
    await settled()
    assert waiting.done()


async def test_drained_at_a_flush_after_the_last_full_frame(playout: Playout) -> None:
    playout.write(numbered(FRAME))
    waiting = asyncio.create_task(playout.drained())
    playout.read()
    await settled()
    assert not waiting.done()  # more may follow
    playout.flush()
    await settled()
    assert waiting.done()


async def test_drained_by_clearing(playout: Playout) -> None:
    playout.write(numbered(FRAME))
    waiting = asyncio.create_task(playout.drained())
    await settled()
    playout.clear()
    await settled()
    assert waiting.done()


async def test_a_writer_waits_above_high_water(playout: Playout) -> None:
    playout.write(numbered(int(RATE * HIGH_WATER)))
    await playout.writable()
    playout.write(numbered(FRAME))
    waiting = asyncio.create_task(playout.writable())
    await settled()
    assert not waiting.done()
    playout.read()
    await settled()
    assert waiting.done()


async def test_clearing_lets_the_writer_go_on(playout: Playout) -> None:
    playout.write(numbered(int(RATE * HIGH_WATER) + FRAME))
    waiting = asyncio.create_task(playout.writable())
    await settled()
    playout.clear()
    await settled()
    assert waiting.done()


# -- the live edge


def live(playout: Playout, frames: int, first: int = 0, jitter: int = 0, level: int = 0) -> tuple[list[Samples], int]:
    """A source that writes a frame for each that is read, ``jitter`` now and then later and two at once."""
    chance, owed, heard, number = random.Random(1), 0, [], first
    for _ in range(frames):
        owed += 1
        if owed > jitter or chance.random() < 0.7:
            for _ in range(owed):
                playout.write(np.full(FRAME, level, np.int16))
                number += 1
            owed = 0
        if (frame := playout.read()) is not None:
            heard.append(frame)
    return heard, number


@pytest.mark.parametrize("level", [0, 5000])
@pytest.mark.parametrize("backlog", [1, 2, 3, 5])
def test_a_standing_backlog_is_worked_off(playout: Playout, backlog: int, level: int) -> None:
    playout.write(np.full(backlog * FRAME, level, np.int16))
    live(playout, 2000, level=level)
    assert playout.buffered <= FRAME_SECONDS


def test_a_quiet_frame_is_left_out_rather_than_a_loud_one(playout: Playout) -> None:
    playout.write(numbered(2 * FRAME))
    written = [np.full(FRAME, 0 if number % 10 == 9 else 9000, np.int16) for number in range(400)]
    heard = []
    for frame in written:
        playout.write(frame)
        got = playout.read()
        assert got is not None
        heard.append(got)
    loud_written = sum(int(frame.max()) == 9000 for frame in written[: len(heard) - 2])
    loud_heard = sum(int(frame.max()) == 9000 for frame in heard)
    assert playout.buffered < 2 * FRAME_SECONDS
    assert loud_heard >= loud_written - 2


def test_jitter_is_not_mistaken_for_a_backlog(playout: Playout) -> None:
    heard, written = live(playout, 2000, jitter=1)
    assert len(heard) >= written - 1


REPLY_FRAMES = [1, 2, 5, 6, 50, 99, 100, 101, 102, 103, 104, 105, 106, 107, 150, 199, 201, 203, 205, 206, 305, 499]


@pytest.mark.parametrize("level", [100, 8000])
@pytest.mark.parametrize("frames", REPLY_FRAMES)
def test_a_reply_written_ahead_never_loses_a_sample(playout: Playout, frames: int, level: int) -> None:
    reply = (np.arange(frames * FRAME) % level).astype(np.int16)
    playout.write(reply)
    playout.flush()
    assert joined(read_all(playout)).tolist() == reply.tolist()


@pytest.mark.parametrize("before", range(0, 100, 7))
def test_replies_one_after_the_other_never_lose_a_sample(playout: Playout, before: int) -> None:
    for frames in (before, 3, 102, 60, 260):
        reply = (np.arange(frames * FRAME) % 300).astype(np.int16)
        playout.write(reply)
        playout.flush()
        assert joined(read_all(playout)).tolist() == reply.tolist()


@pytest.mark.parametrize("lead", [0, 6, 8, 15])
def test_a_reply_generated_just_ahead_of_its_playing_loses_nothing(playout: Playout, lead: int) -> None:
    """A generator that pauses for each chunk of speech synthesis and then writes it at once."""
    heard, written, total = [], 0, 20 * 25
    reply = (np.arange(total * FRAME) % 300).astype(np.int16)
    for tick in range(total):
        if tick % 25 == 0:
            playout.write(reply[written : written + 25 * FRAME])
            written += 25 * FRAME
        if tick == 0:
            for _ in range(25 - lead):
                heard.append(playout.read())
            playout.write(reply[written : written + 25 * FRAME])
            written += 25 * FRAME
        heard.append(playout.read())
    playout.flush()
    frames = [frame for frame in heard if frame is not None] + read_all(playout)
    assert joined(frames).tolist() == reply[:written].tolist()


# -- holding, taking back, marking


def test_what_was_sent_ahead_is_taken_back_and_played_again(playout: Playout) -> None:
    playout.write(numbered(20 * FRAME))
    for _ in range(10):
        playout.read()
    playout.hold()
    playout.rewind(5 * FRAME_SECONDS)
    assert playout.buffered == pytest.approx(15 * FRAME_SECONDS)
    assert playout.read_samples == 5 * FRAME
    playout.release()
    assert joined(read_all(playout)).tolist() == numbered(20 * FRAME)[5 * FRAME :].tolist()


@pytest.mark.parametrize("size", [1, 100, 479, 481, 1000, 48000])
@pytest.mark.parametrize("back", [0.0001, 0.01, 0.02, 0.033, 0.2])
def test_any_length_is_taken_back_exactly_whatever_the_chunks(playout: Playout, size: int, back: float) -> None:
    samples = numbered(20 * FRAME)
    for start in range(0, samples.size, size):
        playout.write(samples[start : start + size])
    playout.flush()
    heard = [frame for _ in range(15) if (frame := playout.read()) is not None]
    count = round(back * RATE)
    playout.rewind(back)
    assert joined(read_all(playout))[: 5 * FRAME + count].tolist() == samples[15 * FRAME - count :].tolist()
    assert joined(heard).tolist() == samples[: 15 * FRAME].tolist()


def test_taking_back_in_several_steps(playout: Playout) -> None:
    playout.write(numbered(20 * FRAME))
    for _ in range(10):
        playout.read()
    for _ in range(3):
        playout.rewind(1.5 * FRAME_SECONDS)
    assert (
        joined(read_all(playout))[: 14 * FRAME].tolist()
        == numbered(20 * FRAME)[round(5.5 * FRAME) :][: 14 * FRAME].tolist()
    )


def test_no_more_is_taken_back_than_was_played(playout: Playout) -> None:
    playout.write(numbered(10 * FRAME))
    for _ in range(3):
        playout.read()
    playout.rewind(60)
    assert playout.read_samples == 0
    assert joined(read_all(playout)).tolist() == numbered(10 * FRAME).tolist()


def test_what_was_cleared_is_not_taken_back(playout: Playout) -> None:
    playout.write(numbered(10 * FRAME))
    playout.read()
    playout.clear()
    playout.rewind(1)
    assert playout.read() is None
    playout.write(numbered(FRAME, first=7))
    assert joined(read_all(playout)).tolist() == numbered(FRAME, first=7).tolist()


def test_silence_that_filled_a_last_frame_is_not_taken_back(playout: Playout) -> None:
    playout.write(numbered(100))
    playout.flush()
    playout.read()
    playout.rewind(FRAME_SECONDS)
    assert playout.buffered == pytest.approx(100 / RATE)
    assert (frame := playout.read()) is not None and frame.tolist() == numbered(100).tolist() + [0] * (FRAME - 100)


async def test_a_reply_that_was_taken_back_is_not_drained(playout: Playout) -> None:
    playout.write(numbered(2 * FRAME))
    playout.flush()
    read_all(playout)
    await playout.drained()
    playout.hold()
    playout.rewind(FRAME_SECONDS)
    waiting = asyncio.create_task(playout.drained())
    await settled()
    assert not waiting.done()
    playout.release()
    read_all(playout)
    await settled()
    assert waiting.done()


def test_what_has_been_written_and_read_is_counted(playout: Playout) -> None:
    playout.write(numbered(10 * FRAME))
    for _ in range(4):
        playout.read()
    assert (playout.written_samples, playout.read_samples) == (10 * FRAME, 4 * FRAME)
    playout.rewind(FRAME_SECONDS)
    assert playout.read_samples == 3 * FRAME
    playout.clear()
    assert playout.written_samples == playout.read_samples == 3 * FRAME, "what is dropped is not counted"
    playout.write(numbered(100))
    playout.flush()
    playout.read()
    assert playout.written_samples == playout.read_samples == 3 * FRAME + 100, "and neither is what fills a frame"


def test_a_mark_is_reached_with_the_first_sample_after_it(playout: Playout) -> None:
    reached: list[str] = []
    playout.mark(lambda: reached.append("first"))
    playout.write(numbered(2 * FRAME + 10))
    playout.mark(lambda: reached.append("second"))
    playout.read()
    assert reached == ["first"]
    playout.read()
    assert reached == ["first"]
    playout.write(numbered(FRAME))
    playout.read()
    assert reached == ["first", "second"]
    read_all(playout)
    assert reached == ["first", "second"]


def test_a_mark_before_what_is_dropped_is_never_reached(playout: Playout) -> None:
    reached: list[str] = []
    playout.write(numbered(2 * FRAME))
    playout.mark(lambda: reached.append("dropped"))
    playout.write(numbered(FRAME))
    playout.read()
    playout.clear()
    playout.write(numbered(5 * FRAME))
    read_all(playout)
    assert reached == []


def test_a_mark_is_reached_once_though_it_is_played_twice(playout: Playout) -> None:
    reached: list[str] = []
    playout.mark(lambda: reached.append("first"))
    playout.write(numbered(3 * FRAME))
    playout.read()
    playout.rewind(FRAME_SECONDS)
    read_all(playout)
    assert reached == ["first"]
