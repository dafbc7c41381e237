"""Twilio: webhooks with a signature, TwiML, Media Streams. Source: Twilio's documentation of the three."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, VoiceResponse

from telephony.media_streams import Codec, JsonCodec, Started, texts
from telephony.providers import Account, BadSignature, CallInfo, Connection
from telephony.twilio_account import TwilioAccount


class TwilioCodec(JsonCodec):
    """Messages of Media Streams, version 1.0.0."""

    def started(self, start: dict[str, Any]) -> Started:
        audio = start.get("mediaFormat", {})
        return Started(
            self._stream_id,
            str(start["callSid"]),
            texts(start.get("customParameters")),
            self.unsupported(audio.get("encoding"), audio.get("sampleRate")),
        )


class Twilio:
    name = "twilio"

    def verify(self, request: HttpRequest, url: str) -> None:
        token = settings.TWILIO_AUTH_TOKEN
        if not token:
            raise BadSignature("TWILIO_AUTH_TOKEN is not set, so no call can be trusted.")
        signature = request.headers.get("X-Twilio-Signature", "")
        if not RequestValidator(token).validate(url, request.POST, signature):
            raise BadSignature(f"The signature does not fit {url}. Is TELEPHONY_PUBLIC_URL what Twilio calls?")

    def call(self, request: HttpRequest) -> CallInfo:
        form = request.POST
        seconds = form.get("CallDuration", "")
        return CallInfo(
            id=form.get("CallSid", "")[:64],
            caller=form.get("From", "")[:64],  # a SIP address may be longer
            called=form.get("To", "")[:64],
            status=form.get("CallStatus", ""),
            answered_by=form.get("AnsweredBy", "")[:24],
            seconds=int(seconds[:9]) if seconds.isdecimal() else None,
        )

    def connect(self, connection: Connection) -> HttpResponse:
        response = VoiceResponse()
        if connection.greeting:
            response.say(connection.greeting, language=connection.language)
        connect = Connect(action=connection.after_url or None)
        connect.stream(url=connection.socket_url).parameter(name="token", value=connection.token)
        response.append(connect)
        return xml(response)

    def say(self, words: str, language: str) -> HttpResponse:
        response = VoiceResponse()
        if words:
            response.say(words, language=language)
        response.hangup()
        return xml(response)

    def transfer(self, number: str) -> HttpResponse:
        response = VoiceResponse()
        response.dial(number)
        return xml(response)

    def codec(self) -> Codec:
        return TwilioCodec()

    def account(self) -> Account:
        return TwilioAccount()


def xml(response: VoiceResponse) -> HttpResponse:
    return HttpResponse(str(response), content_type="text/xml")
