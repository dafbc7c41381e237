"""Twilio's Network Traversal Service. Source: twilio.com/docs/stun-turn/api: POST …/Accounts/{sid}/Tokens.json.

Over HTTP and not with Twilio's library, which has no time limit of its own and blocks.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from turn.ice_servers import IceServer, understood
from turn.providers.http import HTTPProvider


@dataclass(frozen=True, kw_only=True)
class Twilio(HTTPProvider):
    """account_sid, auth_token: of the account; credentials live 24 hours at most"""

    title = "Twilio"
    key = "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"

    account_sid: str
    auth_token: str = field(repr=False)
    base_url: str = "https://api.twilio.com/2010-04-01"

    def request(self, ttl: int) -> dict[str, Any]:
        basic = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        return {
            "method": "POST",
            "url": f"{self.base_url}/Accounts/{self.account_sid}/Tokens.json",
            "headers": {"Authorization": f"Basic {basic}"},
            "data": {"Ttl": str(ttl)},
        }

    def understand(self, answer: Any, ttl: int) -> tuple[list[IceServer], int]:
        return understood(answer["ice_servers"]), min(ttl, int(answer.get("ttl", ttl)))
