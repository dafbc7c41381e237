from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.models import Stream
from telephony.models import Call
from telephony.services import CallNotPlaced, place_call


class Command(BaseCommand):
    help = (
        "Calls a telephone and lets a stream talk to whoever answers. The site must be running where the provider "
        "reaches it: TELEPHONY_PUBLIC_URL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="+49…", help="whom to call")
        parser.add_argument("--stream", required=True, metavar="SLUG", help="who talks")
        parser.add_argument(
            "--from", dest="caller", metavar="+49…", help="the number that calls (default: the stream's)"
        )
        parser.add_argument(
            "--machine",
            choices=[value for value in Call.Machine.values if value],
            default="",
            help="find out whether a machine answers, and hang up, or talk after its beep (default: do not find out)",
        )
        parser.add_argument("--with", dest="parameters", action="append", default=[], metavar="NAME=VALUE")

    def handle(self, *args: Any, **options: Any) -> None:
        stream = Stream.objects.filter(slug=options["stream"]).first()
        if stream is None:
            raise CommandError(f"There is no stream {options['stream']!r}.")
        try:
            call = async_to_sync(place_call)(
                stream,
                options["number"],
                options["caller"],
                machine=options["machine"],
                parameters=dict(map(parameter, options["parameters"])),
            )
        except CallNotPlaced as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{call.called} is being called by {call.caller}. How it goes: call {call.pk} in the admin.")


def parameter(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise CommandError(f"--with {given}: write it as name=value.")
    return name, value
