"""A list of servers whose credentials do not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from turn.ice_servers import IceServer, problem, understood
from turn.providers.base import Credentials, LocalProvider, Misconfigured


@dataclass(frozen=True)
class Static(LocalProvider):
    """ice_servers: each {"urls": …, "username": …, "credential": …}

    Whoever opens the page can read them and use the relay for anything, for as long as they live.
    """

    ice_servers: Sequence[IceServer] = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.ice_servers, list | tuple):
            raise Misconfigured("ice_servers must be a list of dictionaries.")
        for index, server in enumerate(self.ice_servers):
            if wrong := problem(server):
                raise Misconfigured(f"ice_servers[{index}]: {wrong}")

    def fetch_sync(self, user: str, ttl: int) -> Credentials:
        return Credentials(understood(self.ice_servers))
