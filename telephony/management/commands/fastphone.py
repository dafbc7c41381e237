from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from streams.models import Stream
from telephony.fastphone import FastPhoneService, Registration
from telephony.models import FastPhone
from telephony.providers import ProviderError


class Command(BaseCommand):
    help = (
        "Gets a temporary telephone number for a stream from FastRTC's service, until it is stopped. The site must be "
        "running behind a tunnel. Meanwhile whoever knows the tunnel's address can talk to the stream: the service's "
        "calls carry no signature that can be checked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="the stream")
        parser.add_argument(
            "--public-url",
            default=settings.TELEPHONY_PUBLIC_URL,
            metavar="https://…",
            help="the tunnel's address (default: TELEPHONY_PUBLIC_URL)",
        )
        parser.add_argument(
            "--token", default=os.environ.get("HF_TOKEN", ""), help="of Hugging Face (default: HF_TOKEN)"
        )
        parser.add_argument("--service", default=settings.FASTPHONE_URL, metavar="URL", help="default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        public_url = options["public_url"].rstrip("/")
        stream = check(options["slug"], public_url, options["token"])
        service = FastPhoneService(options["service"], options["token"], urlsplit(public_url).netloc)
        with stopped() as stop:  # from here on a signal unregisters
            try:
                registration = service.register()
            except ProviderError as error:
                raise CommandError(str(error)) from error
            try:
                with opened(stream, public_url) as keep_open:
                    self.tell(stream, registration)
                    while not stop.wait(FastPhone.BEAT_SECONDS):
                        keep_open()
            finally:
                self.unregister(service, registration)

    def tell(self, stream: Stream, registration: Registration) -> None:
        minutes, seconds = divmod(registration.seconds_left, 60)
        left = f"{minutes}:{seconds:02d} minutes are left until {registration.reset_date}."
        self.stdout.write(f"Call {registration.phone} and key in {registration.code}: “{stream.title}” answers.")
        self.stdout.write(f"{left} Stop with Ctrl-C.")
        self.stdout.flush()

    def unregister(self, service: FastPhoneService, registration: Registration) -> None:
        try:
            service.unregister(registration.code)
        except ProviderError as error:
            self.stderr.write(f"The number may still be registered: {error}")
        else:
            self.stdout.write("The number has been given back.")


def check(slug: str, public_url: str, token: str) -> Stream:
    """The stream. Raises CommandError for what makes no sense."""
    stream = Stream.objects.filter(slug=slug).first()
    if stream is None:
        raise CommandError(f"There is no stream {slug!r}.")
    if not urlsplit(public_url).netloc:
        raise CommandError("Give the address of your tunnel: --public-url https://three-words.trycloudflare.com")
    if not token:
        raise CommandError("A Hugging Face token is needed: HF_TOKEN or --token.")
    return stream


@contextmanager
def opened(stream: Stream, public_url: str) -> Iterator[Callable[[], object]]:
    """Let the service's calls in. What it yields is to be called now and then, to say that it is still so."""
    door = FastPhone.objects.create(stream=stream, public_url=public_url)
    try:
        yield lambda: FastPhone.objects.filter(pk=door.pk).update(seen_at=timezone.now())
    finally:
        door.delete()


@contextmanager
def stopped() -> Iterator[threading.Event]:
    """Set by Ctrl-C, and by whoever stops the process politely."""
    stop = threading.Event()
    before = {each: signal.signal(each, lambda *_: stop.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
