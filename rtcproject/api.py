"""The one NinjaAPI. Domain errors become HTTP here and nowhere else."""

import logging

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from streams.api import router
from streams.media.errors import StreamsError

logger = logging.getLogger(__name__)

api = NinjaAPI(title="Streams", version="1", description="Real-time audio sessions with Python handlers.")
api.add_router("/streams", router)


def failed(request: HttpRequest, status: int, **meta: object) -> HttpResponse:
    return api.create_response(request, {"status": "failed", "meta": meta}, status=status)


@api.exception_handler(StreamsError)
def on_streams_error(request: HttpRequest, error: StreamsError) -> HttpResponse:
    return api.create_response(request, error.body(), status=error.status)


@api.exception_handler(ValidationError)
def on_validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [f"{'.'.join(str(part) for part in e['loc'][2:])}: {e['msg']}".lstrip(": ") for e in error.errors]
    return failed(request, 422, error="invalid_request", detail="; ".join(problems))


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return failed(request, error.status_code, error="invalid_request", detail=str(error))


@api.exception_handler(Exception)
def on_unexpected_error(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return failed(request, 500, error="server_error", detail="Something went wrong here. It has been logged.")
