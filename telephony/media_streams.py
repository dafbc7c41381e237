"""What a telephone provider's media socket says, as events; and what a provider's codec must do. Sans I/O."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from streams.media import mulaw
from streams.media.audio import Samples

RATE = 8000
"""Of everything on a telephone line, in Hz."""
FRAME = 160
"""Samples of 20 ms."""
KEYS = frozenset("0123456789*#ABCD")
"""Of a telephone."""


MEDIA = re.compile(
    rb'\{"event": ?"media", ?(?:"(?:sequenceNumber|sequence_number|streamSid|stream_id)": ?"[\w-]*", ?)*'
    rb'"media": ?\{"track": ?"inbound", ?"chunk": ?"(\d{1,15})", ?"timestamp": ?"\d*", ?"payload": ?"([\w+/=]+)"\}'
    rb'(?:, ?"(?:streamSid|stream_id)": ?"[\w-]*")?\}',
    re.ASCII,
)
"""A message with audio, as providers write it. Nothing in it needs unescaping, and no name comes twice that counts."""


class ProtocolError(ValueError):
    """What the provider sent cannot be understood; the text says why."""


@dataclass(frozen=True)
class Started:
    """The call's audio begins."""

    stream_id: str
    call_id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the webhook's answer gave along, and what the provider tells of the call."""
    unsupported: str = ""
    """Why its audio cannot be understood, in words."""


class Media(NamedTuple):
    chunk: int
    """Counts up by one; the network may repeat and reorder."""
    samples: Samples
    """The caller's, mono int16 at RATE."""


@dataclass(frozen=True)
class Digit:
    """A key has been pressed: 0-9, *, #, A-D."""

    key: str


@dataclass(frozen=True)
class Marked:
    """Everything sent before the mark of this name has been played, or cleared."""

    name: str


@dataclass(frozen=True)
class Stopped:
    """The caller has hung up, or the provider has."""


Event = Started | Media | Digit | Marked | Stopped | None


class Codec(Protocol):
    """One provider's messages. An instance serves one call; it learns the stream's id from the start."""

    def parse(self, text: str) -> Event:
        """Understand a message; None for one that means nothing to us. Raises ProtocolError."""

    def parse_media(self, data: bytes) -> Media | None:
        """The usual message with audio, the quick way. None for any other, which may have audio too."""

    def media(self, samples: Samples) -> str:
        """Audio to play: mono int16 at RATE."""

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""

    def clear(self) -> str:
        """Drop what has not been played."""


class JsonCodec:
    """The JSON that Twilio made common and others speak with other names for the same."""

    stream_key = "streamSid"
    encoding = "audio/x-mulaw"
    """The provider's name of the only audio that is understood, at RATE."""

    def __init__(self) -> None:
        self._take_stream_id("")

    def _take_stream_id(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self._media_head = self._message("media")[:-1] + ',"media":{"payload":"'

    def parse(self, text: str) -> Event:
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise ProtocolError("The message is not JSON.") from None
        if not isinstance(body, dict):
            raise ProtocolError("The message is not an object.")
        try:
            return self._understood(body)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProtocolError(f"The {str(body.get('event'))[:20]!r} event cannot be understood: {error!r}.") from None

    def parse_media(self, data: bytes) -> Media | None:
        found = MEDIA.fullmatch(data)
        if found is None:
            return None
        try:
            samples = mulaw.decode(binascii.a2b_base64(found[2], strict_mode=True))
        except binascii.Error:
            return None
        return Media(int(found[1]), samples) if samples.size else None

    def _understood(self, body: dict[str, Any]) -> Event:
        match body.get("event"):
            case "start":
                self._take_stream_id(str(body[self.stream_key]))
                return self.started(body["start"])
            case "media" if body["media"].get("track", "inbound") == "inbound":
                samples = mulaw.decode(base64.b64decode(body["media"]["payload"], validate=True))
                return Media(int(body["media"]["chunk"]), samples) if samples.size else None
            case "dtmf":
                return Digit(_key(body["dtmf"]["digit"]))
            case "mark":
                return Marked(str(body["mark"]["name"]))
            case "stop":
                return Stopped()
        return None  # "connected", and what the provider may add

    def started(self, start: dict[str, Any]) -> Started:
        """What the "start" says. Raises what a dictionary raises when something is missing, and ValueError."""
        raise NotImplementedError

    def unsupported(self, encoding: Any, rate: Any) -> str:
        """In words, what is wrong with this audio, if something is. What the provider does not tell is as asked for."""
        if encoding in (None, self.encoding) and str(rate or RATE) == str(RATE):
            return ""
        return f"Its audio is {str(encoding)[:20]} at {str(rate)[:10]} Hz; only {self.encoding} at {RATE} Hz can be."

    def media(self, samples: Samples) -> str:
        payload = binascii.b2a_base64(mulaw.encode(samples), newline=False).decode()
        return f'{self._media_head}{payload}"}}}}'

    def mark(self, name: str) -> str:
        return self._message("mark", mark={"name": name})

    def clear(self) -> str:
        return self._message("clear")

    def _message(self, event: str, **content: Any) -> str:
        return json.dumps({"event": event, self.stream_key: self._stream_id, **content}, separators=(",", ":"))


def _key(digit: Any) -> str:
    if digit not in KEYS:
        raise ValueError(f"no key {str(digit)[:10]!r}")
    return str(digit)


def texts(values: Any) -> dict[str, str]:
    """Custom parameters, which are texts whatever JSON they came as. None is none."""
    return {str(name): str(value) for name, value in dict(values or {}).items()}
