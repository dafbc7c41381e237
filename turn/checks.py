from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from turn.ice_servers import IceServer, expiry, has_relay, problem, sound, urls_of
from turn.providers.base import Misconfigured
from turn.providers.static import Static
from turn.services import DEFAULT, Entry, provider_entry, provider_names

LISTS = ("STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS")


def check_ice_servers(**kwargs: Any) -> list[CheckMessage]:
    return [error for name in LISTS for error in _check_list(name, getattr(settings, name, []))]


def _check_list(name: str, value: Any) -> list[CheckMessage]:
    if not isinstance(value, list | tuple):
        return [_malformed(f"{name} must be a list of dictionaries.")]
    wrong = [(index, problem(server)) for index, server in enumerate(value)]
    return [_malformed(f"{name}[{index}]: {sentence}") for index, sentence in wrong if sentence]


def _malformed(message: str) -> Error:
    return Error(
        message,
        hint='Example: {"urls": "turn:turn.example.org:3478", "username": "…", "credential": "…"}',
        id="turn.E001",
    )


def check_providers(**kwargs: Any) -> list[CheckMessage]:
    """Every one of TURN_PROVIDERS can be made: its backend is there, and its options and secrets are given."""
    given = getattr(settings, "TURN_PROVIDERS", {})
    if not isinstance(given, dict):
        return [Error("TURN_PROVIDERS must be a dictionary of dictionaries.", id="turn.E002")]
    errors: list[CheckMessage] = [
        Error(found, hint="See docs/turn.md for the options of each provider.", id="turn.E002")
        for found in map(_misconfigured, provider_names())
        if found
    ]
    server = getattr(settings, "TURN_SERVER_PROVIDER", "")
    if server and server not in given:
        known = ", ".join(provider_names()) or "nothing"
        errors.append(Error(f"TURN_SERVER_PROVIDER is {server!r}, but TURN_PROVIDERS has {known}.", id="turn.E003"))
    return errors


def _misconfigured(name: str) -> str:
    try:
        provider_entry(name)
    except Misconfigured as error:
        return str(error)
    return ""


def check_relay_only(**kwargs: Any) -> list[CheckMessage]:
    """Who may connect through a relay only, and has none, cannot connect at all."""
    return [
        Error(
            f"TURN_PROVIDERS[{entry.name!r}] is RELAY_ONLY, but has no TURN server: nobody can connect.",
            hint="Add a turn: or turns: address, or leave RELAY_ONLY out.",
            id="turn.E004",
        )
        for entry in _entries()
        if entry.relay_only
        and isinstance(entry.provider, Static)
        and not has_relay(entry.provider.ice_servers)
        and not has_relay(_listed("STREAMS_ICE_SERVERS"))
    ]


def check_any_relay(**kwargs: Any) -> list[CheckMessage]:
    """For deployment: visitors in offices and mobile networks need a relay."""
    default = [entry for entry in _entries() if entry.name == DEFAULT]
    statics = [entry.provider.ice_servers for entry in default if isinstance(entry.provider, Static)]
    if settings.DEBUG or len(default) > len(statics) or any(map(has_relay, [_listed("STREAMS_ICE_SERVERS"), *statics])):
        return []
    return [
        Warning(
            "There is no TURN server: visitors behind a strict firewall, or in some mobile networks, cannot connect.",
            hint="Set TURN_PROVIDER, or STREAMS_ICE_SERVERS. docs/turn.md shows how.",
            id="turn.W001",
        )
    ]


def check_one_of_each(**kwargs: Any) -> list[CheckMessage]:
    """aiortc uses the first STUN and the first TURN address, and passes over the others in silence."""
    name = getattr(settings, "TURN_SERVER_PROVIDER", "")
    entries = [entry.provider for entry in _entries() if entry.name == name]
    own = [
        *_listed("STREAMS_SERVER_ICE_SERVERS"),
        *chain.from_iterable(provider.ice_servers for provider in entries if isinstance(provider, Static)),
    ]
    return [
        Warning(
            f"This server's own end has {count} {kind.upper()} addresses, but aiortc uses one of them only.",
            hint="Leave the best one in STREAMS_SERVER_ICE_SERVERS and TURN_SERVER_PROVIDER.",
            id="turn.W002",
        )
        for kind in ("stun", "turn")
        if (count := sum(url.startswith(kind) for server in own for url in urls_of(server))) > 1
    ]


def check_expired(**kwargs: Any) -> list[CheckMessage]:
    lists = [(name, _listed(name)) for name in LISTS]
    lists += [
        (f"TURN_PROVIDERS[{entry.name!r}]", list(entry.provider.ice_servers))
        for entry in _entries()
        if isinstance(entry.provider, Static)
    ]
    return [expired(name, server) for name, servers in lists for server in servers if is_expired(server)]


def is_expired(server: IceServer) -> bool:
    expires = expiry(server)
    return expires is not None and expires < time.time()


def expired(name: str, server: IceServer) -> Warning:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry(server)))
    return Warning(
        f"{name}: the credentials for {urls_of(server)[0]} expired on {when}.",
        hint="Let a provider make new ones for each visitor: docs/turn.md.",
        id="turn.W003",
    )


def _entries() -> Iterator[Entry]:
    """The sound ones; the others have their own errors."""
    return (provider_entry(name) for name in provider_names() if not _misconfigured(name))


def _listed(setting: str) -> list[IceServer]:
    return sound(getattr(settings, setting, ()))


CHECKS = (check_ice_servers, check_providers, check_relay_only, check_one_of_each, check_expired)
DEPLOY_CHECKS = (check_any_relay,)
