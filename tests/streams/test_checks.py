from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from streams.media import ReplyOnPause, weights
from streams.models import Stream
from streams.registry import Registry


def found(check_id: str, **kwargs: Any) -> list[CheckMessage]:
    return [message for message in run_checks(**kwargs) if message.id == check_id]


def test_missing_weights_are_reported_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", tmp_path)
    (message,) = found("streams.W001")
    assert "silero-vad" in message.msg
    assert "moonshine-tiny-encoder" in message.msg
    assert "moonshine-base" not in message.msg, "no shipped stream needs it"
    assert "manage.py fetch_models" in str(message.hint)


def test_fetched_weights_are_not_reported(fetched_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", fetched_weights)
    assert not found("streams.W001")


@pytest.mark.django_db
def test_rows_without_a_handler_are_reported_when_the_database_is_asked(handlers: Registry) -> None:
    stream = Stream.objects.create(slug="s", title="Old", handler="gone")
    messages = found("streams.W002", databases=["default"])
    assert stream in [message.obj for message in messages]
    assert not found("streams.W002")


def test_the_in_memory_channel_layer_is_reported_for_deployment_only(settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    assert not found("streams.W003")
    assert found("streams.W003", include_deployment_checks=True)
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}
    assert not found("streams.W003", include_deployment_checks=True)


@pytest.mark.django_db
def test_rows_with_a_turn_provider_that_is_gone_are_reported(handlers: Registry, settings: Settings) -> None:
    coturn = {"BACKEND": "turn.providers.coturn.Coturn", "OPTIONS": {"urls": "turn:a", "secret": "s"}}
    settings.TURN_PROVIDERS = {"office": coturn}
    for slug, provider in (("a", ""), ("b", "office"), ("c", "gone")):
        Stream.objects.create(slug=slug, title=slug, handler="parrot", turn_provider=provider)
    (message,) = found("streams.W005", databases=["default"])
    assert (message.obj.slug, "“gone”" in message.msg) == ("c", True)


@pytest.mark.parametrize(
    ("given", "check_id", "sentence"),
    [
        ({"iceServers": [{"urls": "turn:a"}]}, "streams.E003", 'a TURN server needs "username"'),
        ({"iceServers": [{"urls": "stun:a"}], "iceTransportPolicy": "relay"}, "streams.E003", "has no TURN server"),
        ({"iceServers": [{"urls": "turn:a", "username": "1000000000:me", "credential": "c"}]}, "turn.W003", "expired"),
    ],
)
@pytest.mark.parametrize("field", ["rtc_configuration", "server_rtc_configuration"])
def test_configurations_in_code_that_cannot_work_are_reported(
    handlers: Registry, field: str, given: dict[str, Any], check_id: str, sentence: str
) -> None:
    handlers.register("own", ReplyOnPause(print), **{field: given})
    handlers.register("asked", ReplyOnPause(print), **{field: dict})
    (message,) = found(check_id)
    assert f"'own': {field}" in message.msg
    assert sentence in message.msg
