"""The instrument of the benchmark's turn rows: what is a reply, and which one answers what."""

import numpy as np
import pytest

from benchmarks import tones
from benchmarks.turns import Reply, correlation, judge

FRAME = 960


def heard(*starts: float, seconds: float = 0.4, length: float = 4.0) -> list[tones.Heard]:
    """Replies that begin then, in packets of 20 ms; the first packet arrives at 100 s."""
    sound = np.zeros(round(length * tones.HEARD_RATE), np.int16)
    for start in starts:
        wave = np.repeat(np.concatenate([piece for _, piece in tones.reply(seconds)]), 2)
        place = round(start * tones.HEARD_RATE)
        sound[place : place + wave.size] = wave
    return [
        tones.Heard(100 + place / tones.HEARD_RATE, sound[place : place + FRAME])
        for place in range(0, sound.size, FRAME)
    ]


@pytest.mark.parametrize("start", [0.5, 0.503, 0.511, 0.519])
def test_a_reply_is_found_where_it_begins_and_ends_within_packets(start: float) -> None:
    [reply] = tones.replies(heard(start))
    assert reply.start == pytest.approx(100 + start, abs=0.001)
    assert reply.end == pytest.approx(100.4 + start, abs=0.001)


def test_replies_that_follow_each_other_at_once_are_two() -> None:
    assert len(tones.replies(heard(0.5, 0.7))) == 2


def test_a_reply_that_is_held_and_goes_on_is_one() -> None:
    pieces = heard(0.5)
    held = pieces[:30] + [tones.Heard(piece.at + 0.3, piece.samples) for piece in pieces[30:]]
    assert len(tones.replies(held)) == 1


def test_the_first_reply_after_the_end_answers_and_those_before_cut_in() -> None:
    verdict = judge([(1.0, 3.0)], [Reply(2.0, 2.4), Reply(3.3, 3.7), Reply(5.0, 5.4)])
    assert verdict.delays == [pytest.approx(0.3)]
    assert (verdict.cut_ins, verdict.unanswered, verdict.to_nothing) == (1, 0, 1)


def test_an_early_reply_that_sounds_at_the_end_cuts_in_and_answers() -> None:
    verdict = judge([(1.0, 3.0)], [Reply(2.9, 3.3)])
    assert verdict.delays == [None]
    assert (verdict.cut_ins, verdict.unanswered) == (1, 0)


def test_a_reply_that_comes_while_the_next_utterance_is_said_cuts_into_that() -> None:
    verdict = judge([(1.0, 3.0), (4.0, 5.0)], [Reply(4.5, 4.9)])
    assert (verdict.cut_ins, verdict.unanswered) == (1, 2)


def test_a_part_is_found_in_the_whole_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    whole = rng.normal(0, 3000, 48000).astype(np.int16)
    assert correlation(whole[10000:19600], whole) > 0.99
    assert correlation(rng.normal(0, 3000, 9600).astype(np.int16), whole) < 0.2


def test_what_an_encoder_kept_back_is_not_the_reply_going_on() -> None:
    pieces = heard(0.5)
    late = [tones.Heard(piece.at + 1, piece.samples) for piece in pieces[43:45]]
    [reply] = tones.replies(pieces[:43] + late)
    assert reply.end == pytest.approx(100 + 43 * 0.02, abs=0.001)
