"""Time-limited credentials for a TURN server with a shared secret, such as coturn's ``use-auth-secret``.

Source: draft-uberti-behave-turn-rest-00, section 2.2. username: "<Unix time of expiry>:<user>"; credential: the
base64 of HMAC-SHA1 of the username, with the secret as the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from turn.ice_servers import is_relay, problem, urls_of
from turn.providers.base import Credentials, LocalProvider, Misconfigured


@dataclass(frozen=True)
class Coturn(LocalProvider):
    """urls: of the server, such as "turn:turn.example.org:3478"; STUN ones may be among them
    secret: the same as the server's, in its database (``turnadmin --set-secret``) or its ``static-auth-secret``
    """

    urls: Sequence[str] | str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secret or not isinstance(self.secret, str):
            raise Misconfigured("secret must be the shared secret of the TURN server.")
        server = {"urls": self.urls, "username": "user", "credential": "credential"}
        if wrong := problem(server):
            raise Misconfigured(wrong)
        if not is_relay(server):
            raise Misconfigured("urls must hold the address of the TURN server: turn:… or turns:…")

    def fetch_sync(self, user: str, ttl: int) -> Credentials:
        expires_at = int(time.time()) + ttl
        username = f"{expires_at}:{user}"
        digest = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        relay = {"username": username, "credential": base64.b64encode(digest).decode()}
        urls = urls_of({"urls": self.urls})
        stun = [{"urls": [url]} for url in urls if not url.startswith("turn")]
        turn = {"urls": [url for url in urls if url.startswith("turn")], **relay}
        return Credentials([*stun, turn], expires_at)
