"""Which stage a WebRTC connection reached, in words for an administrator.

Both ends have a view of a connection that fails. The server's is an ``Observation``; the client's is a ``Stage`` that
its page has told, with the codes of the errors that its browser met. Neither holds an address, only kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

SLOW_SECONDS = 5.0
"""From the offer to the connection; a visitor has wondered by then."""


class Stage(Enum):
    """The stage that a connection failed at, or ``CONNECTED``."""

    SIGNALLING = "signalling"
    GATHERING = "gathering"
    RELAY_REFUSED = "relay_refused"
    RELAY_EXPIRED = "relay_expired"
    RELAY_UNREACHABLE = "relay_unreachable"
    CANDIDATES = "candidates"
    CHECKS = "checks"
    DTLS = "dtls"
    MEDIA = "media"
    CONNECTED = "connected"


@dataclass(frozen=True)
class Observation:
    """What the server has seen of a connection. ``local`` and ``remote``: how many candidates of each kind."""

    local: Mapping[str, int] = field(default_factory=dict)
    remote: Mapping[str, int] = field(default_factory=dict)
    """Kinds are host, srflx, prflx, relay, and mdns: a host behind a ``.local`` name."""
    tried: int = 0
    """Pairs of candidates on which a check was sent."""
    path_found: bool = False
    """Whether ICE has found a pair that works."""
    relay_error: str = ""
    """Why the server itself got no relay."""
    path: str = ""
    """Kinds of the selected pair, the server's first."""
    seconds: float | None = None
    """From the offer to the connection."""
    heard: bool = True
    """Whether any packet has come since the connection was made."""


@dataclass(frozen=True)
class ConnectionReport:
    """``words`` say what happened, ``advice`` what an administrator can do about it."""

    stage: Stage
    words: str
    advice: str = ""
    path: str = ""
    seconds: float | None = None


NEEDS_TURN = "Give clients a TURN server: see “Connections” in the guides."
GATHERING = (
    "This server found no address to offer.",
    "Look at its network interfaces, at STREAMS_BIND_ADDRESSES and, if it may use a relay only, at its TURN server.",
)
NO_CANDIDATES = (
    "The client named no address at which it can be reached.",
    "Its browser may forbid WebRTC, or may use a relay only and got none: see what the client told, if it did.",
)
ONLY_MDNS = (
    "The client named itself by .local names only, which this server cannot resolve.",
    "Browsers hide addresses from pages that have no microphone. Give clients a STUN or a TURN server.",
)
CHECKS = ("No packet was answered on any of {tried} paths between {remote} and {local}.", NEEDS_TURN)
CHECKS_WITH_RELAY = (
    "No packet was answered on any of {tried} paths between {remote} and {local}, though a relay was among them.",
    "Run “manage.py check_turn”: the relay must reach this server's UDP ports, and this server the relay.",
)
NO_PAIR = (
    "No address of the client ({remote}) fits one of this server ({local}).",
    "One end may have IPv6 only. " + NEEDS_TURN,
)
DTLS = (
    "The path was found, but the encryption could not be agreed on.",
    "Something on the way drops or changes packets: often large ones (the network's MTU), or a VPN. Try over a relay.",
)
MEDIA = (
    "The connection was made, but nothing came through it.",
    "A firewall may allow the first packets and stop the stream. Try over a relay, over TCP or TLS.",
)
SLOW = (
    "Connected after {seconds:.1f} s.",
    "Slow: the first paths failed before one worked. Give clients a TURN server near you, and one STUN server.",
)
OWN_RELAY = " This server's own TURN server gave it no relay: {error}."


def report(seen: Observation) -> ConnectionReport:
    """Say in words what was observed."""
    stage, (words, advice) = _judge(seen)
    words = words.format(
        tried=seen.tried, remote=kinds(seen.remote), local=kinds(seen.local), seconds=seen.seconds or 0.0
    )
    if seen.relay_error and stage not in (Stage.CONNECTED, Stage.MEDIA):
        words += OWN_RELAY.format(error=seen.relay_error)
        advice = "Run “manage.py check_turn” with this server's own credentials. " + advice
    return ConnectionReport(stage, words, advice, seen.path, seen.seconds)


def _judge(seen: Observation) -> tuple[Stage, tuple[str, str]]:
    if seen.seconds is not None:
        if not seen.heard:
            return Stage.MEDIA, MEDIA
        return Stage.CONNECTED, SLOW if seen.seconds > SLOW_SECONDS else ("Connected after {seconds:.1f} s.", "")
    if seen.path_found:
        return Stage.DTLS, DTLS
    if not seen.local:
        return Stage.GATHERING, GATHERING
    if not seen.remote:
        return Stage.CANDIDATES, NO_CANDIDATES
    if not seen.tried:
        return Stage.CANDIDATES, ONLY_MDNS if set(seen.remote) == {"mdns"} else NO_PAIR
    return Stage.CHECKS, CHECKS_WITH_RELAY if {"relay"} & {*seen.remote, *seen.local} else CHECKS


def kinds(candidates: Mapping[str, int]) -> str:
    """“2 host, 1 relay”."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(candidates.items()) if count) or "none"


CLIENT_WORDS: Mapping[Stage, tuple[str, str]] = {
    Stage.SIGNALLING: (
        "The page got no answer to its offer.",
        "A proxy may hold requests back, or the page lost its network.",
    ),
    Stage.GATHERING: (
        "The browser found no address of its own.",
        "WebRTC may be switched off there, by a policy or an extension.",
    ),
    Stage.RELAY_REFUSED: (
        "The TURN server refused the browser's credentials.",
        "Run “manage.py check_turn”: the secret, or the user and password, are not the TURN server's.",
    ),
    Stage.RELAY_EXPIRED: (
        "The TURN server refused the browser's credentials, which had expired.",
        "Let credentials live longer than a page waits, and compare the clocks of this server and the TURN server.",
    ),
    Stage.RELAY_UNREACHABLE: (
        "The browser could not reach the TURN server.",
        "Offer it over TCP and TLS on port 443 too, and run “manage.py check_turn” from outside your network.",
    ),
    Stage.CANDIDATES: (
        "The browser may use a relay only, and found none.",
        "Give clients a TURN server, or let them use other paths.",
    ),
    Stage.CHECKS: ("The browser got no answer on any path.", NEEDS_TURN),
    Stage.DTLS: ("The browser found a path, but the encryption could not be agreed on.", DTLS[1]),
    Stage.MEDIA: ("The browser was connected, but nothing came.", MEDIA[1]),
    Stage.CONNECTED: ("The browser was connected.", ""),
}
"""What the client's view means, and what to do."""
