from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from turn.ice_servers import problem

SETTINGS = ("STREAMS_ICE_SERVERS", "STREAMS_SERVER_ICE_SERVERS")


def check_ice_servers(**kwargs: Any) -> list[CheckMessage]:
    return [error for name in SETTINGS for error in _check_setting(name, getattr(settings, name, []))]


def _check_setting(name: str, value: Any) -> list[CheckMessage]:
    if not isinstance(value, list | tuple):
        return [_error(f"{name} must be a list of dictionaries.")]
    wrong = [(index, problem(server)) for index, server in enumerate(value)]
    return [_error(f"{name}[{index}]: {sentence}") for index, sentence in wrong if sentence]


def _error(message: str) -> Error:
    return Error(
        message,
        hint='Example: {"urls": "turn:turn.example.org:3478", "username": "…", "credential": "…"}',
        id="turn.E001",
    )
