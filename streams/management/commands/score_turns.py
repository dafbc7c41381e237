from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from streams.management.score_report import Named, as_html, as_text
from streams.media import ReplyOnPause, weights
from streams.media.recordings import Recording, UnreadableRecording, find_recordings, read_recording
from streams.media.scoring import Scorer, Settings
from streams.media.smart_turn import EndOfUtteranceModel, get_smart_turn
from streams.media.vad import get_silero_model
from streams.models import Stream
from streams.turn_taking import TurnTakingForm, usable

NOT_HEARD = ("can_interrupt", "interruption_threshold", "min_speech", "min_words", "rejoin")
"""Settings about speaking over a reply; in a recording nobody replies."""


class Command(BaseCommand):
    help = (
        "Scores turn taking on recordings: how late utterances are answered, and how many are cut into, missed or "
        "clipped. DIR has WAV files, and beside them Audacity label tracks (NAME.txt: start, end and text, with tabs "
        "between) that say where each utterance is; without one, silence tells."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIR")
        parser.add_argument("--stream", metavar="SLUG", help="take this stream's settings (default: the library's)")
        pairs = "KEY=VALUE[,KEY=VALUE]…"
        parser.add_argument("--set", metavar=pairs, help="change settings, named as in the code")
        parser.add_argument("--compare", metavar=pairs, help="change more for a second run, shown beside the first")
        parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with everything drawn")
        parser.add_argument("--audio", action="store_true", help="put the sound into the report, too")

    def handle(self, *args: Any, **options: Any) -> None:
        name, handler = options["stream"] or "defaults", prototype_of(options["stream"])
        if options["set"]:
            name, handler = f"{name}, {options['set']}", changed(handler, options["set"])
        runs = {name: handler}
        if options["compare"]:
            runs[f"{name}, {options['compare']}"] = changed(handler, options["compare"])
        settings = {name: Settings(run.algo_options, run.model_options) for name, run in runs.items()}
        recordings = self.recordings(options["directory"])
        scorer = Scorer(recordings, handler.model, self.judge(handler, list(settings.values())))
        columns = [Named(name, scorer.score(each)) for name, each in settings.items()]
        self.stdout.write(as_text(columns))
        if options["html"]:
            self.write_html(options["html"], as_html(columns, audio=options["audio"]))

    def recordings(self, directory: Path) -> list[Recording]:
        if not directory.is_dir():
            raise CommandError(f"There is no directory {directory}.")
        paths = find_recordings(directory)
        if not paths:
            raise CommandError(f"There are no WAV files in {directory}.")
        try:
            silero = get_silero_model()
        except weights.WeightsMissing as missing:
            raise CommandError(str(missing)) from missing
        recordings = []
        for path in paths:
            try:
                recordings.append(read_recording(path, str(path.relative_to(directory).with_suffix("")), silero))
            except UnreadableRecording as error:
                self.stderr.write(f"Left out: {error}")
        if not recordings:
            raise CommandError(f"None of the WAV files in {directory} can be used.")
        return recordings

    def judge(self, handler: ReplyOnPause, runs: list[Settings]) -> EndOfUtteranceModel | None:
        """What tells whether an utterance is complete, if one of the runs asks; None where it is not there."""
        if handler.end_of_utterance or not any(run.algo_options.wants_semantic for run in runs):
            return handler.end_of_utterance
        try:
            return get_smart_turn()
        except weights.WeightsMissing as missing:
            if any(run.algo_options.end_of_utterance == "semantic" for run in runs):
                raise CommandError(str(missing)) from missing
            self.stderr.write(f"Silence alone decides. {missing}")
            return None

    def write_html(self, file: Path, page: str) -> None:
        try:
            file.write_text(page, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"The report cannot be written to {file}: {error.strerror}.") from error
        self.stdout.write(f"Report: {file}")


def prototype_of(slug: str | None) -> ReplyOnPause:
    """The handler of a stream as its sessions get it. Raises CommandError where there is none that takes turns."""
    if slug is None:
        return ReplyOnPause(lambda audio: None)
    try:
        stream = Stream.objects.filter(slug=slug).first()
    except DatabaseError as error:
        raise CommandError(f"The streams cannot be read: {error}. Run: manage.py migrate") from error
    if stream is None:
        known = ", ".join(Stream.objects.order_by("slug").values_list("slug", flat=True))
        raise CommandError(f"There is no stream {slug!r}. There are: {known or 'none; run manage.py migrate'}.")
    if stream.registration is None:
        raise CommandError(f"The handler of {slug!r}, {stream.handler!r}, is gone from the code.")
    handler = stream.registration.prototype
    if not isinstance(handler, ReplyOnPause):
        raise CommandError(f"The stream {slug!r} takes no turns: its handler is no ReplyOnPause.")
    return handler.with_turn_taking(usable(stream.turn_taking, handler))


def changed(handler: ReplyOnPause, pairs: str) -> ReplyOnPause:
    """The handler with KEY=VALUE[,KEY=VALUE]… Raises CommandError, with the words that the admin has for it."""
    values = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in pairs.split(","))}
    form = TurnTakingForm(handler, values)
    known = [name for name in form.fields if name not in NOT_HEARD]
    for key, value in values.items():
        if key not in known:
            raise CommandError(f"There is no setting {key!r} to score. There are: {', '.join(known)}.")
        if not value:
            raise CommandError(f"{key} needs a value: {key}=…")
    for key, problems in form.errors.items():
        raise CommandError(f"{key}: {problems[0]}")
    return handler.with_turn_taking(form.values())
