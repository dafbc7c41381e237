"""ICE servers as browsers take them (W3C WebRTC, RTCIceServer): {"urls": …, "username": …, "credential": …}."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

IceServer = dict[str, Any]

SCHEMES = ("stun:", "stuns:", "turn:", "turns:")
URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:?\[\]/@]+)(:(?P<port>[0-9]{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?",
    re.ASCII,
)
"""RFC 7064 and RFC 7065."""


TIMED = re.compile(r"([0-9]{9,10})(:.*)?", re.ASCII)
"""A username of the TURN REST draft begins with the Unix time at which it expires."""


def urls_of(server: IceServer) -> list[str]:
    urls = server["urls"]
    return [urls] if isinstance(urls, str) else list(urls)


def expiry(server: IceServer) -> int | None:
    """The Unix time at which its credentials expire, as their username tells; None if it does not."""
    found = TIMED.fullmatch(server.get("username") or "")
    return int(found[1]) if found else None


def is_relay(server: IceServer) -> bool:
    return any(url.startswith("turn") for url in urls_of(server))


def has_relay(servers: Iterable[IceServer]) -> bool:
    return any(is_relay(server) for server in servers)


def problem(server: Any) -> str:
    """What is wrong with an ICE server, as the rest of a sentence that begins with its name; empty if nothing is."""
    if not isinstance(server, dict) or "urls" not in server:
        return 'must be a dictionary with the key "urls".'
    if unknown := set(server) - {"urls", "username", "credential"}:
        return f"has unknown keys: {', '.join(sorted(map(str, unknown)))}."
    urls = server["urls"] if isinstance(server["urls"], list | tuple) else [server["urls"]]
    if not urls or not all(isinstance(url, str) and url.startswith(SCHEMES) for url in urls):
        return f'"urls" must start with one of {", ".join(SCHEMES)}'
    for url in urls:
        if not URL.fullmatch(url):
            shown = url.rpartition("@")[2]  # some write a password before it
            return f'"urls" has {shown!r}, which is no address such as turn:turn.example.org:3478?transport=udp.'
    credentials = (server.get("username"), server.get("credential"))
    if is_relay(server) and not all(isinstance(value, str) and value for value in credentials):
        return 'a TURN server needs "username" and "credential".'
    return ""


def understood(servers: Any) -> list[IceServer]:
    """ICE servers out of somebody's answer, with nothing else in them. Raises ValueError, which names no secret."""
    if isinstance(servers, dict):  # Cloudflare's older endpoint gives a single one
        servers = [servers]
    if not isinstance(servers, list | tuple):
        raise ValueError("there is no list of ICE servers.")
    kept = [
        {key: server[key] for key in ("urls", "username", "credential") if server.get(key)}
        for server in servers
        if isinstance(server, dict)
    ]
    if len(kept) != len(servers):
        raise ValueError("one of the ICE servers is no dictionary.")
    for server in kept:
        if wrong := problem(server):
            raise ValueError(f"an ICE server {wrong}")
    return kept


def sound(servers: Any) -> list[IceServer]:
    """Those of a setting that can be used; the system checks name the others."""
    return [server for server in servers if not problem(server)] if isinstance(servers, list | tuple) else []


def for_aiortc(servers: Iterable[IceServer]) -> list[IceServer]:
    """The one STUN and the one TURN server that aiortc can use: the first it understands, each with one URL."""
    chosen: dict[str, IceServer] = {}
    for url, server in _each_url(servers):
        if kind := _kind_for_aiortc(url):
            chosen.setdefault(kind, {**server, "urls": url})
    return list(chosen.values())


def _each_url(servers: Iterable[IceServer]) -> Iterator[tuple[str, IceServer]]:
    for server in servers:
        for url in urls_of(server):
            yield url, server


def _kind_for_aiortc(url: str) -> str:
    """ "stun", "turn", or "": it passes over STUN over TLS and TURN over DTLS, and trips over IPv6 addresses."""
    found = URL.fullmatch(url)
    if found is None or found["scheme"] == "stuns" or found["host"].startswith("["):
        return ""
    if found["scheme"] == "turns" and found["transport"] == "udp":
        return ""
    return found["scheme"].removesuffix("s")
