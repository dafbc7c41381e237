"""ICE servers: what a client, or this server, uses to find a path between them.

A client gets the list STREAMS_ICE_SERVERS and, after it, what a provider of TURN_PROVIDERS gives. This server's own end
has STREAMS_SERVER_ICE_SERVERS and the provider that TURN_SERVER_PROVIDER names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from turn.cache import CredentialCache
from turn.ice_servers import IceServer, for_aiortc, has_relay, sound, understood
from turn.providers.base import (
    Credentials,
    Misconfigured,
    OutOfOrder,
    Policy,
    Provider,
    TooSlow,
    TurnError,
    Unreadable,
)

logger = logging.getLogger(__name__)

DEFAULT = "default"
"""The provider of the streams that name none."""
TTL = 4 * 3600
"""Seconds. Some providers end what they relay when its credentials expire, and kept ones have half their life left."""
PATIENCE = 5.0
"""Seconds that a visitor, or an offer, waits for a provider or the site's code."""
KEYS = {"BACKEND", "OPTIONS", "TTL", "RELAY_ONLY"}

CODE = "The code's rtc_configuration"

Given = Mapping[str, Any] | Callable[[], Awaitable[Any]]
"""A configuration as the code gives it: what RTCPeerConnection takes, or what returns that."""


@dataclass(frozen=True)
class Entry:
    """One of TURN_PROVIDERS."""

    name: str
    provider: Provider
    ttl: int = TTL
    relay_only: bool = False

    async def credentials(self, user: str) -> Credentials:
        """Raises TurnError."""
        shared = self.provider.shared_by
        user = "everybody" if shared == "everybody" else user
        ask = partial(_asked, f"The TURN provider {self.name!r}", partial(self._fetch, user))
        return await (ask() if shared == "nobody" else _provided_ones.get(self.name, user, ask))

    async def _fetch(self, user: str) -> Credentials:
        found = await self.provider.fetch(user, self.ttl)
        try:
            return replace(found, ice_servers=understood(found.ice_servers))
        except ValueError as error:
            raise Unreadable(f"Its ICE servers cannot be used: {error}") from None


@dataclass(frozen=True)
class Configuration:
    """What one end of a connection is given. Its repr holds no secret."""

    ice_servers: list[IceServer] = field(repr=False)
    ice_transport_policy: Policy | None = None
    expires_at: float | None = None
    """Unix time."""
    relay: Literal["ready", "none", "unavailable"] = "none"
    """Whether there is a TURN server; "unavailable": there should be one, but its provider gives no credentials."""
    others: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What else the code's own configuration has."""

    def for_client(self) -> dict[str, Any]:
        """What RTCPeerConnection takes, and more, which it ignores: relay, and expires_in in seconds."""
        policy = {"iceTransportPolicy": self.ice_transport_policy} if self.ice_transport_policy else {}
        left = {"expires_in": max(0, int(self.expires_at - time.time()))} if self.expires_at is not None else {}
        return {**self.others, "iceServers": self.ice_servers, **policy, **left, "relay": self.relay}


_provided_ones: CredentialCache[Credentials] = CredentialCache()
_given_ones: CredentialCache[Configuration] = CredentialCache()
_policies: WeakKeyDictionary[Callable[[], Awaitable[Any]], Policy | None] = WeakKeyDictionary()
"""What each function of the code last said: relay-only stays relay-only when it fails."""


# -- providers ----------------------------------------------------------------------------------------------------


def provider_names() -> list[str]:
    """The default one first."""
    given = getattr(settings, "TURN_PROVIDERS", {})
    return sorted(given if isinstance(given, dict) else (), key=lambda name: (name != DEFAULT, str(name)))


@cache
def provider_entry(name: str) -> Entry:
    """Raises Misconfigured, which says what is wrong with the setting."""
    given = getattr(settings, "TURN_PROVIDERS", {})
    if name not in given:
        raise Misconfigured(f"TURN_PROVIDERS has no {name!r}. It has: {', '.join(provider_names()) or 'none'}.")
    try:
        return _entry(name, given[name])
    except Misconfigured as error:
        raise Misconfigured(f"TURN_PROVIDERS[{name!r}]: {error}") from None


def _entry(name: str, given: Any) -> Entry:
    if not isinstance(given, dict) or not isinstance(given.get("BACKEND"), str):
        raise Misconfigured('must be a dictionary with a "BACKEND", such as "turn.providers.coturn.Coturn".')
    if unknown := set(given) - KEYS:
        raise Misconfigured(f"has unknown keys: {', '.join(sorted(map(str, unknown)))}.")
    ttl = given.get("TTL", TTL)
    if not isinstance(ttl, int) or ttl <= 0:
        raise Misconfigured('"TTL" must be a number of seconds.')
    return Entry(name, _provider(given["BACKEND"], given.get("OPTIONS", {})), ttl, bool(given.get("RELAY_ONLY")))


def _provider(path: str, options: Any) -> Provider:
    try:
        backend = import_string(path)
    except ImportError as error:
        raise Misconfigured(f"the BACKEND {path} cannot be imported. {error}") from None
    if not (isinstance(backend, type) and issubclass(backend, Provider)):
        raise Misconfigured(f"the BACKEND {path} is no subclass of turn.providers.base.Provider.")
    try:
        return backend(**options)
    except TypeError as error:
        raise Misconfigured(f"the OPTIONS do not fit {path}. {error}") from None


def _forget(setting: str, **kwargs: Any) -> None:
    if setting == "TURN_PROVIDERS":
        provider_entry.cache_clear()
        _provided_ones.clear()
        _told.clear()


setting_changed.connect(_forget)


# -- configurations -----------------------------------------------------------------------------------------------


async def client_configuration(user: str = "", chosen: str = "", given: Given | None = None) -> Configuration:
    """What a visitor's RTCPeerConnection is given. It never fails: what cannot be had is left out, and logged.

    user: an opaque name of the visitor; empty for a stranger
    chosen: the provider that an administrator chose for the stream
    given: what the code of the stream has; it counts where no administrator chose
    """
    own, names = _listed("STREAMS_ICE_SERVERS"), provider_names()
    if chosen and chosen not in names:
        _tell(f"A stream's TURN provider, {chosen!r}", "TURN_PROVIDERS does not have it. Choose another one.")
        chosen = ""
    if given is not None and not chosen:
        return await _given(given, own)
    name = chosen or (DEFAULT if DEFAULT in names else "")
    return await _provided(name, user or f"visitor-{secrets.token_hex(8)}", own)


async def server_configuration(given: Given | None = None) -> Configuration:
    """What this server's own end is given: at most one STUN and one TURN server, since aiortc uses no more."""
    own = _listed("STREAMS_SERVER_ICE_SERVERS")
    name = getattr(settings, "TURN_SERVER_PROVIDER", "")
    found = await _given(given, own) if given is not None else await _provided(name, "server", own)
    return replace(found, ice_servers=for_aiortc(found.ice_servers))


def _listed(setting: str) -> list[IceServer]:
    return sound(getattr(settings, setting, ()))


async def _provided(name: str, user: str, own: list[IceServer]) -> Configuration:
    policy: Policy | None = None
    try:
        if not name:
            return Configuration(own, relay=_relay_of(own))
        entry = provider_entry(name)
        policy = "relay" if entry.relay_only else None
        credentials = await entry.credentials(user)
    except TurnError as error:
        if isinstance(error, Misconfigured):
            setting = f"TURN_PROVIDERS[{name!r}]"
            _tell(setting, str(error).removeprefix(f"{setting}: "))
        return Configuration(own, policy, relay="ready" if has_relay(own) else "unavailable")
    servers = [*own, *credentials.ice_servers]
    return Configuration(
        servers, policy or credentials.ice_transport_policy, credentials.expires_at, _relay_of(servers)
    )


async def _given(given: Given, own: list[IceServer]) -> Configuration:
    try:
        if not callable(given):
            return read_configuration(given)
        source = f"{CODE}, {getattr(given, '__qualname__', 'a function')}"
        return await _given_ones.get(given, "", partial(_asked, source, partial(_called, given)))
    except TurnError as error:
        if not callable(given):
            _tell(CODE, str(error))
        policy = _policies.get(given) if callable(given) else None
        return Configuration(own, policy, relay="ready" if has_relay(own) else "unavailable")


async def _called(given: Callable[[], Awaitable[Any]]) -> Configuration:
    found = read_configuration(await given())
    _policies[given] = found.ice_transport_policy
    return found


def read_configuration(found: Any) -> Configuration:
    """What the code gives, in our words. Raises Unreadable."""
    try:
        if not isinstance(found, Mapping):
            raise ValueError(f"it is a {type(found).__name__}, not a dictionary.")
        others = dict(found)
        servers, policy = understood(others.pop("iceServers", [])), others.pop("iceTransportPolicy", None)
        if policy not in (None, "all", "relay"):
            raise ValueError('"iceTransportPolicy" must be "all" or "relay".')
        json.dumps(others)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"It cannot be used: {error}") from None
    return Configuration(servers, policy, relay=_relay_of(servers), others=others)


def _relay_of(servers: list[IceServer]) -> Literal["ready", "none"]:
    return "ready" if has_relay(servers) else "none"


# -- what goes wrong ----------------------------------------------------------------------------------------------

T = TypeVar("T")


async def _asked(source: str, fetch: Callable[[], Awaitable[T]]) -> T:
    """Await what a provider or the site's code gives. Whatever it raises is logged, and becomes a TurnError."""
    try:
        async with asyncio.timeout(PATIENCE):
            found = await fetch()
    except TurnError as error:
        _tell(source, str(error))
        raise
    except TimeoutError:
        late = TooSlow(f"It gave no ICE servers within {PATIENCE:g} s.")
        _tell(source, str(late))
        raise late from None
    except Exception as error:  # noqa: BLE001 - a provider or the site's code may raise anything
        failed = OutOfOrder(f"It raised {type(error).__name__}.")
        _tell(source, str(failed), error)
        raise failed from None
    if _told.pop(source, None):
        logger.warning("%s works again.", source)
    return found


_told: dict[str, str] = {}


def _tell(source: str, sentence: str, error: Exception | None = None) -> None:
    """Log what is wrong once, not for each visitor."""
    if _told.get(source) != sentence:
        _told[source] = sentence
        logger.error("%s: %s Meanwhile connections do without, if they can.", source, sentence, exc_info=error)
