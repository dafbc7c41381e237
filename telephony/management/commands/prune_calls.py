from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from telephony.models import Call


class Command(BaseCommand):
    help = "Delete the records of calls that began long ago, with their numbers: STREAMS_RECORD_DAYS, or --days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=settings.STREAMS_RECORD_DAYS)

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        if days < 0:
            raise CommandError("--days must be 0 or more.")
        before = timezone.now() - timedelta(days=days)
        deleted, _ = Call.objects.filter(created_at__lt=before).delete()
        self.stdout.write(f"Deleted {deleted} records of calls older than {days} days.")
