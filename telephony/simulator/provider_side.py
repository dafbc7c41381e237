"""The providers' end of the protocol: how they sign, and what they say. Sources: as in telephony.twilio and .telnyx."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twilio.request_validator import RequestValidator

from streams.media import mulaw
from streams.media.audio import Samples


class Misbehaved(Exception):
    """The site sent something that the provider would not take; the text says what."""


class ProviderSide(Protocol):
    """One provider, in one call."""

    name: str
    call_id: str
    stream_id: str

    def headers(self, url: str, form: Mapping[str, str], body: bytes) -> dict[str, str]:
        """The signature of a webhook."""

    def message(self, event: str, **content: Any) -> str:
        """Something that happens on the line, with the next sequence number."""

    def connected(self) -> str: ...

    def start(self, parameters: Mapping[str, str], caller: str, called: str) -> str: ...

    def digit(self, key: str) -> str: ...

    def stop(self) -> str: ...

    def understand(self, text: str) -> tuple[str, Any]:
        """("media", samples), ("mark", name) or ("clear", None). Raises Misbehaved."""


class _Side:
    name = ""
    stream_key = ""
    sequence_key = ""
    call_id = ""
    stream_id = ""

    def __init__(self) -> None:
        self._sequence = 0

    def message(self, event: str, **content: Any) -> str:
        self._sequence += 1
        numbers = {self.sequence_key: str(self._sequence), self.stream_key: self.stream_id}
        return json.dumps({"event": event, **numbers, **content})

    def understand(self, text: str) -> tuple[str, Any]:
        try:
            body = json.loads(text)
            self.check(body)
            match body["event"]:
                case "media":
                    return "media", _audio(body["media"]["payload"])
                case "mark" if body["mark"]["name"]:
                    return "mark", str(body["mark"]["name"])
                case "clear":
                    return "clear", None
        except (ValueError, KeyError, TypeError) as error:
            raise Misbehaved(f"{error!r} in {text[:200]}") from None
        raise Misbehaved(f"No such event: {text[:200]}")

    def check(self, body: dict[str, Any]) -> None:
        """Raise ValueError for a message that is not for this stream."""


def _audio(payload: str) -> Samples:
    samples = mulaw.decode(base64.b64decode(payload, validate=True))
    if not samples.size:
        raise ValueError("no audio")
    return samples


class TwilioSide(_Side):
    name = "twilio"
    stream_key, sequence_key = "streamSid", "sequenceNumber"

    def __init__(self, auth_token: str) -> None:
        super().__init__()
        self._validator = RequestValidator(auth_token)
        self.account = "AC" + uuid.uuid4().hex
        self.call_id = "CA" + uuid.uuid4().hex
        self.stream_id = "MZ" + uuid.uuid4().hex

    def headers(self, url: str, form: Mapping[str, str], body: bytes) -> dict[str, str]:
        return {"X-Twilio-Signature": self._validator.compute_signature(url, form)}

    def connected(self) -> str:
        return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, parameters: Mapping[str, str], caller: str, called: str) -> str:
        about = {
            "accountSid": self.account,
            "streamSid": self.stream_id,
            "callSid": self.call_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters),
        }
        return self.message("start", start=about)

    def digit(self, key: str) -> str:
        return self.message("dtmf", dtmf={"track": "inbound_track", "digit": key})

    def stop(self) -> str:
        return self.message("stop", stop={"accountSid": self.account, "callSid": self.call_id})

    def check(self, body: dict[str, Any]) -> None:
        if body["streamSid"] != self.stream_id:
            raise ValueError("another stream")


class TelnyxSide(_Side):
    name = "telnyx"
    stream_key, sequence_key = "stream_id", "sequence_number"

    def __init__(self, private_key: str, clock: Callable[[], float] = time.time) -> None:
        """``private_key``: Ed25519, 32 bytes as base64. Raises ValueError for anything else."""
        super().__init__()
        try:
            self._key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key, validate=True))
        except (binascii.Error, ValueError):
            raise ValueError("The key must be 32 bytes in base64.") from None
        self._clock = clock
        self.user = str(uuid.uuid4())
        self.call_id = "v3:" + secrets.token_urlsafe(40)
        self.stream_id = str(uuid.uuid4())

    def headers(self, url: str, form: Mapping[str, str], body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock()))
        signature = base64.b64encode(self._key.sign(f"{stamp}|".encode() + body)).decode()
        return {"Telnyx-Timestamp": stamp, "Telnyx-Signature-Ed25519": signature}

    def connected(self) -> str:
        return json.dumps({"event": "connected", "version": "1.0.0"})

    def start(self, parameters: Mapping[str, str], caller: str, called: str) -> str:
        about = {
            "user_id": self.user,
            "call_control_id": self.call_id,
            "call_session_id": str(uuid.uuid4()),
            "from": caller,
            "to": called,
            "custom_parameters": dict(parameters),
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        return self.message("start", start=about)

    def digit(self, key: str) -> str:
        return self.message("dtmf", occurred_at=datetime.now(UTC).isoformat(), dtmf={"digit": key})

    def stop(self) -> str:
        return self.message("stop", stop={"user_id": self.user, "call_control_id": self.call_id})
