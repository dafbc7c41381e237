"""Cloudflare's TURN service, with a key of one's own account.

Source: developers.cloudflare.com/realtime/turn/generate-credentials: POST …/credentials/generate-ice-servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from turn.ice_servers import IceServer, understood, urls_of
from turn.providers.http import HTTPProvider


@dataclass(frozen=True, kw_only=True)
class Cloudflare(HTTPProvider):
    """key_id, token: the TURN key's id and its API token; credentials live 48 hours at most"""

    title = "Cloudflare"
    key = "CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN"

    key_id: str
    token: str = field(repr=False)
    base_url: str = "https://rtc.live.cloudflare.com/v1"

    def request(self, ttl: int) -> dict[str, Any]:
        return {
            "method": "POST",
            "url": f"{self.base_url}/turn/keys/{self.key_id}/credentials/generate-ice-servers",
            "headers": {"Authorization": f"Bearer {self.token}"},
            "json": {"ttl": ttl},
        }

    def understand(self, answer: Any, ttl: int) -> tuple[list[IceServer], int]:
        return cloudflare_servers(answer), ttl


def cloudflare_servers(answer: Any) -> list[IceServer]:
    """Without Cloudflare's second port, 53: browsers refuse it after they have waited for it."""
    servers = understood(answer["iceServers"])
    for server in servers:
        server["urls"] = [url for url in urls_of(server) if not url.partition("?")[0].endswith(":53")]
    return [server for server in servers if server["urls"]]
