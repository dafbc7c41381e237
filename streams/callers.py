"""Who calls: a Django user, else a Django session, else whoever holds a token. A session belongs to its caller.

A bearer token cannot be sent by another site's page. Cookies can, so they count only with the CSRF token; a visitor who
is not signed in may prove the same with an Origin that is ours, as front ends written for FastRTC do unknowingly.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from ninja.utils import check_csrf

from streams.media.errors import StreamsError
from streams.services import Caller


class CsrfFailed(StreamsError):
    code = "csrf_failed"
    status = 403
    detail = "The CSRF token is missing or wrong. Send the csrftoken cookie's value in the X-CSRFToken header."


async def caller_of(request: HttpRequest, may_be_new: bool = False) -> tuple[Caller, str | None]:
    """Tell who makes a call that changes something, and the new token of one who has nothing else to be known by."""
    token = _bearer(request.headers.get("Authorization", ""))
    if token:
        return Caller(AnonymousUser(), _token_owner(token)), None
    caller = await visitor_of(request)
    ours = _is_our_origin(request.headers.get("Origin", ""), request.get_host())
    if caller.owner:
        if (caller.user.is_authenticated or not ours) and check_csrf(request) is not None:
            raise CsrfFailed
        return caller, None
    if ours and may_be_new:  # a browser: its next calls will carry the cookie
        await request.session.acreate()
        return Caller(caller.user, f"session:{request.session.session_key}"), None
    token = secrets.token_urlsafe(32)
    return Caller(caller.user, _token_owner(token)), token


async def visitor_of(request: HttpRequest, token: str = "") -> Caller:
    """Tell who makes a call that only reads. ``owner`` is empty for a stranger."""
    token = token or _bearer(request.headers.get("Authorization", ""))
    user = await request.auser()
    if token:
        return Caller(user, _token_owner(token))
    return Caller(user, _cookie_owner(user, request.session.session_key))


async def socket_caller(scope: Mapping[str, Any]) -> tuple[Caller, dict[str, str]]:
    """Tell who opens a WebSocket, and the headers that give a browser without a cookie one, for its HTTP calls.

    Cookies count only from our own pages, since any site can open a socket to us. A client that is no browser may
    choose a token, and send it as the bearer token here and in its calls about the session.
    """
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if token := _bearer(headers.get(b"authorization", "")):
        return Caller(AnonymousUser(), _token_owner(token)), {}
    if not _is_our_origin(headers.get(b"origin", ""), headers.get(b"host", "")):
        return Caller(AnonymousUser(), _token_owner(secrets.token_urlsafe(32))), {}
    user, session = scope["user"], scope["session"]
    if owner := _cookie_owner(user, session.session_key):
        return Caller(user, owner), {}
    await session.acreate()
    return Caller(user, f"session:{session.session_key}"), {"Set-Cookie": _session_cookie(session)}


def _session_cookie(session: Any) -> str:
    response = HttpResponse()
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        session.session_key,
        max_age=session.get_expiry_age(),
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
    return response.cookies[settings.SESSION_COOKIE_NAME].OutputString()


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _cookie_owner(user: Any, session_key: str | None) -> str:
    if user.is_authenticated:
        return f"user:{user.pk}"
    return f"session:{session_key}" if session_key else ""


def _token_owner(token: str) -> str:
    return "token:" + hashlib.sha256(token.encode()).hexdigest()


def _is_our_origin(origin: str, host: str) -> bool:
    return bool(origin) and (urlsplit(origin).netloc == host or origin in settings.CSRF_TRUSTED_ORIGINS)
