"""The site's URLs, and front ends that were written for FastRTC, served to visitors without any cookie."""

import json
from pathlib import Path

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.static import serve

from rtcproject.urls import urlpatterns as site
from streams.live.manager import manager

CLIENTS = Path(__file__).resolve().parents[1] / "browser" / "fastrtc_clients"


async def chats(request: HttpRequest) -> JsonResponse:
    """What the sessions of this process have published last, by their ids: for tests of calls, which have no page."""
    latest = {id: live.outbox.latest for id, live in manager._live.items()}
    return JsonResponse({id: json.loads(output.json) for id, output in latest.items() if output})


urlpatterns = [*site, path("test/chats", chats), path("fastrtc/<path:path>", serve, {"document_root": CLIENTS})]
