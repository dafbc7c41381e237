from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db import DatabaseError


def check_telephone(**kwargs: Any) -> list[CheckMessage]:
    """What is missing before a call can come in. Nothing is asked of sites without a number."""
    from telephony.models import PhoneNumber

    try:
        numbers = [number for alias in kwargs.get("databases") or [] for number in PhoneNumber.objects.using(alias)[:1]]
    except DatabaseError:  # not migrated yet
        return []
    if not numbers:
        return []
    found: list[CheckMessage] = []
    if not (settings.TWILIO_AUTH_TOKEN or settings.TELNYX_PUBLIC_KEY):
        found.append(
            Warning(
                "There are telephone numbers, and no provider's calls can be trusted.",
                hint="Set TWILIO_AUTH_TOKEN or TELNYX_PUBLIC_KEY in the environment.",
                id="telephony.W001",
            )
        )
    if not settings.TELEPHONY_PUBLIC_URL and not settings.DEBUG:
        found.append(
            Warning(
                "TELEPHONY_PUBLIC_URL is not set.",
                hint="Behind a proxy, signatures only fit the address that the provider calls: https://voice.example.org",
                id="telephony.W002",
            )
        )
    return found
