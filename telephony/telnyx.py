"""Telnyx: TeXML, which is TwiML to the letter for what we use, signed with Ed25519; media streams with its own names.

Source: Telnyx's documentation, "TeXML", "Webhook signing" and "Media streaming over WebSockets".
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from twilio.twiml.voice_response import Connect, VoiceResponse

from telephony.media_streams import Codec, JsonCodec, Started, texts
from telephony.providers import Account, BadSignature, Connection, ProviderError
from telephony.twilio import Twilio, xml

TOLERANCE = 300
"""Seconds by which a webhook may be old."""


class TelnyxCodec(JsonCodec):
    stream_key = "stream_id"
    encoding = "PCMU"

    def started(self, start: dict[str, Any]) -> Started:
        audio = start.get("media_format", {})
        return Started(
            self._stream_id,
            str(start.get("call_sid") or start["call_control_id"]),
            texts(start.get("custom_parameters")),
            self.unsupported(audio.get("encoding"), audio.get("sample_rate")),
        )


class Telnyx(Twilio):
    name = "telnyx"

    def verify(self, request: HttpRequest, url: str) -> None:
        if not settings.TELNYX_PUBLIC_KEY:
            raise BadSignature("TELNYX_PUBLIC_KEY is not set, so no call can be trusted.")
        stamp = request.headers.get("Telnyx-Timestamp", "")
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE:
            raise BadSignature("The webhook's time is missing, or too old: it may have been recorded and replayed.")
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(settings.TELNYX_PUBLIC_KEY))
            signature = base64.b64decode(request.headers.get("Telnyx-Signature-Ed25519", ""), validate=True)
            key.verify(signature, f"{stamp}|".encode() + request.body)
        except (InvalidSignature, ValueError, binascii.Error):
            raise BadSignature("The signature does not fit. Is TELNYX_PUBLIC_KEY your account's?") from None

    def connect(self, connection: Connection) -> HttpResponse:
        """Without the three attributes audio comes in the call's own codec, and is wanted back as MP3 files.

        <Connect> has no action here; what follows it is done when the socket has closed.
        """
        response = VoiceResponse()
        if connection.greeting:
            response.say(connection.greeting, language=connection.language)
        mulaw = {"codec": "PCMU", "bidirectionalMode": "rtp", "bidirectionalCodec": "PCMU"}
        connect = Connect()
        connect.stream(url=connection.socket_url, **mulaw).parameter(name="token", value=connection.token)
        response.append(connect)
        response.redirect(connection.after_url)
        return xml(response)

    def codec(self) -> Codec:
        return TelnyxCodec()

    def account(self) -> Account:
        raise ProviderError("Only Twilio can be asked to call, and to change its numbers.")
