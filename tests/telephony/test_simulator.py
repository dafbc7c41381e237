"""The simulated provider keeps its promises, else it proves nothing of the site."""

from __future__ import annotations

import json

import numpy as np
import pytest

from telephony.media_streams import FRAME
from telephony.simulator import Jumble, Misbehaved, TelnyxSide, TwilioSide
from telephony.simulator.player import Lateness, Player


def tone(frames: float) -> np.ndarray:
    return np.full(round(frames * FRAME), 1000, np.int16)


def test_marks_come_back_when_the_audio_before_them_has_been_played() -> None:
    player = Player()
    assert player.mark("at once") == ["at once"]
    player.write(tone(2.5))
    assert player.mark("first") == []
    player.write(tone(1))
    assert player.mark("second") == []
    played = [player.tick() for _ in range(5)]
    assert [marks for _, marks in played] == [[], [], ["first"], ["second"], []]
    assert [int(np.count_nonzero(frame)) for frame, _ in played] == [160, 160, 160, 80, 0]


def test_clear_drops_what_waits_and_returns_its_marks() -> None:
    player = Player()
    player.write(tone(3))
    player.mark("never reached")
    player.tick()
    assert player.waiting == pytest.approx(0.04)
    assert player.clear() == ["never reached"]
    assert player.waiting == 0
    assert not player.tick()[0].any()
    player.write(tone(1))
    assert player.mark("next") == []
    assert player.tick()[1] == ["next"]


def test_lateness_is_what_a_listener_would_have_waited() -> None:
    late = Lateness()
    for moment in (0.0, 0.0, 0.0, 0.05, 0.08, 0.13):
        late.arrived(moment, 0.02)
    assert late.seconds == pytest.approx([0, 0, 0, 0, 0, 0.03])
    late.arrived(5.0, 0.02)
    assert late.seconds[-1] == 0, "that was a pause"


def test_a_bad_network() -> None:
    jumble = Jumble(twice=2, swap=3, lose=5)
    assert [jumble(number, str(number)) for number in range(1, 8)] == [
        ["1"],
        ["2", "2"],
        [],
        ["4", "4", "3"],
        [],
        [],
        ["7", "6", "6"],
    ]


@pytest.mark.parametrize("side", [TwilioSide("secret"), TelnyxSide("A" * 43 + "=")], ids=["twilio", "telnyx"])
def test_everything_but_the_greeting_is_numbered_by_strings(side: TwilioSide | TelnyxSide) -> None:
    assert side.sequence_key not in json.loads(side.connected())
    messages = [side.start({}, "+49", "+48"), side.digit("5"), side.message("mark", mark={"name": "m"}), side.stop()]
    assert [json.loads(text)[side.sequence_key] for text in messages] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"event": "media", "streamSid": "%s", "media": {"payload": ""}}',
        '{"event": "media", "streamSid": "%s", "media": {"payload": "!"}}',
        '{"event": "media", "streamSid": "MZ of another call", "media": {"payload": "/w=="}}',
        '{"event": "mark", "streamSid": "%s", "mark": {"name": ""}}',
        '{"event": "clear"}',
        '{"event": "stop", "streamSid": "%s"}',
    ],
)
def test_what_the_provider_would_not_take(text: str) -> None:
    side = TwilioSide("secret")
    with pytest.raises(Misbehaved):
        side.understand(text.replace("%s", side.stream_id))


def test_a_key_that_is_no_key() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TelnyxSide("AAAA")
