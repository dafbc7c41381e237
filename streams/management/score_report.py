"""What score_turns shows: the table on the terminal, and the HTML report."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.template.loader import render_to_string

from streams.media.audio import resample
from streams.media.audio_files import audio_to_bytes
from streams.media.recordings import UTTERANCE_GAP, Recording
from streams.media.scoring import Outcome, Pause, Question, Result, Score, Scored, Settings, Turns

COLUMNS_PER_SECOND = 100
"""Of the waveform's picture."""
AUDIO_RATE = 16000
LETTERS = "AB"
METRICS: dict[str, Callable[[Score], str]] = {
    "utterances": lambda score: str(len(score.outcomes)),
    "median": lambda score: milliseconds(score.latency(50)),
    "95th": lambda score: milliseconds(score.latency(95)),
    "cut-ins": lambda score: str(score.cut_ins),
    "missed": lambda score: str(score.missed),
    "lost onset": lambda score: str(score.onsets_lost),
    "false turns": lambda score: str(len(score.false_turns)),
}
DERIVED = f"labels derived: speech by Silero, utterances separated by {UTTERANCE_GAP:g} s of silence"


@dataclass(frozen=True)
class Named:
    """One of the settings that are compared, and what came of it."""

    name: str
    result: Result


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.0f} ms"


def knobs(settings: Settings) -> dict[str, str]:
    """Everything that turn taking goes by, as it is written after --set."""
    options = dataclasses.asdict(settings.algo_options)
    if hasattr(settings.model_options, "threshold"):
        options["threshold"] = settings.model_options.threshold
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in options.items()}


def worst_first(columns: Sequence[Named]) -> list[list[Scored]]:
    """Each recording under each of the settings; faults first, then slowness."""
    rows = [list(row) for row in zip(*(column.result.scored for column in columns), strict=True)]

    def badness(row: list[Scored]) -> tuple[int, float]:
        return sum(scored.score.faults for scored in row), max(scored.score.latency(100) or 0.0 for scored in row)

    return sorted(rows, key=badness, reverse=True)


# -- terminal -----------------------------------------------------------------------------------------------------


def as_text(columns: Sequence[Named]) -> str:
    rows = worst_first(columns)
    derived = any(row[0].recording.derived for row in rows)
    body = [[name_with_mark(row[0].recording), *_cells([scored.score for scored in row])] for row in rows]
    total = ["all", *_cells([column.result.total for column in columns])]
    lines = (
        [f"{letter}: {column.name}" for letter, column in zip(LETTERS, columns, strict=False)]
        if len(columns) > 1
        else []
    )
    lines += ["", *_aligned([["recording", *METRICS], *body, total]), "", pace(columns[0].result)]
    return "\n".join([*lines, *([f"* {DERIVED}"] if derived else [])])


def name_with_mark(recording: Recording) -> str:
    return f"{recording.name} *" if recording.derived else recording.name


def pace(result: Result) -> str:
    seconds = sum(scored.recording.seconds for scored in result.scored)
    return f"{seconds:.0f} s of sound in {result.took:.1f} s: {seconds / result.took:.0f} times real time."


def _cells(scores: Sequence[Score]) -> Iterator[str]:
    for metric in METRICS.values():
        values = [metric(score) for score in scores]
        yield values[0] if len(set(values)) == 1 else " → ".join(values)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


# -- HTML ---------------------------------------------------------------------------------------------------------


def as_html(columns: Sequence[Named], *, audio: bool = False) -> str:
    """One page that needs nothing else; with ``audio`` the recordings can be heard in it."""
    rows = worst_first(columns)
    context = {
        "columns": [{"letter": a, "name": c.name} for a, c in zip(LETTERS, columns, strict=False)],
        "metrics": [(name, [metric(c.result.total) for c in columns]) for name, metric in METRICS.items()],
        "knobs": _knob_rows(columns),
        "strip": _strip(rows, columns),
        "recordings": [_recording(n, row, columns, audio) for n, row in enumerate(rows, 1)],
        "pace": pace(columns[0].result),
        "derived": DERIVED if any(row[0].recording.derived for row in rows) else "",
        "faults": sum(scored.score.faults for row in rows for scored in row),
    }
    return render_to_string("streams/score_turns.html", context)


def _knob_rows(columns: Sequence[Named]) -> list[dict[str, Any]]:
    values = [knobs(column.result.settings) for column in columns]
    names = values[0]
    return [
        {"name": name, "values_shown": [v[name] for v in values], "differs": len({v[name] for v in values}) > 1}
        for name in names
    ]


def _strip(rows: list[list[Scored]], columns: Sequence[Named]) -> dict[str, Any]:
    """Every answer at its latency, a line of dots for each of the settings."""
    latencies = [latency for row in rows for scored in row for latency in scored.score.latencies]
    longest = math.ceil(max(latencies, default=1.0) / 0.25) * 0.25

    def percent(seconds: float) -> str:
        return f"{max(seconds, 0) / longest * 100:.2f}"

    def dots(number: int) -> Iterator[dict[str, str]]:
        for row_number, row in enumerate(rows, 1):
            for latency in row[number].score.latencies:
                title = f"{row[number].recording.name}: {milliseconds(latency)}"
                yield {"left": percent(latency), "title": title, "row": str(row_number)}

    def marks(total: Score) -> list[dict[str, str]]:
        found = [("median", total.latency(50)), ("95th", total.latency(95))]
        return [{"left": percent(at), "name": name, "text": milliseconds(at)} for name, at in found if at is not None]

    ticks = [step * 0.25 for step in range(round(longest / 0.25) + 1)]
    return {
        "ticks": [{"left": percent(tick), "text": f"{tick * 1e3:.0f}"} for tick in ticks],
        "lines": [
            {"letter": letter, "dots": list(dots(number)), "marks": marks(column.result.total)}
            for number, (letter, column) in enumerate(zip(LETTERS, columns, strict=False))
        ],
    }


def _recording(number: int, row: list[Scored], columns: Sequence[Named], audio: bool) -> dict[str, Any]:
    recording, turns = row[0].recording, row[0].turns
    last = max((pause.decided for scored in row for pause in scored.turns.pauses), default=0.0)
    seconds = math.ceil(max(recording.seconds, last + 1.0))
    thresholds = {knobs(column.result.settings).get("threshold", "0.5"): None for column in columns}
    lanes = [_lane(letter, scored) for letter, scored in zip(LETTERS, row, strict=False)]
    return {
        "number": number,
        "name": recording.name,
        "derived": recording.derived,
        "seconds": str(seconds),
        "ticks": range(seconds),
        "waveform": waveform(recording),
        "waveform_width": str(seconds * COLUMNS_PER_SECOND),
        "probability": probability_curve(turns, seconds),
        "thresholds": [f"{100 - float(threshold) * 100:.1f}" for threshold in thresholds],
        "thresholds_in_words": " and ".join(thresholds),
        "bands": [
            {"at": _s(u.begin), "for": _s(u.end - u.begin), "text": u.text, "title": f"{_s(u.begin)}–{_s(u.end)} s"}
            for u in recording.utterances
        ],
        "lanes": lanes,
        "utterances": _utterance_rows(row),
        "audio": _data_uri(recording) if audio else "",
    }


def _lane(letter: str, scored: Scored) -> dict[str, Any]:
    score = scored.score
    markers = [marker for outcome in score.outcomes for marker in _markers(outcome)]
    markers += [_marker("false", pause, pause.speech_ended, "false turn") for pause in score.false_turns]
    return {
        "letter": letter,
        "summary": ", ".join(_in_words(score)),
        "faulty": score.faults > 0,
        "markers": markers,
        "questions": [_question(question) for question in scored.turns.questions],
    }


def _in_words(score: Score) -> Iterator[str]:
    for count, one, many in (
        (score.cut_ins, "cut-in", "cut-ins"),
        (score.missed, "missed", "missed"),
        (score.onsets_lost, "lost onset", "lost onsets"),
        (len(score.false_turns), "false turn", "false turns"),
    ):
        if count:
            yield f"{count} {one if count == 1 else many}"
    if (slowest := score.latency(100)) is not None:
        yield f"{'answered after' if len(score.latencies) == 1 else 'slowest answer after'} {milliseconds(slowest)}"


def _markers(outcome: Outcome) -> Iterator[dict[str, str]]:
    utterance = outcome.utterance
    if outcome.onset_lost:
        yield {"kind": "lost", "at": _s(utterance.begin), "for": "0", "text": "onset lost", "more": "", "title": ""}
    for pause in outcome.cut_ins:
        yield _marker("cut", pause, pause.speech_ended, "cut-in")
    if outcome.answer is None:
        yield {"kind": "missed", "at": _s(utterance.end), "for": "0", "text": "missed", "more": "", "title": ""}
    else:
        yield _marker("answer", outcome.answer, utterance.end, milliseconds(outcome.latency))


def _marker(kind: str, pause: Pause, since: float, text: str) -> dict[str, str]:
    complete = "" if pause.completeness is None else f"{pause.completeness:.2f} · "
    return {
        "kind": kind,
        "at": _s(since),
        "for": _s(pause.decided - since),
        "text": text,
        "more": f"{complete}{pause.waited:.2f} s",
        "title": f"Decided at {_s(pause.decided)} s: {_because(pause)}.",
    }


def _question(question: Question) -> dict[str, str]:
    asked, complete, wait = _s(question.asked), f"{question.completeness:.2f}", f"{question.wait:.2f} s"
    return {
        "at": asked,
        "completeness": f"{question.completeness:.3f}",
        "title": f"Asked at {asked} s: {complete} complete; the wait is then {wait}.",
        "brief": f"at {asked} s {complete}, {wait}",
    }


def _utterance_rows(row: list[Scored]) -> list[dict[str, Any]]:
    return [
        {
            "utterance": outcomes[0].utterance,
            "begin": _s(outcomes[0].utterance.begin),
            "end": _s(outcomes[0].utterance.end),
            "outcomes": [_outcome_in_words(outcome) for outcome in outcomes],
        }
        for outcomes in zip(*(scored.score.outcomes for scored in row), strict=True)
    ]


def _outcome_in_words(outcome: Outcome) -> str:
    parts = [f"cut in at {_s(pause.decided)} s ({_because(pause)})" for pause in outcome.cut_ins]
    parts += ["onset lost"] if outcome.onset_lost else []
    if outcome.answer is None:
        return "; ".join([*parts, "missed"])
    return "; ".join([*parts, f"answered after {milliseconds(outcome.latency)} ({_because(outcome.answer)})"])


def _because(pause: Pause) -> str:
    complete = "by silence alone" if pause.completeness is None else f"{pause.completeness:.2f} complete"
    return f"{complete}, waited {pause.waited:.2f} s"


def waveform(recording: Recording) -> str:
    """An SVG path: the outline, in columns of 10 ms and from -100 to 100, as loud as the recording's loudest."""
    step = recording.rate / COLUMNS_PER_SECOND
    edges = (np.arange(int(recording.samples.size / step) + 1) * step).astype(int)
    if edges.size < 2:
        return ""
    samples = recording.samples[: edges[-1]].astype(np.float64)
    scale = 95 / max(np.abs(samples).max(), 1.0)
    high = np.maximum.reduceat(samples, edges[:-1]) * scale
    low = np.minimum.reduceat(samples, edges[:-1]) * scale
    top = [f"{x} {-y:.0f}" for x, y in enumerate(high)]
    bottom = [f"{x} {1 - y:.0f}" for x, y in reversed(list(enumerate(low)))]  # 1: silence is a line, too
    return "M" + "L".join([*top, *bottom]) + "Z"


def probability_curve(turns: Turns, seconds: float) -> str:
    """An SVG path in steps, each as wide as its hop: x in hundredths of a second, y from 100 (none) to 0 (sure)."""
    return "M0 100" + "".join(
        f"V{100 - hop.probability * 100:.0f}H{hop.at * 100:.0f}" for hop in turns.hops if hop.at <= seconds
    )


def _data_uri(recording: Recording) -> str:
    samples = resample(recording.samples, recording.rate, AUDIO_RATE)
    return "data:audio/mpeg;base64," + base64.b64encode(audio_to_bytes((AUDIO_RATE, samples))).decode()


def _s(seconds: float) -> str:
    return f"{seconds:.3f}"
