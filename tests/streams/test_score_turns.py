"""score_turns on a real voice, with the real Silero and Smart Turn."""

import re
import wave
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from streams.media import ReplyOnPause, weights
from streams.media.pauses import AlgoOptions
from streams.media.smart_turn import get_smart_turn
from streams.media.vad import get_silero_model
from streams.models import Stream
from streams.registry import Registry
from tests import speech

SILENCE = "end_of_utterance=silence"


@pytest.fixture(autouse=True)
def _models() -> None:
    for name in ("silero-vad", "smart-turn"):
        weights.fetch(name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two recordings: one labelled, one not."""
    directory = tmp_path / "recordings"
    directory.mkdir()
    write(directory / "labelled.wav", speech.silence(0.5), speech.sentence(3)[1], speech.silence(1))
    (directory / "labelled.txt").write_text("0.5\t2.2\tWords & <words>\n")
    write(directory / "plain.wav", speech.silence(0.5), speech.sentence(1)[1], speech.silence(1))
    return directory


def write(path: Path, *parts: speech.Samples) -> None:
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(speech.RATE)
        wav.writeframes(np.concatenate(parts).tobytes())


def run(*arguments: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("score_turns", *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def row(out: str, name: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith(name)]
    return re.split(r" {2,}", line)


def test_the_table_has_a_line_for_each_recording_and_one_for_all(directory: Path) -> None:
    out, _ = run(directory)
    headings = row(out, "recording")
    assert headings == ["recording", "utterances", "median", "95th", "cut-ins", "missed", "lost onset", "false turns"]
    assert row(out, "labelled")[1] == "1"
    assert dict(zip(headings, row(out, "all"), strict=True))["missed"] == "0"
    assert "times real time" in out


def test_derived_labels_are_said_to_be(directory: Path) -> None:
    out, _ = run(directory, "--set", SILENCE)
    assert row(out, "plain")[0] == "plain *"
    assert "* labels derived: speech by Silero, utterances separated by 1.5 s" in out
    assert row(out, "labelled")[0] == "labelled"


def test_two_settings_side_by_side(directory: Path) -> None:
    out, _ = run(directory, "--set", SILENCE, "--compare", "audio_chunk_duration=1.1")
    assert f"A: defaults, {SILENCE}" in out
    assert f"B: defaults, {SILENCE}, audio_chunk_duration=1.1" in out
    before, after = (int(text.removesuffix(" ms")) for text in row(out, "labelled")[2].split(" → "))
    assert after - before == pytest.approx(500, abs=70)


def test_a_broken_recording_is_named_and_the_others_are_scored(directory: Path) -> None:
    (directory / "broken.wav").write_bytes(b"no sound")
    out, err = run(directory, "--set", SILENCE)
    assert err.startswith("Left out: broken.wav cannot be read")
    assert row(out, "labelled")


@pytest.fixture
def no_smart_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get_silero_model()  # is loaded, and stays so
    get_smart_turn.cache_clear()
    monkeypatch.setattr(weights, "_directory", tmp_path)


@pytest.mark.usefixtures("no_smart_turn")
def test_without_smart_turn_silence_decides_and_says_so(directory: Path) -> None:
    out, err = run(directory)
    assert "Silence alone decides. The weights of smart-turn" in err
    assert row(out, "labelled")


@pytest.mark.django_db
@pytest.mark.usefixtures("no_smart_turn")
def test_a_handler_that_insists_on_smart_turn_is_not_scored_without(directory: Path, handlers: Registry) -> None:
    semantic = AlgoOptions(end_of_utterance="semantic")
    handlers.register("insists", ReplyOnPause(lambda audio: audio, algo_options=semantic))
    Stream.objects.create(slug="insists", handler="insists")
    with pytest.raises(CommandError, match="fetch_models smart-turn"):
        run(directory, "--stream", "insists")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--set", "patience=1"], "There is no setting 'patience' to score. There are: end_of_utterance"),
        (["--set", "min_words=2"], "There is no setting 'min_words'"),  # nobody speaks over anything here
        (["--set", "longest_wait=long"], "longest_wait: Enter a number"),
        (["--set", "threshold"], "threshold needs a value"),
        (["--compare", "shortest_wait=2"], "must not be longer than the longest wait"),
        (["--set", SILENCE, "--html", "/nowhere/report.html"], "cannot be written to /nowhere/report.html"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], problem: str, directory: Path) -> None:
    with pytest.raises(CommandError, match=re.escape(problem)):
        run(directory, *arguments)


def test_a_directory_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There are no WAV files"):
        run(tmp_path)
    with pytest.raises(CommandError, match="There is no directory"):
        run(tmp_path / "nowhere")
    (tmp_path / "broken.wav").touch()
    with pytest.raises(CommandError, match="None of the WAV files"):
        run(tmp_path)


# -- of a stream --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_stream_is_scored_with_its_own_settings(directory: Path, handlers: Registry) -> None:
    Stream.objects.create(slug="as-in-code", handler="parrot", turn_taking={"end_of_utterance": "silence"})
    patient = {"end_of_utterance": "silence", "audio_chunk_duration": 1.1}
    Stream.objects.create(slug="patient", handler="parrot", turn_taking=patient)
    quick, slow = (row(run(directory, "--stream", slug)[0], "labelled")[2] for slug in ("as-in-code", "patient"))
    assert int(slow.removesuffix(" ms")) - int(quick.removesuffix(" ms")) == pytest.approx(500, abs=70)


class Eager:
    """A model that takes everything for complete."""

    def completeness(self, samples: speech.Samples, rate: int) -> float:
        return 1.0


@pytest.mark.django_db
def test_a_handlers_own_models_are_asked(directory: Path, handlers: Registry) -> None:
    handlers.register("eager", ReplyOnPause(lambda audio: audio, end_of_utterance=Eager()))
    Stream.objects.create(slug="eager", handler="eager")
    out, _ = run(directory, "--stream", "eager", "--compare", SILENCE)
    eager, silent = (int(text.removesuffix(" ms")) for text in row(out, "labelled")[2].split(" → "))
    assert eager < silent


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("nobody", "There is no stream 'nobody'. There are: "),
        ("picture", "The stream 'picture' takes no turns"),
        ("gone", "The handler of 'gone', 'removed', is gone from the code"),
    ],
)
def test_a_stream_that_cannot_be_scored(slug: str, problem: str, directory: Path, handlers: Registry) -> None:
    handlers.register("flip", lambda picture: picture, modality="video")
    Stream.objects.create(slug="picture", handler="flip")
    Stream.objects.create(slug="gone", handler="removed")
    with pytest.raises(CommandError, match=re.escape(problem)):
        run(directory, "--stream", slug)


# -- the report ---------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tags of a page, and whether all that were opened are closed."""

    EMPTY = {"meta", "br"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]


def report(directory: Path, *arguments: str) -> str:
    out, _ = run(directory, "--set", SILENCE, "--html", directory / "report.html", *arguments)
    assert f"Report: {directory / 'report.html'}" in out
    return (directory / "report.html").read_text(encoding="utf-8")


def test_the_report_is_one_page_that_needs_no_other(directory: Path) -> None:
    text = report(directory)
    page = Page(text)
    assert page.open == []
    assert not [attributes for _, attributes in page.tags if {"src", "srcset"} & attributes.keys()]
    assert not re.search(r"https?://|url\(|@import", text)
    assert "Words &amp; &lt;words&gt;" in text


def test_the_report_draws_labels_and_decisions_where_they_are(directory: Path) -> None:
    page = Page(report(directory, "--compare", "audio_chunk_duration=1.1"))
    bands = [band["style"] for band in page.of_class("band")]
    assert "--at:0.500;--for:1.700;--all:100%" in bands
    answers = [answer["style"] or "" for answer in page.of_class("answer")]
    assert len(answers) == 4  # two recordings under two settings
    assert len([style for style in answers if style.startswith("--at:2.200;")]) == 2


def test_a_sentence_broken_in_two_is_drawn_as_cut_into(directory: Path) -> None:
    write(directory / "plain.wav", speech.sentence(3)[1], speech.silence(1), speech.sentence(4)[1])
    (directory / "plain.txt").write_text("0\t4.1\n")
    text = report(directory)
    assert len(Page(text).of_class("cut")) == 1
    assert text.index('id="name-1">plain') < text.index('id="name-2">labelled')  # the worst first


def test_the_sound_is_in_the_report_when_asked_for(directory: Path) -> None:
    players = [attributes for tag, attributes in Page(report(directory, "--audio")).tags if tag == "audio"]
    assert {player["aria-label"] for player in players} == {"plain", "labelled"}
    assert all((player["src"] or "").startswith("data:audio/mpeg;base64,") for player in players)
