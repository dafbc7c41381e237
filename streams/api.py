"""HTTP for one stream. Each operation: parse, permission, service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router

from streams import services
from streams.callers import caller_of, visitor_of
from streams.schemas import Answer, Connection, InputBody, Offer, Success, Trigger

router = Router(tags=["streams"])

SUCCESS = {"status": "success"}


@router.post(
    "/{slug}/webrtc/offer", response=Answer | Success, exclude_none=True, summary="Offer or trickled candidate"
)
async def webrtc_offer(request: HttpRequest, slug: str, body: Offer) -> dict[str, Any]:
    caller, token = await caller_of(request, may_be_new=body.type == "offer")
    stream = await services.find_stream(slug, caller.user)
    if body.type == "ice-candidate":
        await services.add_candidate(stream, caller, body.webrtc_id, body.candidate.dict() if body.candidate else None)
        return SUCCESS
    sdp = await services.answer_offer(stream, caller, body.webrtc_id, body.sdp)
    return {"sdp": sdp, "type": "answer", "webrtc_id": body.webrtc_id, "token": token}


@router.get("/{slug}/rtc_configuration", summary="RTCPeerConnection configuration for this visitor")
async def rtc_configuration(request: HttpRequest, slug: str, response: HttpResponse) -> dict[str, Any]:
    caller = await visitor_of(request)
    stream = await services.find_stream(slug, caller.user)
    response["Cache-Control"] = "no-store"
    return (await services.rtc_configuration(stream, caller)).for_client()


@router.post("/{slug}/input_hook", response=Success, summary="Set the handler's inputs")
async def input_hook(request: HttpRequest, slug: str, body: InputBody) -> dict[str, Any]:
    caller, _ = await caller_of(request)
    stream = await services.find_stream(slug, caller.user)
    services.send_input(stream, caller, body.webrtc_id, body.values())
    return SUCCESS


@router.post("/{slug}/trigger", response=Success, summary="Let the handler answer now, to a text or to what was said")
async def trigger(request: HttpRequest, slug: str, body: Trigger) -> dict[str, Any]:
    caller, _ = await caller_of(request)
    stream = await services.find_stream(slug, caller.user)
    services.trigger_response(stream, caller, body.webrtc_id, body.text)
    return SUCCESS


@router.post("/{slug}/close", response=Success, summary="End a session")
async def close(request: HttpRequest, slug: str, body: Connection) -> dict[str, Any]:
    caller, _ = await caller_of(request)
    stream = await services.find_stream(slug, caller.user)
    await services.close_session(stream, caller, body.webrtc_id)
    return SUCCESS


@router.get("/{slug}/outputs", summary="Follow what the handler publishes (server-sent events)")
async def outputs(
    request: HttpRequest, slug: str, webrtc_id: str, token: str = "", last_event_id: int = 0
) -> StreamingHttpResponse:
    """An EventSource cannot send headers: a caller without cookies passes its token in the query."""
    caller = await visitor_of(request, token)
    stream = await services.find_stream(slug, caller.user)
    seen = request.headers.get("Last-Event-ID", "")
    after = int(seen) if seen.isdecimal() and len(seen) < 19 else last_event_id
    events = server_sent(await services.follow_outputs(stream, caller, webrtc_id, after))
    return StreamingHttpResponse(
        events, content_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def server_sent(outputs: AsyncIterator[services.Output | services.Gap | None]) -> AsyncIterator[str]:
    """Format for an EventSource: ``output`` events with an id; a gap is an event of its own, silence a comment."""
    yield ": connected\n\n"
    async for output in outputs:
        match output:
            case services.Output(number=number, json=json):
                yield f"event: output\nid: {number}\ndata: {json}\n\n"
            case services.Gap(first, last):
                yield f'event: gap\nid: {last}\ndata: {{"first":{first},"last":{last}}}\n\n'
            case None:
                yield ": still here\n\n"
