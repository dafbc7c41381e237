"""Engines as choices in the admin: those there are, of other packages too, and what each of them still needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from streams.fields import RecogniserField, VoiceDetectorField, VoiceField
from streams.media import ReplyOnPause, weights
from streams.media.speech.engines import load_engine
from streams.models import Stream
from streams.registry import Registry
from streams.turn_taking import usable
from tests.plugins import engines_of_their_own, plugin

LOUD = """
class Loud:
    def vad(self, audio, options):
        return 0.0, []

    def warmup(self):
        pass
"""


class Options(forms.Form):
    ear = RecogniserField(initial="moonshine/tiny", help_text="What listens.")
    voice = VoiceField(initial="pico")
    detector = VoiceDetectorField(required=False)


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where packages are installed, and no weights are."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(weights, "_directory", tmp_path)
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    with engines_of_their_own():
        yield tmp_path


def problems(**values: str) -> dict[str, list[str]]:
    errors = Options({"ear": "moonshine/tiny", "voice": "pico", **values}).errors
    return {name: [str(problem) for problem in found] for name, found in errors.items()}


def choices(field: str) -> dict[str, str]:
    return dict(Options().fields[field].choices)  # type: ignore[attr-defined]


def test_engines_of_other_packages_are_offered(site: Path) -> None:
    plugin(site, "two_engines", "[streams.tts]\nloud = two_engines:Loud\n[streams.stt]\near = two_engines:Loud\n", LOUD)
    assert choices("voice")["loud"] == "loud"
    assert choices("ear")["ear"] == "ear"
    assert problems(voice="loud", ear="ear") == {}


def test_what_an_engine_still_needs_is_told_and_it_is_refused(site: Path) -> None:
    assert choices("ear")["moonshine/base"] == "moonshine/base (not available)"
    told = str(Options()["ear"].help_text)
    assert told.startswith("What listens. <br>Not available: <b>moonshine/base</b>: The weights of ")
    assert "Run: manage.py fetch_models moonshine-base-encoder moonshine-base-decoder moonshine-tokenizer" in told
    (sentence,) = problems(ear="moonshine/base")["ear"]
    assert "Run: manage.py fetch_models moonshine-base-encoder" in sentence
    assert "Set CARTESIA_API_KEY" in problems(voice="cartesia")["voice"][0]


def test_the_default_is_accepted_before_its_weights_have_come() -> None:
    assert choices("ear")["moonshine/tiny"] == "moonshine/tiny (not available)"
    assert problems() == {}


def test_the_words_of_a_broken_package_are_no_html(site: Path) -> None:
    plugin(site, "wreck", "[streams.tts]\nwreck = wreck:It\n", "raise OSError('<script>alert(1)</script>')")
    assert "OSError: &lt;script&gt;alert(1)&lt;/script&gt;" in str(Options()["voice"].help_text)
    assert "wreck" in problems(voice="wreck")["voice"][0]


def test_a_name_that_is_no_engine_is_refused() -> None:
    assert "not one of the available choices" in problems(voice="os.system")["voice"][0]


@pytest.fixture
def admin(db: None, handlers: Registry, client: Client) -> Client:
    Stream.objects.all().delete()
    handlers.register("talker", ReplyOnPause(lambda audio: audio), options=Options)
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


def saved(admin: Client, stream: Stream, **given: str) -> Any:
    fields = {"slug": "s", "title": "S", "handler": "talker", "enabled": "on", "access": "public", "time_limit": ""}
    options = {"option-ear": "moonshine/tiny", "option-voice": "pico", "concurrency_limit": "10", "description": ""}
    return admin.post(reverse("admin:streams_stream_change", args=[stream.pk]), {**fields, **options, **given})


def test_a_packages_engines_are_chosen_in_the_admin(admin: Client, site: Path) -> None:
    entries = "[streams.tts]\nloud = loud_package:Loud\n[streams.vad]\nears = loud_package:Loud\n"
    plugin(site, "loud_package", entries, LOUD)
    stream = Stream.objects.create(slug="s", title="S", handler="talker")
    page = admin.get(reverse("admin:streams_stream_change", args=[stream.pk])).content.decode()
    assert '<option value="loud">loud</option>' in page
    assert '<option value="ears">ears</option>' in page
    assert "As in the code (silero)" in page
    assert saved(admin, stream, **{"option-voice": "loud", "turn-voice_detector": "ears"}).status_code == 302
    stream.refresh_from_db()
    assert stream.options_for_handler()["voice"] == "loud"
    assert stream.turn_taking == {"voice_detector": "ears"}
    changed = ReplyOnPause(lambda audio: audio).with_turn_taking(stream.turn_taking)
    assert changed._load_detector() is load_engine("vad", "ears")


def test_a_beginning_session_imports_nothing_in_the_event_loop(site: Path) -> None:
    plugin(site, "slow_ears", "[streams.vad]\nslow = slow_ears:Slow\n", "raise SystemExit('it was imported')")
    handler = ReplyOnPause(lambda audio: audio)
    assert usable({"voice_detector": "slow"}, handler) == {"voice_detector": "slow"}
    assert usable({"voice_detector": "gone"}, handler) == {}


def test_an_engine_that_is_gone_is_shown_and_not_replaced_silently(admin: Client) -> None:
    stored = {"options": {"voice": "loud"}, "turn_taking": {"voice_detector": "ears"}}
    stream = Stream.objects.create(slug="s", title="S", handler="talker", **stored)
    page = admin.get(reverse("admin:streams_stream_change", args=[stream.pk])).content.decode()
    assert '<option value="loud" selected>loud (not there any more)</option>' in page
    assert '<option value="ears" selected>ears (not there any more)</option>' in page
    refused = saved(admin, stream, **{"option-voice": "loud", "turn-voice_detector": "ears"})
    assert set(refused.context["adminform"].form.errors) == {"option-voice", "turn-voice_detector"}
