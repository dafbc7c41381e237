"""Words for what keeps a STUN or TURN server from working: what is wrong, and what to do."""

from __future__ import annotations

import socket
import ssl
import time
from enum import StrEnum
from ipaddress import ip_address

from aioice import stun


class Stage(StrEnum):
    NAME = "name"
    """Looking up the server's name."""
    BINDING = "binding"
    """A STUN server tells this machine its address."""
    ALLOCATION = "allocation"
    """Connecting to a TURN server, and being given an address there."""
    RELAY = "relay"
    """A packet goes through the relay to a socket here and back."""
    DONE = "done"


ANSWERS = {
    300: "The server sends clients elsewhere (300, Try Alternate), which browsers and aiortc do not follow.",
    401: "The server refuses the credentials (401). Compare the secret, or user name and password, with the server's; "
    "for credentials that expire, compare the clocks, too.",
    403: "The server allows nobody an allocation from here (403).",
    437: "The server takes this for an older connection of another client (437). Try again.",
    441: "The server refuses the credentials of a later request (441). Did its secret change just now?",
    442: "The server does not relay UDP (442). In coturn, remove no-udp-relay.",
    486: "The server allows this user no more allocations (486). In coturn, raise user-quota or total-quota.",
    508: "The server has no port left to relay with (508). In coturn, widen min-port … max-port.",
}


def explain(
    stage: Stage,
    error: Exception,
    transport: str,
    port: int,
    *,
    expires: int | None = None,
    relay: str = "",
    own: str = "",
) -> str:
    """What ``error`` at this stage means.

    expires: Unix time at which the credentials do, if they tell
    relay: the address that was allocated, if one was
    own: the addresses that it was to relay to
    """
    if isinstance(error, stun.TransactionFailed):
        return _answered(stage, error, expires, own)
    if isinstance(error, TimeoutError | stun.TransactionTimeout):
        return _silence(stage, transport, port, relay)
    if isinstance(error, socket.gaierror):
        return "The name has no address. Check how it is written, and its DNS record."
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return (
            f"The certificate is refused, as browsers would: {reason}. It must be in date, made for this name, "
            "and signed by one whom browsers trust."
        )
    if isinstance(error, ssl.SSLError | ConnectionResetError) and transport == "tls":
        return f"Port {port} does not speak TLS. Does the server have its certificate, and read its key?"
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens on {_port(transport, port)}. Does the server run, and is this its port?"
    return f"The server could not be used: {error}."


def _answered(stage: Stage, error: stun.TransactionFailed, expires: int | None, own: str) -> str:
    code, reason = error.response.attributes.get("ERROR-CODE", (0, "no reason given"))
    if stage is Stage.RELAY and code == 403:
        return (
            f"The server does not relay to this machine, {own} (403). If that is where it is to reach this server, "
            "allow it: in coturn, allowed-peer-ip."
        )
    if code == 401 and expires is not None and expires < time.time():
        minutes = (time.time() - expires) / 60
        return f"The credentials expired {minutes:.0f} minutes ago (401). Make new ones, or set the clock right."
    return ANSWERS.get(code, f"The server answers {code}: {reason}.")


def _silence(stage: Stage, transport: str, port: int, relay: str) -> str:
    if stage is not Stage.RELAY:
        return (
            f"Nothing answers on {_port(transport, port)}. Does the server run, is this its port, "
            "and do the firewalls here and there let it through?"
        )
    if not ip_address(relay.rpartition(":")[0].strip("[]")).is_global:
        return (
            f"An address was allocated, {relay}, but it is private and no packet came back from it. "
            "Tell the server its public address: in coturn, external-ip."
        )
    return (
        f"An address was allocated, {relay}, but no packet came back from it. Open the relay's UDP ports (in coturn, "
        "min-port to max-port) in its firewall, and outgoing UDP in the one here."
    )


def _port(transport: str, port: int) -> str:
    return f"{'UDP' if transport == 'udp' else 'TCP'} port {port}"
