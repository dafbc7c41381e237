import random
from collections.abc import Iterable

import pytest

from streams.media.live_edge import LiveEdge

FRAME = 0.02
Arrival = tuple[float, float]
"""(media time, arrival)"""


def real_time(start: float, seconds: float, delay: float = 0.05, jitter: float = 0.0, seed: int = 1) -> list[Arrival]:
    chance = random.Random(seed)
    frames, arrived = round(seconds / FRAME), 0.0
    arrivals = []
    for number in range(frames):
        media = start + number * FRAME
        arrived = max(arrived, media + delay + chance.random() * jitter)
        arrivals.append((media, arrived))
    return arrivals


def burst(start: float, seconds: float, spacing: float, delay: float = 0.05) -> list[Arrival]:
    """Frames that were held up and arrive together when the last of them is due."""
    frames = round(seconds / FRAME)
    due = start + (frames - 1) * FRAME + delay
    return [(start + n * FRAME, due - (frames - 1 - n) * spacing) for n in range(frames)]


def admitted(edge: LiveEdge, arrivals: Iterable[Arrival]) -> list[Arrival]:
    return [(media, at) for media, at in arrivals if edge.admits(media, at)]


def test_real_time_is_admitted_once_it_shows() -> None:
    """One frame alone may be the start of a burst."""
    arrivals = real_time(0, 10)
    assert admitted(LiveEdge(), arrivals) in (arrivals, arrivals[1:])


@pytest.mark.parametrize("jitter", [0.01, 0.02, 0.04])
def test_usual_jitter_is_tolerated(jitter: float) -> None:
    arrivals = real_time(0, 30, jitter=jitter)
    assert len(admitted(LiveEdge(), arrivals)) >= len(arrivals) - 3


@pytest.mark.parametrize("jitter", [0.08, 0.12])
def test_a_bad_network_is_learnt(jitter: float) -> None:
    arrivals = real_time(0, 60, jitter=jitter)
    after = [arrival for arrival in arrivals if arrival[0] > 10]
    edge = LiveEdge()
    heard = [arrival for arrival in admitted(edge, arrivals) if arrival[0] > 10]
    assert len(heard) > 0.95 * len(after)


@pytest.mark.parametrize("spacing", [0.0, 0.001, 0.004])
def test_of_a_burst_at_the_start_only_the_newest_stays(spacing: float) -> None:
    edge = LiveEdge()
    heard = admitted(edge, burst(0, 1, spacing))
    assert [media for media, _ in heard if media < 1 - 3 * FRAME] in ([], [0.0])  # the first cannot know
    arrivals = real_time(1, 5)
    assert admitted(edge, arrivals) == arrivals
    assert edge.dropped >= 47


@pytest.mark.parametrize("spacing", [0.0, 0.001, 0.004])
def test_of_a_burst_in_mid_call_only_the_newest_stays(spacing: float) -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10))
    heard = admitted(edge, burst(10, 1, spacing))
    assert [media for media, _ in heard if media < 11 - 4 * FRAME] == []
    arrivals = real_time(11, 5)
    after = admitted(edge, arrivals)
    assert len(after) >= len(arrivals) - 1
    assert max(at - media for media, at in after) < 0.051


@pytest.mark.parametrize("held_up", [0.1, 0.3, 3.0])
def test_lateness_does_not_last(held_up: float) -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10))
    admitted(edge, burst(10, held_up, 0.001))
    start = 10 + round(held_up / FRAME) * FRAME
    after = admitted(edge, real_time(start, 2))
    assert len(after) >= 99
    assert max(at - media for media, at in after) == pytest.approx(0.05)


def test_bursts_again_and_again() -> None:
    edge, start = LiveEdge(), 0.0
    for _ in range(20):
        calm = real_time(start, 2)
        assert len(admitted(edge, calm)) >= len(calm) - 1
        heard = admitted(edge, burst(start + 2, 0.5, 0.001))
        assert sum(media < start + 2.5 - 4 * FRAME for media, _ in heard) == 0
        start += 2.5


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_an_hour_of_clock_drift_loses_nothing(drift: float) -> None:
    edge, chance = LiveEdge(), random.Random(1)
    frames = 180_000
    for number in range(frames):
        edge.admits(number * FRAME, number * FRAME * (1 + drift) + 0.05 + chance.random() * 0.02)
    assert edge.dropped <= frames * 1e-4


@pytest.mark.parametrize("slower", [0.05, 0.15, 0.3])
def test_a_slower_route_is_followed(slower: float) -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10))
    admitted(edge, real_time(10, 6, delay=0.05 + slower))
    arrivals = real_time(16, 5, delay=0.05 + slower)
    assert admitted(edge, arrivals) == arrivals


def test_a_faster_route_is_followed() -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10, delay=0.3))
    arrivals = real_time(10.4, 5)
    assert len(admitted(edge, arrivals)) >= len(arrivals) - 1


def test_after_audio_that_was_not_sent_the_first_frame_is_heard() -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10))
    assert edge.admits(10.4, 10.4 + 0.05)


def test_what_was_dropped_is_counted() -> None:
    edge = LiveEdge()
    admitted(edge, real_time(0, 10))
    before = edge.dropped
    heard = admitted(edge, burst(10, 1, 0.001))
    assert edge.dropped - before == 50 - len(heard)
