"""Words for failures that no server here has."""

import pytest
from aioice import stun

from turn.failures import Stage, explain


@pytest.mark.parametrize(
    ("relay", "advice"),
    [
        ("10.0.0.5:50000", "external-ip"),
        ("[fd00::5]:50000", "external-ip"),
        ("9.9.9.9:50000", "Open the relay's UDP ports"),
        ("[2620:fe::fe]:50000", "Open the relay's UDP ports"),
    ],
)
def test_an_allocation_that_nothing_comes_back_from(relay: str, advice: str) -> None:
    words = explain(Stage.RELAY, TimeoutError(), "udp", 3478, relay=relay)
    assert f"An address was allocated, {relay}," in words
    assert advice in words


def answer(code: int, reason: str) -> stun.TransactionFailed:
    message = stun.Message(stun.Method.ALLOCATE, stun.Class.ERROR)
    message.attributes["ERROR-CODE"] = (code, reason)
    return stun.TransactionFailed(message)


def test_answers_that_are_known_and_one_that_is_not() -> None:
    assert "widen min-port" in explain(Stage.ALLOCATION, answer(508, "Insufficient Capacity"), "tcp", 3478)
    assert explain(Stage.ALLOCATION, answer(500, "Oops"), "tcp", 3478) == "The server answers 500: Oops."


def test_what_else_goes_wrong_is_told_as_it_is() -> None:
    words = explain(Stage.ALLOCATION, OSError(101, "Network is unreachable"), "tcp", 3478)
    assert words == "The server could not be used: [Errno 101] Network is unreachable."
