"""Settings of the site. Everything a deployment changes comes from the environment; see the README."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True)


def env_bool(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return value in {"1", "true", "yes", "on"} if value else default


def env_list(name: str) -> list[str]:
    return [item.strip() for item in os.environ.get(name, "").split(",") if item.strip()]


def secret_key(debug: bool) -> str:
    if key := os.environ.get("DJANGO_SECRET_KEY"):
        return key
    if not debug:
        raise ImproperlyConfigured("Set DJANGO_SECRET_KEY to a long random string: it is required when DJANGO_DEBUG=0.")
    path = VAR_DIR / "secret_key"
    # Created exclusively: of several processes starting at once, one writes the key and all read it.
    if not path.exists():
        draft = path.with_name(f"secret_key.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


def database(url: str) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": VAR_DIR / "db.sqlite3",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgres://user:password@host:5432/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def channel_layer(redis_url: str) -> dict[str, Any]:
    if not redis_url:
        return {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    return {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [redis_url]}}


TURN_BACKENDS = {  # by the names that TURN_PROVIDER takes, with their options and the variables that hold them
    "coturn": ("turn.providers.coturn.Coturn", {"urls": "TURN_URLS", "secret": "TURN_SECRET"}),
    "cloudflare": (
        "turn.providers.cloudflare.Cloudflare",
        {"key_id": "CLOUDFLARE_TURN_KEY_ID", "token": "CLOUDFLARE_TURN_KEY_API_TOKEN"},
    ),
    "huggingface": ("turn.providers.huggingface.HuggingFace", {"token": "HF_TOKEN"}),
    "twilio": (
        "turn.providers.twilio.Twilio",
        {"account_sid": "TWILIO_ACCOUNT_SID", "auth_token": "TWILIO_AUTH_TOKEN"},
    ),
}


def turn_providers(names: list[str]) -> dict[str, dict[str, Any]]:
    """Where TURN credentials come from; the first of ``names`` is the default one."""
    if unknown := set(names) - set(TURN_BACKENDS):
        known = ", ".join(TURN_BACKENDS)
        raise ImproperlyConfigured(f"TURN_PROVIDER may name {known}; not {', '.join(sorted(unknown))}.")
    providers: dict[str, dict[str, Any]] = {}
    for name in names:
        backend, variables = TURN_BACKENDS[name]
        options = {
            key: env_list(variable) if key == "urls" else os.environ.get(variable, "").strip()
            for key, variable in variables.items()
        }
        providers[name if providers else "default"] = {"BACKEND": backend, "OPTIONS": options}
    return providers


def port_range(name: str) -> tuple[int, int] | None:
    """ "50000-50100"; empty: any."""
    value = os.environ.get(name, "").strip()
    first, _, last = value.partition("-")
    if value and not (first.isdecimal() and last.isdecimal()):
        raise ImproperlyConfigured(f"{name} must be the first and the last port, such as 50000-50100.")
    return (int(first), int(last)) if value else None


DEBUG = env_bool("DJANGO_DEBUG", True)
SECRET_KEY = secret_key(DEBUG)
ALLOWED_HOSTS = env_list("DJANGO_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

if not DEBUG:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 3600

INSTALLED_APPS = [
    "daphne",  # first: it makes runserver serve the ASGI application
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "ninja",  # serves /api/docs without a CDN
    "turn",
    "streams",
    "telephony",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "rtcproject.urls"
ASGI_APPLICATION = "rtcproject.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": channel_layer(os.environ.get("REDIS_URL", ""))}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

STREAMS_MODELS_DIR = Path(os.environ.get("STREAMS_MODELS_DIR") or VAR_DIR / "models")
STREAMS_MAX_SESSIONS = 100  # live sessions in one worker
STREAMS_CONNECT_TIMEOUT = 30.0  # seconds from the offer until media must flow
STREAMS_MEDIA_TIMEOUT = 10.0  # seconds without a packet after which a client counts as gone
STREAMS_GATHERING_TIMEOUT = 0.3  # seconds an answer waits for this server's own STUN and TURN servers
STREAMS_UDP_PORTS = port_range("STREAMS_UDP_PORTS")  # first and last one for media; None: any
STREAMS_PUBLIC_ADDRESSES = env_list("STREAMS_PUBLIC_ADDRESSES")  # announced instead of the interfaces' own (1:1 NAT)
STREAMS_BIND_ADDRESSES = env_list("STREAMS_BIND_ADDRESSES")  # of the interfaces for media; empty: all but loopback
STREAMS_RECORD_DAYS = 90  # age at which manage.py prune_sessions deletes the records of sessions
STREAMS_ICE_SERVERS: list[dict[str, Any]] = []  # for clients: {"urls": …, "username": …, "credential": …}
STREAMS_SERVER_ICE_SERVERS: list[dict[str, Any]] = []  # for this server's own end of a connection
TURN_PROVIDERS = turn_providers(env_list("TURN_PROVIDER"))
TURN_SERVER_PROVIDER = os.environ.get("TURN_SERVER_PROVIDER", "")  # for this server's own end; empty: none

TELEPHONY_PUBLIC_URL = os.environ.get("TELEPHONY_PUBLIC_URL", "")  # what the provider calls, when behind a proxy
TWILIO_ACCOUNT_SID = os.environ.get("TWILIO_ACCOUNT_SID", "")
TWILIO_AUTH_TOKEN = os.environ.get("TWILIO_AUTH_TOKEN", "")
TWILIO_API_URL = os.environ.get("TWILIO_API_URL") or "https://api.twilio.com"
FASTPHONE_URL = os.environ.get("FASTPHONE_URL") or "https://api.fastrtc.org"  # where temporary numbers come from
TELNYX_PUBLIC_KEY = os.environ.get("TELNYX_PUBLIC_KEY", "")  # base64, from the account's page

# What answers in the stream “assistant”: any endpoint with OpenAI's chat completions; without a URL, simple rules.
ASSISTANT_URL = os.environ.get("ASSISTANT_URL", "").strip()
ASSISTANT_MODEL = os.environ.get("ASSISTANT_MODEL", "").strip()
ASSISTANT_API_KEY = os.environ.get("ASSISTANT_API_KEY", "").strip()

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    "loggers": {
        "django": {"level": os.environ.get("DJANGO_LOG_LEVEL", "INFO"), "handlers": ["console"], "propagate": False},
        "streams": {"level": os.environ.get("STREAMS_LOG_LEVEL", "INFO")},
    },
}
