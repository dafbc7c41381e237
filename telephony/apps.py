"""Telephone calls into and out of streams."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class TelephonyConfig(AppConfig):
    name = "telephony"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from telephony.checks import check_telephone

        register(check_telephone, Tags.database)
