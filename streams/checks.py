from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
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
