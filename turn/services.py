"""ICE servers: what a client, or this server, uses to find a path between them.

A client gets the list STREAMS_ICE_SERVERS and, after it, what a provider of TURN_PROVIDERS gives. This server's own end
has STREAMS_SERVER_ICE_SERVERS and the provider that TURN_SERVER_PROVIDER names.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from turn.cache import CredentialCache
from turn.ice_servers import IceServer, for_aiortc, has_relay, understood
from turn.providers.base import Credentials, Misconfigured, Policy, Provider, TurnError, Unreadable

logger = logging.getLogger(__name__)

DEFAULT = "default"
"""The provider of the streams that name none."""
TTL = 4 * 3600
"""Seconds. Some providers end what they relay when its credentials expire, and kept ones have half their life left."""
KEYS = {"BACKEND", "OPTIONS", "TTL", "RELAY_ONLY"}

Given = Mapping[str, Any] | Callable[[], Awaitable[Any]]
"""A configuration as the code gives it: what RTCPeerConnection takes, or what returns that."""

credentials_cache = CredentialCache()


@dataclass(frozen=True)
class Entry:
    """One of TURN_PROVIDERS."""

    name: str
    provider: Provider
    ttl: int = TTL
    relay_only: bool = False

    async def credentials(self, user: str) -> Credentials:
        """Raises TurnError."""
        match self.provider.shared_by:
            case "nobody":
                return await self.provider.fetch(user, self.ttl)
            case "everybody":
                user = "everybody"
        return await credentials_cache.get(self.name, user, lambda: self.provider.fetch(user, self.ttl))


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


# -- providers ----------------------------------------------------------------------------------------------------


def provider_names() -> list[str]:
    """The default one first."""
    return sorted(getattr(settings, "TURN_PROVIDERS", {}), key=lambda name: (name != DEFAULT, name))


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
        credentials_cache.clear()


setting_changed.connect(_forget)


# -- configurations -----------------------------------------------------------------------------------------------


async def client_configuration(user: str = "", chosen: str = "", given: Given | None = None) -> Configuration:
    """What a visitor's RTCPeerConnection is given. It never fails: what cannot be had is left out, and logged.

    user: an opaque name of the visitor; empty for a stranger
    chosen: the provider that an administrator chose for the stream
    given: what the code of the stream has; it counts where no administrator chose
    """
    own = _listed("STREAMS_ICE_SERVERS")
    if chosen and chosen not in provider_names():
        _tell(chosen, f"A stream asks for the TURN provider {chosen!r}, which TURN_PROVIDERS has not.")
        chosen = ""
    if given is not None and not chosen:
        return await _given(given, own)
    name = chosen or (DEFAULT if DEFAULT in provider_names() else "")
    return await _provided(name, user or f"visitor-{secrets.token_hex(8)}", own)


async def server_configuration(given: Given | None = None) -> Configuration:
    """What this server's own end is given: at most one STUN and one TURN server, since aiortc uses no more."""
    own = _listed("STREAMS_SERVER_ICE_SERVERS")
    name = getattr(settings, "TURN_SERVER_PROVIDER", "")
    found = await _given(given, own) if given is not None else await _provided(name, "server", own)
    return Configuration(
        for_aiortc(found.ice_servers), found.ice_transport_policy, found.expires_at, found.relay, found.others
    )


def _listed(setting: str) -> list[IceServer]:
    return list(getattr(settings, setting, ()))


async def _provided(name: str, user: str, own: list[IceServer]) -> Configuration:
    if not name:
        return Configuration(own, relay="ready" if has_relay(own) else "none")
    policy: Policy | None = None
    try:
        entry = provider_entry(name)
        policy = "relay" if entry.relay_only else None
        credentials = await entry.credentials(user)
    except TurnError as error:
        _tell(name, str(error))
        return Configuration(own, policy, relay="ready" if has_relay(own) else "unavailable")
    _all_is_well(name)
    servers = [*own, *credentials.ice_servers]
    policy = policy or credentials.ice_transport_policy
    return Configuration(servers, policy, credentials.expires_at, "ready" if has_relay(servers) else "none")


async def _given(given: Given, own: list[IceServer]) -> Configuration:
    try:
        found = await given() if callable(given) else given
        if not isinstance(found, Mapping):
            raise Unreadable(f"rtc_configuration must be a dictionary, but is a {type(found).__name__}.")
        return _read(found)
    except TurnError as error:
        _tell("rtc_configuration", str(error))
    except Exception:
        logger.exception("The code's rtc_configuration failed; clients get STREAMS_ICE_SERVERS instead")
    return Configuration(own, relay="ready" if has_relay(own) else "unavailable")


def _read(found: Mapping[str, Any]) -> Configuration:
    try:
        servers = understood(found.get("iceServers", []))
    except ValueError as error:
        raise Unreadable(f"The code's rtc_configuration is of no use: {error}") from None
    others = {key: value for key, value in found.items() if key not in ("iceServers", "iceTransportPolicy")}
    policy = found.get("iceTransportPolicy")
    return Configuration(servers, policy, relay="ready" if has_relay(servers) else "none", others=others)


_told: dict[str, str] = {}


def _tell(source: str, sentence: str) -> None:
    """Log what is wrong once, not for each visitor."""
    if _told.get(source) != sentence:
        _told[source] = sentence
        logger.error("%s Visitors connect without this relay meanwhile, if they can.", sentence)


def _all_is_well(source: str) -> None:
    if _told.pop(source, None):
        logger.warning("The TURN provider %r works again.", source)
