from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError
from django.http.request import validate_host

LOCAL_HOSTS = (".localhost", "127.0.0.1", "[::1]")
"""What Django serves in development without being told."""


def check_telephone(**kwargs: Any) -> list[CheckMessage]:
    """What is missing before a call can come in. Nothing is asked of sites without a number."""
    from telephony.models import PhoneNumber

    try:
        numbers = [number for alias in kwargs.get("databases") or [] for number in PhoneNumber.objects.using(alias)[:1]]
    except DatabaseError:  # not migrated yet
        return []
    if not numbers:
        return []
    return [*_secrets(), *_public_url()]


def _secrets() -> list[CheckMessage]:
    if not (settings.TWILIO_AUTH_TOKEN or settings.TELNYX_PUBLIC_KEY):
        return [
            Warning(
                "There are telephone numbers, and no provider's calls can be trusted.",
                hint="Set TWILIO_AUTH_TOKEN or TELNYX_PUBLIC_KEY in the environment.",
                id="telephony.W001",
            )
        ]
    if settings.TWILIO_AUTH_TOKEN and not settings.TWILIO_ACCOUNT_SID:
        return [
            Warning(
                "TWILIO_ACCOUNT_SID is not set: calls come in, but none can be placed, and connect_number cannot work.",
                hint="It is beside the auth token on the front page of Twilio's console.",
                id="telephony.W003",
            )
        ]
    return []


def _public_url() -> list[CheckMessage]:
    url = urlsplit(settings.TELEPHONY_PUBLIC_URL)
    if not settings.TELEPHONY_PUBLIC_URL:
        if settings.DEBUG:
            return []
        return [
            Warning(
                "TELEPHONY_PUBLIC_URL is not set.",
                hint="Behind a proxy, signatures only fit the address that the provider calls: https://voice.example.org",
                id="telephony.W002",
            )
        ]
    if url.scheme not in ("http", "https") or not url.hostname:
        return [
            Error(
                f"TELEPHONY_PUBLIC_URL is no address: {settings.TELEPHONY_PUBLIC_URL}",
                hint="Write it with https:// and without a path of its own: https://voice.example.org",
                id="telephony.E001",
            )
        ]
    if not validate_host(url.hostname, settings.ALLOWED_HOSTS or ([*LOCAL_HOSTS] if settings.DEBUG else [])):
        return [
            Warning(
                f"Webhooks to {url.hostname} will be turned away with status 400.",
                hint=f"Add {url.hostname} to DJANGO_ALLOWED_HOSTS.",
                id="telephony.W004",
            )
        ]
    return []
