import random

import pytest

from streams.media.transports.jitter import HOLD_SECONDS, JitterBuffer, Packet

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
def test_a_lost_packet_is_given_up_when_the_second_later_one_comes(first: int) -> None:
    buffer = JitterBuffer()
    buffer.add(packet(first), 0)
    assert buffer.add(packet(first + 2), 0.04) == []
    assert sequences(buffer.add(packet(first + 3), 0.06)) == [(first + 2) & 0xFFFF, (first + 3) & 0xFFFF]
    assert buffer.deadline is None
    assert buffer.stats.lost == 1


def test_a_lost_packet_is_given_up_at_the_deadline() -> None:
    buffer = JitterBuffer()
    buffer.add(packet(1), 0)
    assert buffer.add(packet(3), 0.04) == []
    assert buffer.deadline == pytest.approx(0.04 + HOLD_SECONDS)
    assert buffer.expire(0.04 + HOLD_SECONDS - 0.001) == []
    assert sequences(buffer.expire(0.04 + HOLD_SECONDS)) == [3]
    assert buffer.deadline is None
    assert sequences(buffer.add(packet(4), 0.08)) == [4]


def test_nothing_to_expire() -> None:
    assert JitterBuffer().expire(1e9) == []


@pytest.mark.parametrize("swapped", [[1, 3, 2, 4], [1, 2, 4, 3]])
def test_neighbours_that_changed_places_are_put_right(swapped: list[int]) -> None:
    out = feed(JitterBuffer(), [(number * FRAME, sequence) for number, sequence in enumerate(swapped)])
    assert [sequence for _, sequence in out] == [1, 2, 3, 4]


def test_a_packet_two_places_late_within_the_hold_is_lost_by_count() -> None:
    """1 3 4 2: two later packets prove the loss, so 2 comes too late and stays out."""
    buffer = JitterBuffer()
    out = feed(buffer, [(0, 1), (0.02, 3), (0.021, 4), (0.022, 2), (0.08, 5)])
    assert [sequence for _, sequence in out] == [1, 3, 4, 5]
    assert buffer.stats.late == 1


def test_two_neighbours_late_together() -> None:
    out = feed(JitterBuffer(), [(0, 1), (0.01, 4), (0.012, 2), (0.014, 3), (0.08, 5)])
    assert [sequence for _, sequence in out] == [1, 2, 3, 4, 5]


def test_duplicates_are_heard_once() -> None:
    buffer = JitterBuffer()
    out = feed(buffer, [(0, 1), (0, 1), (0.04, 3), (0.04, 3), (0.05, 2), (0.05, 2), (0.05, 3), (0.06, 4)])
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
    out = feed(JitterBuffer(), [(0, 65533), (0.02, 65535), (0.03, 65534), (0.06, 1), (0.07, 0), (0.1, 2)])
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
    assert out == [(0, 1), (2.02, 101), (2.02, 102), (2.04, 103)]


def test_each_missing_packet_is_waited_for_as_long() -> None:
    """2 and 4 are missing; when 2 is given up, 4 has its own 30 ms from the arrival of 5."""
    buffer = JitterBuffer()
    buffer.add(packet(1), 0)
    assert buffer.add(packet(3), 0.040) == []
    assert sequences(buffer.add(packet(5), 0.065)) == [3]
    assert buffer.expire(0.075) == []
    assert sequences(buffer.add(packet(4), 0.080)) == [4, 5]


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
    assert max(moment - arrived[number] for (moment, _), number in zip(out, numbers, strict=True)) < HOLD_SECONDS + 1e-9
    punctual = {number for number, moment in arrived.items() if moment < number * FRAME + 0.005 and number > start}
    assert punctual <= set(numbers)
