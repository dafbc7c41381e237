"""The site's URLs, and front ends that were written for FastRTC, served to visitors without any cookie."""

from pathlib import Path

from django.urls import path
from django.views.static import serve

from rtcproject.urls import urlpatterns as site

CLIENTS = Path(__file__).resolve().parents[1] / "browser" / "fastrtc_clients"

urlpatterns = [*site, path("fastrtc/<path:path>", serve, {"document_root": CLIENTS})]
