import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from rtcproject import settings
from turn.providers.base import Provider

ROOT = Path(__file__).resolve().parents[2]


def load_settings(var_dir: Path, show: str, **env: str) -> subprocess.CompletedProcess[str]:
    names = ("DJANGO_", "DATABASE_URL", "REDIS_URL", "CSRF_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return subprocess.run(
        [sys.executable, "-c", f"from rtcproject import settings; print({show})"],
        cwd=ROOT,
        env={**inherited, "VAR_DIR": str(var_dir), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_key_is_generated_once_for_development(tmp_path: Path) -> None:
    keys = {load_settings(tmp_path / "var", "settings.SECRET_KEY").stdout for _ in range(2)}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 50
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o077 == 0


def test_a_deployment_must_bring_its_key(tmp_path: Path) -> None:
    refused = load_settings(tmp_path, "1", DJANGO_DEBUG="0")
    assert "Set DJANGO_SECRET_KEY" in refused.stderr
    assert refused.returncode != 0


def test_a_deployment_has_secure_cookies(tmp_path: Path) -> None:
    env = {"DJANGO_DEBUG": "0", "DJANGO_SECRET_KEY": "k", "DJANGO_ALLOWED_HOSTS": "a.example, b.example"}
    show = "settings.DEBUG, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.ALLOWED_HOSTS"
    assert load_settings(tmp_path, show, **env).stdout.strip() == "False True True ['a.example', 'b.example']"


def test_sqlite_by_default_waits_for_its_turn() -> None:
    database = settings.database("")
    assert database["ENGINE"].endswith("sqlite3")
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert database["OPTIONS"]["timeout"] > 0


def test_postgresql_by_url() -> None:
    database = settings.database("postgres://me:p%40ss@db.example:5433/calls?sslmode=require")
    assert database == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "calls",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }


@pytest.mark.parametrize("url", ["mysql://me@db.example/calls", "postgres://db.example", "calls"])
def test_other_database_urls_are_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="must look like postgres://"):
        settings.database(url)


def test_channel_layer_by_environment() -> None:
    assert settings.channel_layer("")["BACKEND"].endswith("InMemoryChannelLayer")
    redis = settings.channel_layer("redis://127.0.0.1:6379/0")
    assert redis["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    assert redis["CONFIG"]["hosts"] == ["redis://127.0.0.1:6379/0"]


def test_turn_providers_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.turn_providers([]) == {}
    for name, value in {"TURN_URLS": "turn:a, turns:a", "TURN_SECRET": " s ", "TWILIO_ACCOUNT_SID": "AC0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    assert settings.turn_providers(["coturn", "twilio"]) == {
        "default": {
            "BACKEND": "turn.providers.coturn.Coturn",
            "OPTIONS": {"urls": ["turn:a", "turns:a"], "secret": "s"},
        },
        "twilio": {
            "BACKEND": "turn.providers.twilio.Twilio",
            "OPTIONS": {"account_sid": "AC0", "auth_token": ""},
        },
    }
    with pytest.raises(ImproperlyConfigured, match="may name coturn, cloudflare, huggingface, twilio; not smoke"):
        settings.turn_providers(["smoke"])


@pytest.mark.parametrize("name", settings.TURN_BACKENDS)
def test_every_named_turn_provider_takes_its_options(name: str) -> None:
    backend, variables = settings.TURN_BACKENDS[name]
    options = {key: ["turn:a"] if key == "urls" else "x" for key in variables}
    assert isinstance(import_string(backend)(**options), Provider)
