"""HTTP for one stream. Each operation: parse, permission, service."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.http import HttpRequest
from ninja import Router
from ninja.utils import check_csrf

from streams import services
from streams.media.errors import StreamsError
from streams.schemas import Answer, Connection, Offer, Success
from streams.services import Caller

router = Router(tags=["streams"])


class CsrfFailed(StreamsError):
    code = "csrf_failed"
    status = 403
    detail = "The CSRF token is missing or wrong. Send the csrftoken cookie's value in the X-CSRFToken header."


@router.post(
    "/{slug}/webrtc/offer", response=Answer | Success, exclude_none=True, summary="Offer or trickled candidate"
)
async def webrtc_offer(request: HttpRequest, slug: str, body: Offer) -> dict[str, Any]:
    caller, token = await caller_of(request)
    stream = await services.find_stream(slug, caller.user)
    if body.type == "ice-candidate":
        await services.add_candidate(stream, caller, body.webrtc_id, body.candidate.dict() if body.candidate else None)
        return {"status": "success"}
    sdp = await services.answer_offer(stream, caller, body.webrtc_id, body.sdp)
    return {"sdp": sdp, "type": "answer", "webrtc_id": body.webrtc_id, "token": token}


@router.get("/{slug}/rtc_configuration", summary="RTCPeerConnection configuration for this visitor")
async def rtc_configuration(request: HttpRequest, slug: str) -> dict[str, Any]:
    user = await request.auser()
    return services.rtc_configuration(await services.find_stream(slug, user))


@router.post("/{slug}/close", response=Success, summary="End a session")
async def close(request: HttpRequest, slug: str, body: Connection) -> dict[str, Any]:
    caller, _ = await caller_of(request)
    stream = await services.find_stream(slug, caller.user)
    await services.close_session(stream, caller, body.webrtc_id)
    return {"status": "success"}


async def caller_of(request: HttpRequest) -> tuple[Caller, str | None]:
    """Tell who calls, and a new token if they have nothing else to be known by.

    A bearer token cannot be sent by another site's page; cookies can, so they count only with the CSRF token.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = await request.auser()
    if scheme.lower() == "bearer" and token:
        return Caller(user, _token_owner(token)), None
    session_key = request.session.session_key
    if user.is_authenticated or session_key:
        if check_csrf(request) is not None:
            raise CsrfFailed
        return Caller(user, f"user:{user.pk}" if user.is_authenticated else f"session:{session_key}"), None
    token = secrets.token_urlsafe(32)
    return Caller(user, _token_owner(token)), token


def _token_owner(token: str) -> str:
    return "token:" + hashlib.sha256(token.encode()).hexdigest()
