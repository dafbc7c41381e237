from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

SETTINGS = ("STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS")
SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


def check_ice_servers(**kwargs: Any) -> list[CheckMessage]:
    return [error for name in SETTINGS for error in _check_setting(name, getattr(settings, name, []))]


def _check_setting(name: str, value: Any) -> list[CheckMessage]:
    if not isinstance(value, list | tuple):
        return [_error(f"{name} must be a list of dictionaries.")]
    problems = [(index, _problem(server)) for index, server in enumerate(value)]
    return [_error(f"{name}[{index}]: {problem}") for index, problem in problems if problem]


def _problem(server: Any) -> str:
    if not isinstance(server, dict) or "urls" not in server:
        return 'must be a dictionary with the key "urls".'
    if unknown := set(server) - {"urls", "username", "credential"}:
        return f"has unknown keys: {', '.join(sorted(map(str, unknown)))}."
    urls = server["urls"] if isinstance(server["urls"], list | tuple) else [server["urls"]]
    if not urls or not all(isinstance(url, str) and url.startswith(SCHEMES) for url in urls):
        return f'"urls" must start with one of {", ".join(SCHEMES)}'
    credentials = (server.get("username"), server.get("credential"))
    if any(url.startswith("turn") for url in urls) and not all(isinstance(c, str) and c for c in credentials):
        return 'a TURN server needs "username" and "credential".'
    return ""


def _error(message: str) -> Error:
    return Error(
        message,
        hint='Example: {"urls": "turn:turn.example.org:3478", "username": "…", "credential": "…"}',
        id="turn.E001",
    )
