import ipaddress
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError

from streams.media import weights
from streams.registry import registry


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
        said = f"has {wrong[0]!r}, which is no IP address."
    else:
        said = f"must be a list of IP addresses; it is {value!r}."
    return [Error(f"{name} {said}", hint='Example: ["203.0.113.5"]. A name will not do.', id="streams.E002")]


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
