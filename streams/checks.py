import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError

from streams.media import weights
from streams.registry import registry
from turn.checks import expired, is_expired
from turn.providers.base import Unreadable
from turn.services import provider_names, read_configuration


def check_weights(**kwargs: Any) -> list[CheckMessage]:
    missing = [name for name in weights.shipped() if not _is_fetched(name)]
    if not missing:
        return []
    return [
        Warning(
            f"Model weights are missing in {weights.directory()}: {', '.join(missing)}.",
            hint="Run: manage.py fetch_models",
            id="streams.W001",
        )
    ]


def _is_fetched(name: str) -> bool:
    try:
        return bool(weights.path(name))
    except weights.WeightsMissing:
        return False


def check_handlers(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from streams.models import Stream

    known = [registration.name for registration in registry]
    try:
        lost = [
            stream for alias in databases or [] for stream in Stream.objects.using(alias).exclude(handler__in=known)
        ]
    except DatabaseError:  # not migrated yet
        return []
    return [
        Warning(
            f"The stream “{stream.title}” uses the handler “{stream.handler}”, which is not in the code any more.",
            hint="Visitors are refused. Choose another handler in the admin, or delete the stream.",
            obj=stream,
            id="streams.W002",
        )
        for stream in lost
    ]


def check_turn_providers(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    from streams.models import Stream

    try:
        lost = [
            stream
            for alias in databases or []
            for stream in Stream.objects.using(alias).exclude(turn_provider__in=["", *provider_names()])
        ]
    except DatabaseError:  # not migrated yet
        return []
    return [
        Warning(
            f"The stream “{stream.title}” uses the TURN provider “{stream.turn_provider}”, which is not in settings.",
            hint="Its visitors get what is said in code, or the site's default. Choose another provider in the admin.",
            obj=stream,
            id="streams.W005",
        )
        for stream in lost
    ]


def check_rtc_configurations(**kwargs: Any) -> list[CheckMessage]:
    """What the code gives as a dictionary; functions are asked when somebody connects."""
    messages: list[CheckMessage] = []
    for registration in registry:
        for field in ("rtc_configuration", "server_rtc_configuration"):
            given = getattr(registration, field)
            if isinstance(given, Mapping):
                messages += _configuration_problems(f"Stream handler {registration.name!r}: {field}", given)
    return messages


def _configuration_problems(name: str, given: Mapping[str, Any]) -> Iterator[CheckMessage]:
    try:
        found = read_configuration(given)
    except Unreadable as error:
        yield Error(f"{name}: {error}", id="streams.E003")
        return
    if found.ice_transport_policy == "relay" and found.relay == "none":
        yield Error(f"{name} is for a relay only, but has no TURN server: nobody can connect.", id="streams.E003")
    yield from (expired(name, server) for server in found.ice_servers if is_expired(server))


def check_channel_layer(**kwargs: Any) -> list[CheckMessage]:
    backend = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {}).get("BACKEND", "")
    if not backend.endswith("InMemoryChannelLayer"):
        return []
    return [
        Warning(
            "The channel layer is in memory: it works for a single worker only.",
            hint="Before you start a second worker, use Redis (this site reads REDIS_URL).",
            id="streams.W003",
        )
    ]


def check_network(**kwargs: Any) -> list[CheckMessage]:
    """How this server's end of a WebRTC connection is reached."""
    ports = getattr(settings, "STREAMS_UDP_PORTS", None)
    return [
        *_check_ports(ports),
        *_check_addresses("STREAMS_PUBLIC_ADDRESSES"),
        *_check_addresses("STREAMS_BIND_ADDRESSES"),
    ]


def _check_ports(ports: Any) -> list[CheckMessage]:
    if ports is None:
        return []
    if not (
        isinstance(ports, tuple | list)
        and len(ports) == 2
        and all(isinstance(port, int) for port in ports)
        and 0 < ports[0] <= ports[1] < 65536
    ):
        return [
            Error(
                f"STREAMS_UDP_PORTS must be the first and the last port, between 1 and 65535; it is {ports!r}.",
                hint="Example: (50000, 50200)",
                id="streams.E001",
            )
        ]
    count, sessions = ports[1] - ports[0] + 1, settings.STREAMS_MAX_SESSIONS
    if count >= sessions:
        return []
    return [
        Warning(
            f"STREAMS_UDP_PORTS has {count} ports for {sessions} sessions (STREAMS_MAX_SESSIONS).",
            hint="A session takes one on each address; whoever finds none is refused. Workers share the range.",
            id="streams.W004",
        )
    ]


def _check_addresses(name: str) -> list[CheckMessage]:
    value = getattr(settings, name, [])
    if isinstance(value, list | tuple):
        wrong = [each for each in value if not _is_address(each)]
        if not wrong:
            return []
        said = f"has {wrong[0]!r}, which is no address that can be announced."
    else:
        said = f"must be a list of IP addresses; it is {value!r}."
    return [
        Error(
            f"{name} {said}", hint='Example: ["203.0.113.5"]. A name will not do, nor will 0.0.0.0.', id="streams.E002"
        )
    ]


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and not ipaddress.ip_address(value).is_unspecified
    except ValueError:
        return False
