from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from turn.allocation import Trial, try_servers
from turn.ice_servers import IceServer
from turn.providers.base import TurnError
from turn.services import provider_entry, provider_names

SETTINGS = ("STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS")
TIMEOUT = 5.0


class Command(BaseCommand):
    help = (
        "Tries the STUN and TURN servers that visitors are given: gets credentials, allocates a relay on each, by UDP, "
        "TCP or TLS, and sends a packet through it to this machine and back. Fails if one of them does not work."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", nargs="?", help="one of TURN_PROVIDERS (default: all, and the settings' lists)")
        parser.add_argument("--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help=f"default: {TIMEOUT:g}")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for name in self.sources(options["provider"]):
            self.stdout.write(self.style.MIGRATE_HEADING(name))
            try:
                trials = asyncio.run(try_source(name, options["timeout"]))
            except TurnError as error:
                failed += 1
                self.stdout.write(self.style.ERROR(f"  {error}"))
                continue
            failed += sum(not trial.passed for trial in trials)
            self.write_table(trials)
        if failed:
            raise CommandError(f"{failed} of them failed." if failed > 1 else "One of them failed.")

    def sources(self, provider: str | None) -> list[str]:
        if provider:
            return [provider]
        sources = [*provider_names(), *(name for name in SETTINGS if getattr(settings, name, ()))]
        if not sources:
            raise CommandError("There is nothing to try: TURN_PROVIDERS and STREAMS_ICE_SERVERS are empty.")
        return sources

    def write_table(self, trials: Sequence[Trial]) -> None:
        rows = [("URL", "by", "stage", "address", "ms"), *map(cells, trials)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        self.stdout.write(f"  {lines[0].rstrip()}")
        for trial, line in zip(trials, lines[1:], strict=True):
            style = self.style.SUCCESS if trial.passed else self.style.ERROR
            self.stdout.write(style(f"  {line.rstrip()}"))
            if trial.words:
                self.stdout.write(f"    {trial.words}")


def cells(trial: Trial) -> tuple[str, ...]:
    milliseconds = "–" if trial.milliseconds is None else f"{trial.milliseconds:.1f}"
    return trial.url, trial.transport, trial.stage, trial.address or "–", milliseconds


async def try_source(name: str, timeout: float) -> list[Trial]:
    """Raises TurnError if a provider gives no credentials."""
    servers: Sequence[IceServer]
    if name in SETTINGS:
        servers = getattr(settings, name)
    else:
        servers = (await provider_entry(name).credentials("check_turn")).ice_servers
    return await try_servers(servers, timeout)
