"""FastRTC's functions that get TURN credentials, under their names: for ``rtc_configuration``, and for custom routes.

Each returns what RTCPeerConnection takes, {"iceServers": […]}, and raises ValueError when a key is missing, and
providers.base.TurnError when there are no credentials. What one returned is returned again until half its life is over.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, Literal

from turn.cache import CredentialCache
from turn.providers.base import Credentials, Misconfigured
from turn.providers.cloudflare import Cloudflare
from turn.providers.http import HTTPProvider
from turn.providers.huggingface import HuggingFace
from turn.providers.twilio import Twilio

Configuration = dict[str, Any]
Method = Literal["cloudflare", "hf", "twilio"]

TTL = 600
"""Seconds, as in FastRTC. Relayed sessions may end when it is over."""
TWILIO_TTL = 24 * 3600

_cache: CredentialCache[Credentials] = CredentialCache()


def get_turn_credentials(method: Method | None = "cloudflare", **kwargs: Any) -> Configuration:
    """Call the function of ``method`` with the other arguments. Raises ValueError for a method there is not."""
    functions: dict[str, Callable[..., Configuration]] = {
        "cloudflare": get_cloudflare_turn_credentials,
        "hf": get_hf_turn_credentials,
        "twilio": get_twilio_turn_credentials,
    }
    return functions[_known(method, functions)](**kwargs)


async def get_turn_credentials_async(method: Method | None = "cloudflare", **kwargs: Any) -> Configuration:
    """Call the function of ``method`` with the other arguments. Raises ValueError for a method there is not."""
    functions: dict[str, Callable[..., Any]] = {
        "cloudflare": get_cloudflare_turn_credentials_async,
        "hf": get_hf_turn_credentials_async,
        "twilio": get_twilio_turn_credentials_async,
    }
    found: Configuration = await functions[_known(method, functions)](**kwargs)
    return found


def get_cloudflare_turn_credentials(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = TTL,
    client: Any = None,
) -> Configuration:
    """Get credentials from Cloudflare, or with ``hf_token``, which comes first, from Hugging Face's endpoint.

    turn_key_id, turn_key_api_token, hf_token: or the environment's CLOUDFLARE_TURN_KEY_ID,
        CLOUDFLARE_TURN_KEY_API_TOKEN and HF_TOKEN
    ttl: seconds for which the credentials are to live
    client: an httpx.Client to use (FastRTC's documentation names an AsyncClient, which sync code cannot use)
    """
    return _get(_cloudflare(turn_key_id, turn_key_api_token, hf_token), ttl, client)


async def get_cloudflare_turn_credentials_async(
    turn_key_id: str | None = None,
    turn_key_api_token: str | None = None,
    hf_token: str | None = None,
    ttl: int = TTL,
    client: Any = None,
) -> Configuration:
    """As `get_cloudflare_turn_credentials`; ``client`` is an httpx.AsyncClient."""
    return await _get_async(_cloudflare(turn_key_id, turn_key_api_token, hf_token), ttl, client)


def get_hf_turn_credentials(token: str | None = None, ttl: int = TTL, client: Any = None) -> Configuration:
    """Get credentials from Hugging Face. Deprecated: get_cloudflare_turn_credentials(hf_token=…) is the same.

    token: or the environment's HF_TOKEN
    """
    return _get(_community(token), ttl, client)


async def get_hf_turn_credentials_async(token: str | None = None, ttl: int = TTL, client: Any = None) -> Configuration:
    """As `get_hf_turn_credentials`, and deprecated too."""
    return await _get_async(_community(token), ttl, client)


def get_twilio_turn_credentials(
    twilio_sid: str | None = None, twilio_token: str | None = None, ttl: int = TWILIO_TTL, client: Any = None
) -> Configuration:
    """Get credentials from Twilio; as in FastRTC, with the iceTransportPolicy "relay".

    twilio_sid, twilio_token: or the environment's TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN
    """
    return {**_get(_twilio(twilio_sid, twilio_token), ttl, client), "iceTransportPolicy": "relay"}


async def get_twilio_turn_credentials_async(
    twilio_sid: str | None = None, twilio_token: str | None = None, ttl: int = TWILIO_TTL, client: Any = None
) -> Configuration:
    """As `get_twilio_turn_credentials`; FastRTC has none."""
    return {**await _get_async(_twilio(twilio_sid, twilio_token), ttl, client), "iceTransportPolicy": "relay"}


def _cloudflare(key_id: str | None, api_token: str | None, hf_token: str | None) -> HTTPProvider:
    if token := _or_environment(hf_token, "HF_TOKEN"):
        return HuggingFace(token=token)
    key_id = _or_environment(key_id, "CLOUDFLARE_TURN_KEY_ID")
    api_token = _or_environment(api_token, "CLOUDFLARE_TURN_KEY_API_TOKEN")
    if not (key_id and api_token):
        raise Misconfigured("Set HF_TOKEN, or CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN, or pass them.")
    return Cloudflare(key_id=key_id, token=api_token)


def _community(token: str | None) -> HTTPProvider:
    warnings.warn(
        "Hugging Face's community server is no more. Use get_cloudflare_turn_credentials(hf_token=…) instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    if not (token := _or_environment(token, "HF_TOKEN")):
        raise Misconfigured("Set HF_TOKEN, or pass token.")
    return HuggingFace(token=token)


def _twilio(sid: str | None, token: str | None) -> HTTPProvider:
    sid, token = _or_environment(sid, "TWILIO_ACCOUNT_SID"), _or_environment(token, "TWILIO_AUTH_TOKEN")
    if not (sid and token):
        raise Misconfigured("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or pass twilio_sid and twilio_token.")
    return Twilio(account_sid=sid, auth_token=token)


def _or_environment(given: str | None, variable: str) -> str:
    return os.environ.get(variable, "").strip() if given is None else given


def _known(method: str | None, functions: dict[str, Any]) -> str:
    if (method or "cloudflare") not in functions:
        raise ValueError(f"There is no method {method!r}. There are: {', '.join(functions)}.")
    return method or "cloudflare"


def _get(provider: HTTPProvider, ttl: int, client: Any) -> Configuration:
    usable = client if hasattr(client, "__enter__") else None
    found = _cache.get_sync((provider, ttl), "", lambda: provider.fetch_sync("", ttl, usable))
    return found.configuration()


async def _get_async(provider: HTTPProvider, ttl: int, client: Any) -> Configuration:
    found = await _cache.get((provider, ttl), "", lambda: provider.fetch("", ttl, client))
    return found.configuration()
