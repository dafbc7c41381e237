from itertools import chain, count
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.apps.registry import Apps
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class StreamsConfig(AppConfig):
    name = "streams"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from streams.checks import (
            check_channel_layer,
            check_handlers,
            check_rtc_configurations,
            check_turn_providers,
            check_weights,
        )
        from streams.media import weights
        from streams.registry import registry

        weights.set_directory(getattr(settings, "STREAMS_MODELS_DIR", Path("var/models")))
        autodiscover_modules("stream_handlers", register_to=registry)
        checks.register(check_weights)
        checks.register(check_handlers, checks.Tags.database)
        checks.register(check_turn_providers, checks.Tags.database)
        checks.register(check_rtc_configurations)
        checks.register(check_channel_layer, deploy=True)
        post_migrate.connect(create_streams, sender=self)


def create_streams(using: str, apps: Apps = apps, **kwargs: Any) -> None:
    """After migrate: a Stream for each handler that has none."""
    from streams.registry import registry

    try:
        stream_model = apps.get_model("streams", "Stream")
    except LookupError:  # migrated back to before the table
        return
    streams = stream_model._default_manager.using(using)
    handlers, slugs = (set(streams.values_list(field, flat=True)) for field in ("handler", "slug"))
    for registration in registry:
        if registration.name not in handlers:
            candidates = chain([registration.name], (f"{registration.name[:45]}-{n}" for n in count(2)))
            slug = next(candidate for candidate in candidates if candidate not in slugs)
            streams.create(slug=slug, handler=registration.name, **registration.stream_defaults())
