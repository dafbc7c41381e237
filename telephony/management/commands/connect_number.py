from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.models import Stream
from telephony.models import E164, PhoneNumber
from telephony.providers import Account, ProviderError, Webhooks, get_provider
from telephony.services import webhooks_at

SITE_SECONDS = 10.0


class Command(BaseCommand):
    help = (
        "Lets a stream answer a number of your Twilio account: tells Twilio where to send its calls, reads that back, "
        "and writes the number down in the admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="+49…", help="the number")
        parser.add_argument("slug", metavar="SLUG", help="the stream that answers")
        parser.add_argument(
            "--public-url",
            default=settings.TELEPHONY_PUBLIC_URL,
            metavar="https://…",
            help="this site's address as Twilio reaches it (default: TELEPHONY_PUBLIC_URL)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        number, base = options["number"], options["public_url"].rstrip("/")
        stream = check(number, options["slug"], base)
        wanted = webhooks_at(base)
        try:
            before = async_to_sync(connect)(get_provider("twilio").account(), number, wanted)
        except ProviderError as error:
            raise CommandError(str(error)) from error
        if before.incoming_url not in ("", wanted.incoming_url):
            self.stdout.write(f"Its calls went to {before.incoming_url} until now.")
        _, created = PhoneNumber.objects.update_or_create(number=number, defaults={"stream": stream, "enabled": True})
        self.stdout.write(f"Calls of {number} go to {wanted.incoming_url}; Twilio has confirmed it.")
        how = "added to" if created else "changed in"
        self.stdout.write(f"The stream “{stream.title}” answers there: {how} the admin.")
        for warning in warnings(base, wanted):
            self.stderr.write(warning)


def check(number: str, slug: str, base: str) -> Stream:
    """The stream. Raises CommandError for what makes no sense."""
    try:
        E164(number)
    except ValidationError as error:
        raise CommandError(f"{number} is no telephone number. {error.messages[0]}") from None
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise CommandError("Give this site's address as Twilio reaches it: --public-url https://voice.example.org")
    stream = Stream.objects.filter(slug=slug).first()
    if stream is None:
        raise CommandError(f"There is no stream {slug!r}.")
    return stream


async def connect(account: Account, number: str, wanted: Webhooks) -> Webhooks:
    """Set the number's webhooks and read them back. Returns what they were. Raises ProviderError."""
    before = await account.webhooks(number)
    if before.overridden_by:
        raise ProviderError(
            f"The calls of {number} go to {before.overridden_by}. Take that away in Twilio's console first: Phone "
            "numbers → (the number) → Voice."
        )
    await account.set_webhooks(number, wanted)
    now = await account.webhooks(number)
    if now != wanted:
        raise ProviderError(f"Twilio has not taken it: the calls of {number} go to {now.incoming_url or 'nowhere'}.")
    return before


def warnings(base: str, wanted: Webhooks) -> list[str]:
    import httpx

    found = []
    if settings.TELEPHONY_PUBLIC_URL.rstrip("/") != base:
        found.append(f"Start the site with TELEPHONY_PUBLIC_URL={base}, or it will take Twilio's signatures for false.")
    try:
        status = httpx.post(wanted.incoming_url, timeout=SITE_SECONDS).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found.append(f"The site cannot be reached there from here: {error}")
    else:
        if status != 403:  # which is what a webhook without a signature gets
            found.append(
                f"What answers at {wanted.incoming_url} (status {status}) is not this site, or its "
                "DJANGO_ALLOWED_HOSTS lack that host."
            )
    return found
