"""The messages of a media socket, in and out."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import numpy as np
import pytest

from streams.media import mulaw
from telephony.media_streams import FRAME, Codec, Digit, Marked, Media, ProtocolError, Started, Stopped
from telephony.providers import get_provider

QUIET = base64.b64encode(b"\xff" * 160).decode()


@pytest.fixture
def codec() -> Codec:
    codec = get_provider("twilio").codec()
    codec.parse(json.dumps({"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1"}}))
    return codec


def test_a_call_from_start_to_stop(codec: Codec) -> None:
    """As in Twilio's documentation: numbers are strings."""
    start = {"callSid": "CA2", "tracks": ["inbound"], "customParameters": {"token": "t", "name": "Ada"}}
    assert codec.parse('{"event": "connected", "protocol": "Call", "version": "1.0.0"}') is None
    assert codec.parse(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ2", "start": start})) == (
        Started("MZ2", "CA2", {"token": "t", "name": "Ada"})
    )
    media = {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": QUIET}
    heard = codec.parse(json.dumps({"event": "media", "sequenceNumber": "3", "streamSid": "MZ2", "media": media}))
    assert isinstance(heard, Media)
    assert (heard.chunk, heard.samples.size) == (2, FRAME)
    assert heard.samples.dtype == np.int16
    assert not heard.samples.any()
    assert codec.parse('{"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "#"}}') == Digit("#")
    assert codec.parse('{"event": "mark", "mark": {"name": "320"}}') == Marked("320")
    assert codec.parse('{"event": "stop", "stop": {"callSid": "CA2"}}') == Stopped()


def test_what_means_nothing_to_us_is_passed_over(codec: Codec) -> None:
    assert codec.parse('{"event": "weather"}') is None
    assert codec.parse("{}") is None
    media = {"track": "outbound", "chunk": "1", "payload": QUIET}
    assert codec.parse(json.dumps({"event": "media", "media": media})) is None, "our own voice"
    assert codec.parse('{"event": "media", "media": {"chunk": "1", "payload": ""}}') is None


def test_what_is_sent(codec: Codec) -> None:
    wave = (8000 * np.sin(np.arange(FRAME) / 3)).astype(np.int16)
    body = json.loads(codec.media(wave))
    payload = base64.b64decode(body["media"].pop("payload"))
    assert body == {"event": "media", "streamSid": "MZ1", "media": {}}
    assert len(payload) == FRAME
    assert np.abs(mulaw.decode(payload).astype(int) - wave).max() < 300
    assert json.loads(codec.mark("m")) == {"event": "mark", "streamSid": "MZ1", "mark": {"name": "m"}}
    assert json.loads(codec.clear()) == {"event": "clear", "streamSid": "MZ1"}


# -- the quick way

LOUD = base64.b64encode(bytes(range(160))).decode()
USUAL = [
    '{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"40",'
    f'"payload":"{LOUD}"}},"streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}}',
    '{"event":"media","sequence_number":"4","media":{"track":"inbound","chunk":"2","timestamp":"40",'
    f'"payload":"{LOUD}"}},"stream_id":"32de0dea-53cb-4b21-89a4-9e1819c043bc"}}',
    '{"event": "media", "sequenceNumber": "4", "streamSid": "MZ1", '
    f'"media": {{"track": "inbound", "chunk": "2", "timestamp": "40", "payload": "{LOUD}"}}}}',
]
"""As Twilio writes it, as Telnyx does, and as Python's JSON."""


@pytest.mark.parametrize("text", USUAL)
def test_the_usual_audio_goes_the_quick_way(codec: Codec, text: str) -> None:
    quick, whole = codec.parse_media(text.encode()), codec.parse(text)
    assert quick is not None
    assert isinstance(whole, Media)
    assert quick.chunk == whole.chunk == 2
    assert quick.samples.tolist() == whole.samples.tolist() == mulaw.decode(bytes(range(160))).tolist()


@pytest.mark.parametrize("text", USUAL)
def test_what_goes_the_quick_way_is_what_json_understands(codec: Codec, text: str) -> None:
    """Messages with one or two mistakes: of those that are taken none means anything else."""
    chance, pieces = (
        random.Random(text),
        ['"', "\\", "}", ",", '"media":', '"event":"stop",', "=", " ", "é", "9", "\n", "A"],
    )
    taken = 0
    for _ in range(3000):
        mistaken = text
        for _ in range(chance.choice([1, 2])):
            at = chance.choice([chance.randrange(130), chance.randrange(len(mistaken))])
            mistaken = mistaken[:at] + chance.choice(["", *pieces]) + mistaken[at + chance.choice([0, 1, 1, 4]) :]
        quick = codec.parse_media(mistaken.encode())
        if quick is not None:
            taken += 1
            whole = codec.parse(mistaken)
            assert isinstance(whole, Media), mistaken
            assert (quick.chunk, quick.samples.tolist()) == (whole.chunk, whole.samples.tolist()), mistaken
    assert 50 < taken < 2000


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("inbound", "outbound"),
        (LOUD, ""),
        (LOUD, "!" + LOUD),
        (LOUD, LOUD[:-1]),
        ('"2"', '"2", "chunk":"3"'),
        ('"2"', '"-2"'),
        ('"2"', '"' + "9" * 5000 + '"'),
        ('"2"', '"٢"'),
        ('"media"', '"dtmf"'),
        ("}", "}}"),
    ],
)
def test_what_is_not_usual_is_left_to_json(codec: Codec, part: str, other: str) -> None:
    for text in USUAL:
        assert codec.parse_media(text.replace(part, other, 1).encode()) is None


@pytest.mark.parametrize("what", ['CA-"}', "{", "ü", "%s"])
def test_odd_stream_ids_come_back_unharmed(codec: Codec, what: str) -> None:
    codec.parse(json.dumps({"event": "start", "streamSid": what, "start": {"callSid": "CA1"}}))
    assert json.loads(codec.media(np.ones(FRAME, np.int16)))["streamSid"] == what


MISTAKES: dict[str, Any] = {
    "nothing": "",
    "no JSON": "hello",
    "deep JSON": "[" * 100_000,
    "no object": "[]",
    "a number": "7",
    "a start without an id": {"event": "start", "start": {"callSid": "CA1"}},
    "a start without a call": {"event": "start", "streamSid": "MZ1", "start": {}},
    "a start that is a list": {"event": "start", "streamSid": "MZ1", "start": []},
    "parameters that are a text": {
        "event": "start",
        "streamSid": "M",
        "start": {"callSid": "C", "customParameters": "x"},
    },
    "media without audio": {"event": "media", "media": {"chunk": "1"}},
    "media without a chunk": {"event": "media", "media": {"payload": QUIET}},
    "media that is a text": {"event": "media", "media": "loud"},
    "no base64": {"event": "media", "media": {"chunk": "1", "payload": "!!!"}},
    "not a number": {"event": "media", "media": {"chunk": "one", "payload": QUIET}},
    "an endless number": '{"event": "media", "media": {"chunk": Infinity, "payload": "/w=="}}',
    "a huge number": '{"event": "media", "media": {"chunk": "%s", "payload": "/w=="}}' % ("9" * 5000),
    "a key without a name": {"event": "dtmf", "dtmf": {}},
    "a key that no telephone has": {"event": "dtmf", "dtmf": {"digit": "E"}},
    "no key": {"event": "dtmf", "dtmf": {"digit": ""}},
    "a mark without a name": {"event": "mark", "mark": {}},
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_told(codec: Codec, what: str) -> None:
    text = MISTAKES[what] if isinstance(MISTAKES[what], str) else json.dumps(MISTAKES[what])
    with pytest.raises(ProtocolError) as told:
        codec.parse(text)
    assert len(str(told.value)) < 300
