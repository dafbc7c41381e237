import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from streams.registry import Registry, register


def test_a_function_is_registered_as_it_is(handlers: Registry) -> None:
    def answer(audio: object) -> object:
        return audio

    register("answer-me", answer)

    registration = handlers.get("answer-me")
    assert registration is not None
    assert registration.handler is answer
    assert (registration.modality, registration.mode, registration.title) == ("audio", "send-receive", "Answer me")
    assert registration in handlers.all()


def test_names_are_unique(handlers: Registry) -> None:
    with pytest.raises(ImproperlyConfigured, match="Two stream handlers are registered as 'parrot'"):
        register("parrot", print)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"modality": "smell"}, "modality is 'smell' but must be one of audio, video, audio-video"),
        ({"mode": "shout"}, "mode is 'shout' but must be one of send-receive, send, receive"),
        ({"access": "friends"}, "access is 'friends'"),
        ({"concurrency_limit": 0}, "concurrency_limit must be greater than zero"),
        ({"time_limit": -1.0}, "time_limit must be greater than zero"),
        ({"options": {"voice": "low"}}, "options must be a django.forms.Form class"),
        ({"handler": AppConfig}, r"register an instance, AppConfig\(…\), not the class"),
        ({"handler": 3}, "3 is neither a handler nor a function"),
        ({"name": "no spaces"}, "letters, digits, hyphens and underscores"),
    ],
)
def test_a_mistake_is_named(handlers: Registry, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        register(**{"name": "new", "handler": print, **arguments})
    assert "new" not in handlers


def test_unknown_names_are_none(handlers: Registry) -> None:
    assert handlers.get("gone") is None


def test_a_failing_module_leaves_nothing_behind(
    handlers: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broken_app"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "stream_handlers.py").write_text(
        "from streams.registry import register\nregister('half-done', print)\nraise ValueError('broken')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    app = AppConfig.create("broken_app")
    monkeypatch.setattr(apps, "get_app_configs", lambda: [app])

    with pytest.raises(ValueError, match="broken"):
        autodiscover_modules("stream_handlers", register_to=handlers)

    assert "half-done" not in handlers
    assert "parrot" in handlers
    sys.modules.pop("broken_app")
