"""Telephone providers: what differs between them. One file each; this one names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

from django.http import HttpRequest, HttpResponse

from telephony.media_streams import Codec

PROVIDERS = {"twilio": "telephony.twilio.Twilio", "telnyx": "telephony.telnyx.Telnyx"}


class BadSignature(Exception):
    """The request is not the provider's, or not as the provider sent it. The text is for the log."""


@dataclass(frozen=True)
class CallInfo:
    """What a webhook tells of a call. Numbers are E.164."""

    id: str
    caller: str
    called: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection:
    """Where the provider is to send a call's audio."""

    socket_url: str
    after_url: str
    """Asked for what to do when the socket has closed."""
    token: str
    greeting: str = ""
    language: str = "en-US"


class Provider(Protocol):
    name: str

    def verify(self, request: HttpRequest, url: str) -> None:
        """Raise BadSignature unless the provider has sent this request to ``url``, as it sees it."""

    def call(self, request: HttpRequest) -> CallInfo:
        """The call that a verified webhook is about."""

    def connect(self, connection: Connection) -> HttpResponse:
        """Answer the call, greet, and send its audio to our socket."""

    def say(self, words: str, language: str) -> HttpResponse:
        """Say something and hang up; only hang up when there are no words."""

    def transfer(self, number: str) -> HttpResponse:
        """Go on with another telephone."""

    def codec(self) -> Codec:
        """A codec for one call's socket."""


def get_provider(name: str) -> Provider:
    """Raises KeyError for a provider we do not know."""
    module, _, attribute = PROVIDERS[name].rpartition(".")
    provider: Provider = getattr(import_module(module), attribute)()
    return provider
