import random

import pytest

from streams.media.transports.jitter import HOLD_SECONDS as HOLD
from streams.media.transports.jitter import JitterBuffer, Packet

FRAME = 0.02


def packet(sequence: int) -> Packet:
    sequence &= 0xFFFF
    return Packet(sequence, sequence * 960, b"%d" % sequence)


def sequences(packets: list[Packet]) -> list[int]:
    return [packet.sequence for packet in packets]


def feed(buffer: JitterBuffer, arrivals: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Add (moment, sequence) in this order, expiring on time. Returns (moment, sequence) of what came out."""
    out: list[tuple[float, int]] = []
    for moment, sequence in arrivals:
        while buffer.deadline is not None and buffer.deadline <= moment:
            deadline = buffer.deadline
            out += [(deadline, s) for s in sequences(buffer.expire(deadline))]
        out += [(moment, s) for s in sequences(buffer.add(packet(sequence), moment))]
    while buffer.deadline is not None:
        deadline = buffer.deadline
        out += [(deadline, s) for s in sequences(buffer.expire(deadline))]
    return out


@pytest.mark.parametrize("first", [0, 1, 1000, 65530])
def test_in_order_packets_pass_at_once(first: int) -> None:
    buffer = JitterBuffer()
    for number in range(20):
        assert sequences(buffer.add(packet(first + number), number * FRAME)) == [(first + number) & 0xFFFF]
        assert buffer.deadline is None


@pytest.mark.parametrize("first", [10, 65535, 65534])
def test_a_lost_packet_is_given_up_at_the_deadline(first: int) -> None:
    buffer = JitterBuffer()
    buffer.add(packet(first), 0)
    assert buffer.add(packet(first + 2), 0.04) == []
    assert buffer.deadline == pytest.approx(0.04 + HOLD)
    assert buffer.expire(0.04 + HOLD - 0.001) == []
    assert sequences(buffer.expire(0.04 + HOLD)) == [(first + 2) & 0xFFFF]
    assert buffer.deadline is None
    assert buffer.stats.lost == 1
    assert sequences(buffer.add(packet(first + 3), 0.08)) == [(first + 3) & 0xFFFF]


def test_nothing_to_expire() -> None:
    assert JitterBuffer().expire(1e9) == []


@pytest.mark.parametrize(
    "order", [[1, 3, 2, 4], [1, 2, 4, 3], [1, 3, 4, 2, 5], [1, 4, 2, 3, 5], [1, 4, 3, 2], [1, 3, 2, 5, 4, 6]]
)
def test_packets_that_changed_places_are_put_right(order: list[int]) -> None:
    out = feed(JitterBuffer(), [(place * HOLD / 4, sequence) for place, sequence in enumerate(order)])
    assert [sequence for _, sequence in out] == sorted(order)


def test_duplicates_are_heard_once() -> None:
    buffer = JitterBuffer()
    out = feed(buffer, [(0, 1), (0, 1), (0.04, 3), (0.04, 3), (0.045, 2), (0.045, 2), (0.045, 3), (0.06, 4)])
    assert [sequence for _, sequence in out] == [1, 2, 3, 4]
    assert buffer.stats.duplicate == 1  # known as such only while it is held
    assert buffer.stats.late == 3


def test_a_late_packet_is_dropped() -> None:
    buffer = JitterBuffer()
    feed(buffer, [(0, 1), (0.04, 3), (0.06, 4)])
    assert buffer.add(packet(2), 0.07) == []
    assert buffer.stats.late == 1
    assert sequences(buffer.add(packet(5), 0.08)) == [5]


def test_loss_and_order_across_the_wrap() -> None:
    out = feed(JitterBuffer(), [(0, 65533), (0.02, 65535), (0.025, 65534), (0.06, 1), (0.065, 0), (0.1, 2)])
    assert [sequence for _, sequence in out] == [65533, 65534, 65535, 0, 1, 2]


@pytest.mark.parametrize("jump", [300, 5000, 40000, 65000])
def test_a_new_start_of_the_sequence_is_followed_at_once(jump: int) -> None:
    buffer = JitterBuffer()
    feed(buffer, [(n * FRAME, 100 + n) for n in range(5)])
    start = 104 + jump
    assert sequences(buffer.add(packet(start), 1.0)) == [start & 0xFFFF]
    assert sequences(buffer.add(packet(start + 1), 1.02)) == [(start + 1) & 0xFFFF]


def test_a_long_loss_is_not_waited_for() -> None:
    out = feed(JitterBuffer(), [(0, 1), (2.0, 101), (2.02, 102), (2.04, 103)])
    assert [sequence for _, sequence in out] == [1, 101, 102, 103]
    assert out[1][0] <= 2 + HOLD


def test_each_missing_packet_is_waited_for_as_long() -> None:
    """2 and 4 are missing; 2 comes, and 4 still has all the time there is after the arrival of 5."""
    buffer = JitterBuffer()
    buffer.add(packet(1), 0)
    assert buffer.add(packet(3), 1) == []
    assert buffer.add(packet(5), 1 + 0.6 * HOLD) == []
    assert sequences(buffer.add(packet(2), 1 + 0.8 * HOLD)) == [2, 3]
    assert buffer.expire(1 + 1.1 * HOLD) == []
    assert sequences(buffer.add(packet(4), 1 + 1.2 * HOLD)) == [4, 5]


def test_no_packet_waits_longer_because_another_waited_before() -> None:
    """2 and 4 are missing; 2 is given up, and 5 has then waited for a while already."""
    buffer = JitterBuffer()
    buffer.add(packet(1), 0)
    assert buffer.add(packet(3), 1) == []
    assert buffer.add(packet(5), 1 + 0.6 * HOLD) == []
    assert sequences(buffer.expire(1 + HOLD)) == [3]
    assert buffer.deadline == pytest.approx(1 + 1.6 * HOLD)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_network_does(seed: int) -> None:
    """In order, each once, nothing held longer than HOLD_SECONDS, nothing lost that came in time."""
    chance = random.Random(seed)
    first, arrivals = chance.randrange(65536), []
    for number in range(3000):
        if chance.random() < 0.03:
            continue
        late = chance.random() * (0.06 if chance.random() < 0.1 else 0.005)
        arrivals.append((number * FRAME + late, number))
        if chance.random() < 0.02:
            arrivals.append((number * FRAME + late + chance.random() * 0.05, number))
    arrivals.sort()
    arrived: dict[int, float] = {}
    for moment, number in arrivals:
        arrived.setdefault(number, moment)

    buffer = JitterBuffer()
    out = feed(buffer, [(moment, first + number) for moment, number in arrivals])
    numbers = [(sequence - first) & 0xFFFF for _, sequence in out]
    start = numbers[0]

    assert numbers == sorted(set(numbers))
    assert max(moment - arrived[number] for (moment, _), number in zip(out, numbers, strict=True)) < HOLD + 1e-9
    punctual = {number for number, moment in arrived.items() if moment < number * FRAME + 0.005 and number > start}
    assert punctual <= set(numbers)
