"""What a provider of TURN credentials is, what it gives, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from turn.ice_servers import IceServer

Policy = Literal["all", "relay"]


class TurnError(Exception):
    """There are no credentials. The message is for an administrator: what is wrong and what to do; never a secret."""

    retry_after: float | None = None
    """Seconds after which it is worth asking again, where the provider told."""


class Misconfigured(TurnError, ValueError):
    """An option or a secret is missing or cannot be right; nobody was asked."""


class WrongKey(TurnError):
    """The provider does not accept the key (401, 403)."""


class RateLimited(TurnError):
    """Asked too often, or the quota is used up (429)."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutOfOrder(TurnError):
    """The provider is out of order or cannot be reached (5xx, no connection)."""


class Refused(TurnError):
    """The provider does not do what it was asked, for example because of the TTL (other 4xx, a redirection)."""


class TooSlow(TurnError):
    """The provider did not answer in time."""


class Unreadable(TurnError):
    """The provider's answer holds no ICE servers that can be understood."""


@dataclass(frozen=True)
class Credentials:
    """What a provider gives. Its repr holds no secret."""

    ice_servers: Sequence[IceServer] = field(repr=False)
    expires_at: float | None = None
    """Unix time; None: never."""
    ice_transport_policy: Policy | None = None
    """ "relay": connect through the relay only; None: as the site has it."""

    def configuration(self) -> dict[str, Any]:
        """What RTCPeerConnection takes."""
        policy = {"iceTransportPolicy": self.ice_transport_policy} if self.ice_transport_policy else {}
        return {"iceServers": [dict(server) for server in self.ice_servers], **policy}


class Provider(ABC):
    """Gives TURN credentials. Made with the OPTIONS of its entry in TURN_PROVIDERS; raises Misconfigured for bad ones.

    Its repr must hold no secret.
    """

    shared_by: ClassVar[Literal["nobody", "user", "everybody"]] = "user"
    """Who may be given the same credentials until half their life is over. "nobody": making new ones costs nothing."""

    @abstractmethod
    async def fetch(self, user: str, ttl: int) -> Credentials:
        """Get credentials for ``user``, an opaque name, that are to live ``ttl`` seconds. Raises TurnError."""

    @abstractmethod
    def fetch_sync(self, user: str, ttl: int) -> Credentials:
        """The same, for code without an event loop."""


class LocalProvider(Provider):
    """A provider that asks nobody, so that it need not be waited for."""

    shared_by = "nobody"

    async def fetch(self, user: str, ttl: int) -> Credentials:
        return self.fetch_sync(user, ttl)
