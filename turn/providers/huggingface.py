"""Cloudflare's TURN service on Hugging Face's account, for whoever has a token there. FastRTC's default.

Source: FastRTC's documentation, "Deployment". Ten gigabytes a month for each Hugging Face account.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from turn.ice_servers import IceServer
from turn.providers.cloudflare import cloudflare_servers
from turn.providers.http import HTTPProvider


@dataclass(frozen=True, kw_only=True)
class HuggingFace(HTTPProvider):
    """token: an access token of huggingface.co"""

    title = "Hugging Face's TURN endpoint"
    key = "HF_TOKEN"

    token: str = field(repr=False)
    base_url: str = "https://turn.fastrtc.org"

    def request(self, ttl: int) -> dict[str, Any]:
        return {
            "method": "GET",
            "url": f"{self.base_url}/credentials",
            "headers": {"Authorization": f"Bearer {self.token}"},
            "params": {"ttl": ttl},
        }

    def understand(self, answer: Any, ttl: int) -> tuple[list[IceServer], int]:
        return cloudflare_servers(answer), ttl
