"""Telephone providers: what differs between them. One file each; this one names them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

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
    status: str = ""
    """In Twilio's words: queued, initiated, ringing, in-progress, completed, busy, no-answer, canceled, failed."""
    answered_by: str = ""
    """Where it was asked: human, unknown, fax, or what begins with machine."""
    seconds: int | None = None
    """How long the call was, once it has ended."""

    @property
    def is_machine(self) -> bool:
        return self.answered_by.startswith(("machine", "fax"))


@dataclass(frozen=True)
class Connection:
    """Where the provider is to send a call's audio."""

    socket_url: str
    after_url: str
    """Asked for what to do when the socket has closed. Empty: hang up."""
    token: str
    greeting: str = ""
    language: str = "en-US"


@dataclass(frozen=True)
class Order:
    """A call to be placed. Numbers are E.164."""

    to: str
    from_: str
    answered_url: str
    """Asked for what to do when somebody has picked up."""
    status_url: str
    """Told each step of the call."""
    machine_detection: Literal["", "start", "end"] = ""
    """Whether to find out who answers: at its first words, or after the beep of a machine."""


@dataclass(frozen=True)
class Webhooks:
    """Where a provider sends the calls of one of its numbers."""

    incoming_url: str
    status_url: str
    overridden_by: str = ""
    """What at the provider decides in their place."""


class ProviderError(Exception):
    """The provider does not do what it was asked for; the text says why, to people."""


class ProviderSilent(ProviderError):
    """It is not known whether the provider does it."""


class Account(Protocol):
    """What a provider can be asked for. Its methods raise ProviderError."""

    async def place_call(self, order: Order) -> str:
        """Returns the call's id at the provider."""

    async def webhooks(self, number: str) -> Webhooks:
        """Where the calls of this number go now."""

    async def set_webhooks(self, number: str, webhooks: Webhooks) -> None: ...


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

    def account(self) -> Account:
        """Raises ProviderError when the settings lack something."""


def get_provider(name: str) -> Provider:
    """Raises KeyError for a provider we do not know."""
    module, _, attribute = PROVIDERS[name].rpartition(".")
    provider: Provider = getattr(import_module(module), attribute)()
    return provider
