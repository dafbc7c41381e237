import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules

from streams.media import AudioGenerator, ReplyOnPause, VideoStreamHandler
from streams.registry import Registry, register


def test_a_handler_is_registered_as_it_is(handlers: Registry) -> None:
    answer = ReplyOnPause(print)
    register("answer-me", answer)

    registration = handlers.get("answer-me")
    assert registration is not None
    assert registration.handler is answer
    assert (registration.modality, registration.mode, registration.title) == ("audio", "send-receive", "Answer me")
    assert registration in handlers.all()


@pytest.mark.parametrize(
    ("handler", "modality", "mode", "prototype"),
    [
        (print, "video", "send-receive", VideoStreamHandler),
        (print, "video", "receive", VideoStreamHandler),
        (print, "audio", "receive", AudioGenerator),
        (ReplyOnPause(print), "audio", "send", ReplyOnPause),
        (VideoStreamHandler(print, fps=3), "video", "send", VideoStreamHandler),
    ],
)
def test_what_sessions_run(handlers: Registry, handler: Any, modality: str, mode: str, prototype: type) -> None:
    register("new", handler, modality=modality, mode=mode)
    registration = handlers.get("new")
    assert registration is not None
    assert type(registration.prototype) is prototype


def test_names_are_unique(handlers: Registry) -> None:
    with pytest.raises(ImproperlyConfigured, match="Two stream handlers are registered as 'parrot'"):
        register("parrot", print)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"modality": "smell"}, "modality is 'smell' but must be one of audio, video, audio-video"),
        ({"mode": "shout"}, "mode is 'shout' but must be one of send-receive, send, receive"),
        ({"access": "friends"}, "access is 'friends'"),
        ({"handler": print}, r"Modality 'audio' in mode 'send-receive' needs ReplyOnPause"),
        ({"handler": print, "modality": "audio-video"}, "needs AudioVideoStreamHandler"),
        ({"modality": "video"}, "ReplyOnPause is no handler for video"),
        ({"handler": AudioGenerator(print)}, 'register it with mode="receive"'),
        ({"outputs": "smell"}, "an output is 'smell' but must be one of text"),
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
        register(**{"name": "new", "handler": ReplyOnPause(print), **arguments})
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
        "from streams.registry import register\nregister('half', print, modality='video')\nraise ValueError('broken')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    app = AppConfig.create("broken_app")
    monkeypatch.setattr(apps, "get_app_configs", lambda: [app])

    with pytest.raises(ValueError, match="broken"):
        autodiscover_modules("stream_handlers", register_to=handlers)

    assert "half" not in handlers
    assert "parrot" in handlers
    sys.modules.pop("broken_app")
