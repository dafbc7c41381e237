from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db.models.signals import post_migrate


class SiteConfig(AppConfig):
    name = "tests.site"

    def ready(self) -> None:
        post_migrate.connect(choose_relays, sender=apps.get_app_config("streams"))  # after its own receiver


def choose_relays(**kwargs: Any) -> None:
    """What an administrator does: each of the streams "through-…" has a TURN provider of its own."""
    from streams.models import Stream

    for name in settings.TURN_PROVIDERS:
        Stream.objects.filter(slug=f"through-{name}").update(turn_provider=name)
