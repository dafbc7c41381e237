import random

import pytest

from streams.media.patience import OWN_PAUSE, REMEMBERED, Patience, together

SHORTEST, LONGEST = 0.1, 0.8
SCALE = [0.0, 1e-6, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 1 - 1e-6, 1.0]


@pytest.fixture
def patience() -> Patience:
    return Patience(SHORTEST, LONGEST)


def waits(patience: Patience) -> list[float]:
    return [patience.wait(completeness) for completeness in SCALE]


def test_the_more_complete_the_shorter(patience: Patience) -> None:
    found = waits(patience)
    assert found == sorted(found, reverse=True)
    assert len({round(wait, 6) for wait in found}) > len(SCALE) // 2, "it is a function and no switch"


def test_from_the_longest_to_the_shortest(patience: Patience) -> None:
    assert patience.wait(0.0) == pytest.approx(LONGEST, abs=0.01)
    assert patience.wait(1.0) == pytest.approx(SHORTEST, abs=0.01)


@pytest.mark.parametrize("wrong", [-1.0, 1.1, 1e9, -1e9])
def test_what_is_no_probability_counts_as_the_nearest(patience: Patience, wrong: float) -> None:
    assert patience.wait(wrong) == patience.wait(float(wrong > 0))


def test_a_pause_of_this_speaker_is_given_time_from_then_on(patience: Patience) -> None:
    before = waits(patience)
    patience.went_on(0.45)
    assert before[-1] < 0.45 < min(waits(patience)), "whatever it sounds like"
    assert max(waits(patience)) <= LONGEST


def test_the_longest_pause_counts(patience: Patience) -> None:
    patience.went_on(0.6)
    before = patience.wait(1.0)
    patience.went_on(0.4)
    assert patience.wait(1.0) == before


def test_a_breath_tells_nothing_about_its_speaker(patience: Patience) -> None:
    before = waits(patience)
    patience.went_on(OWN_PAUSE - 0.01)
    assert waits(patience) == before


def test_nobody_waits_longer_than_the_longest(patience: Patience) -> None:
    for _ in range(20):
        patience.went_on(5.0)
    assert max(waits(patience)) <= LONGEST


def test_nobody_is_answered_before_the_shortest(patience: Patience) -> None:
    for _ in range(20):
        patience.went_on(OWN_PAUSE)
        patience.finished()
    assert min(waits(patience)) >= SHORTEST


def test_utterances_that_really_end_let_it_fade(patience: Patience) -> None:
    usual = patience.wait(1.0)
    patience.went_on(0.5)
    faded = [patience.wait(1.0)]
    for _ in range(40):
        patience.finished()
        faded.append(patience.wait(1.0))
    assert faded == sorted(faded, reverse=True)
    assert usual < faded[1] < faded[0]
    assert faded[-1] == pytest.approx(usual)


def test_only_the_last_pauses_are_remembered(patience: Patience) -> None:
    patience.went_on(0.7)
    long = patience.wait(1.0)
    for _ in range(REMEMBERED):
        patience.went_on(OWN_PAUSE)
    assert patience.wait(1.0) < long


def test_speakers_do_not_share_their_patience(patience: Patience) -> None:
    patience.went_on(0.6)
    assert Patience(SHORTEST, LONGEST).wait(0.9) < patience.wait(0.9)


@pytest.mark.parametrize("answer", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_one_opinion_is_itself(answer: float) -> None:
    assert together([answer]) == pytest.approx(answer)
    assert together([answer] * 3) == pytest.approx(answer)


def test_several_opinions_meet_between_them() -> None:
    assert together([0.1, 0.9]) == pytest.approx(0.5)
    assert 0.2 < together([0.2, 0.7]) < 0.7
    assert together([0.9, 0.9, 0.1]) > 0.5
    assert together([0.9, 0.1]) == together([0.1, 0.9])


@pytest.mark.parametrize("sure", [0.0, 1.0])
def test_no_opinion_is_so_sure_that_others_do_not_count(sure: float) -> None:
    assert abs(together([sure, 1 - sure]) - 0.5) < 1e-9


def test_it_holds_whatever_happens() -> None:
    chance = random.Random(1)
    for _ in range(200):
        shortest = chance.uniform(0, 1)
        patience = Patience(shortest, shortest + chance.uniform(0, 3))
        for _ in range(30):
            if chance.random() < 0.3:
                patience.finished()
            else:
                patience.went_on(chance.uniform(0, 2))
            found = waits(patience)
            assert found == sorted(found, reverse=True)
            assert patience.shortest - 1e-9 <= found[-1] <= found[0] <= patience.longest + 1e-9
