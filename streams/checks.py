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
