"""FastRTC's service of temporary numbers: whoever calls one and keys in the code is sent on to a site.

The service's protocol is what FastRTC's ``Stream.fastphone`` speaks (0.0.34): POST /register with the site's host,
POST /unregister with host and code, both with a Hugging Face token as the Authorization header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from telephony.providers import ProviderError

SERVICE_SECONDS = 15.0


@dataclass(frozen=True)
class Registration:
    phone: str
    code: str
    seconds_left: int
    """Of the token's free minutes."""
    reset_date: str


class FastPhoneService:
    """Its methods block, and raise ProviderError."""

    def __init__(self, url: str, token: str, host: str) -> None:
        self._url, self._token, self._host = url.rstrip("/"), token.strip(), host
        if not (self._token.isascii() and self._token.isprintable()):
            raise ProviderError("The token has characters that no token has. Copy it again.")

    def register(self) -> Registration:
        status, body = self._post("register", {"url": self._host})
        if status == 202:
            raise ProviderError("The free minutes of this token are used up.")
        try:
            left = int(body["time_remaining"])
            return Registration(str(body["phone"]), str(body["code"]), left, str(body["reset_date"]))
        except (KeyError, TypeError, ValueError):
            raise ProviderError(f"The answer of {self._url} cannot be understood.") from None

    def unregister(self, code: str) -> None:
        self._post("unregister", {"url": self._host, "code": code})

    def _post(self, path: str, content: dict[str, str]) -> tuple[int, Any]:
        import httpx

        headers = {"Authorization": self._token}
        try:
            answer = httpx.post(f"{self._url}/{path}", json=content, headers=headers, timeout=SERVICE_SECONDS)
            if answer.status_code in (401, 403):
                raise ProviderError(f"{self._url} does not accept the token.")
            if not answer.is_success:
                raise ProviderError(f"{self._url} answers with status {answer.status_code}.")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderError(f"{self._url} cannot be reached: {error}.") from error
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, None
