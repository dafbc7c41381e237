"""ICE servers: what a client, or this server, uses to find a path between them."""

from typing import Any

from django.conf import settings


def ice_servers() -> list[dict[str, Any]]:
    """For clients, in the shape RTCPeerConnection takes."""
    return list(getattr(settings, "STREAMS_ICE_SERVERS", ()))


def server_ice_servers() -> list[dict[str, Any]]:
    """For this server's own end of a connection."""
    return list(getattr(settings, "STREAMS_SERVER_ICE_SERVERS", ()))
