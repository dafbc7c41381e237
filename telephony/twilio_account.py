"""What Twilio is asked for by REST, through its own library. Source: Twilio's documentation of its Voice API."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from django.conf import settings
from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from telephony.providers import Order, ProviderError, ProviderSilent, Webhooks

logger = logging.getLogger(__name__)

REST_SECONDS = 10.0
"""How long Twilio has to answer."""
DETECTION = {"start": "Enable", "end": "DetectMessageEnd"}
STEPS = ["initiated", "ringing", "answered", "completed"]


class TwilioAccount:
    def __init__(self) -> None:
        if not (settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN):
            raise ProviderError(
                "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; both are on the front page of Twilio's console."
            )

    async def place_call(self, order: Order) -> str:
        detection = {"machine_detection": DETECTION[order.machine_detection]} if order.machine_detection else {}
        async with _client() as client:
            call = await client.calls.create_async(
                to=order.to,
                from_=order.from_,
                url=order.answered_url,
                status_callback=order.status_url,
                status_callback_event=STEPS,
                **detection,
            )
            return str(call.sid)

    async def webhooks(self, number: str) -> Webhooks:
        async with _client() as client:
            found = await _find(client, number)
        overridden_by = {"a SIP trunk": found.trunk_sid, "a TwiML app": found.voice_application_sid}
        return Webhooks(
            found.voice_url or "",
            found.status_callback or "",
            " and ".join(f"{kind} ({sid})" for kind, sid in overridden_by.items() if sid),
        )

    async def set_webhooks(self, number: str, webhooks: Webhooks) -> None:
        async with _client() as client:
            found = await _find(client, number)
            await found.update_async(
                voice_url=webhooks.incoming_url,
                voice_method="POST",
                status_callback=webhooks.status_url,
                status_callback_method="POST",
            )


async def _find(client: Any, number: str) -> Any:
    for each in await client.incoming_phone_numbers.list_async(phone_number=number):  # those that contain it
        if each.phone_number == number:
            return each
    raise ProviderError(f"{number} is none of the numbers of this Twilio account.")


@asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    """Twilio's client. What goes wrong with it becomes a ProviderError."""
    httpx, make_client, authorities = await asyncio.to_thread(_library)
    async with httpx.AsyncClient(timeout=REST_SECONDS, verify=authorities) as http:
        client = make_client(settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, http_client=_HttpClient(http))
        client.api.base_url = settings.TWILIO_API_URL
        try:
            async with asyncio.timeout(REST_SECONDS):
                yield client
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ProviderError(f"Twilio cannot be reached at {settings.TWILIO_API_URL}: {error}.") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ProviderSilent(f"Twilio has not answered within {REST_SECONDS:g} seconds.") from error
        except httpx.HTTPError as error:
            raise ProviderSilent(f"Twilio's answer was lost on the way: {error}.") from error
        except (TwilioException, ValueError) as error:  # no JSON
            raise ProviderSilent("Twilio's answer cannot be understood.") from error


@cache
def _library() -> tuple[Any, Any, Any]:
    """httpx, Twilio's client, and the certificates to trust: a third of a second, in which no frame may wait."""
    import httpx
    from twilio.rest import Client

    return httpx, Client, httpx.create_ssl_context()


class _HttpClient(AsyncHttpClient):
    """The library's own one sends no lists, such as the steps to be told of, and waits as long as it takes; and the
    library tells errors in three ways."""

    def __init__(self, http: Any) -> None:
        super().__init__(logger, is_async=True)
        self._http = http

    async def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        answer = await self._http.request(method, url, params=params, data=data, headers=headers, auth=auth)
        if answer.status_code >= 400:
            raise _in_words(answer.status_code, answer.text)
        return Response(answer.status_code, answer.text, answer.headers)


def _in_words(status: int, text: str) -> ProviderError:
    """What an answer says that is no success."""
    if status == 401:
        return ProviderError("Twilio does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN.")
    if status == 429:
        return ProviderError("Twilio has been asked too often for the moment. Try again in a minute.")
    if status >= 500:
        return ProviderSilent(f"Twilio has a fault of its own at the moment (status {status}).")
    try:
        body = json.loads(text)
        words, code = str(body["message"]), body.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ProviderError(f"Twilio refuses, with status {status} and no word.")
    reference = f" (https://www.twilio.com/docs/errors/{code})" if code else ""
    return ProviderError(f"Twilio refuses: {words.rstrip('.')}{reference}.")
