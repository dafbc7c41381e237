"""What of a list of ICE servers this server's own end can use."""

import pytest
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from turn.ice_servers import for_aiortc


def test_aiortc_is_given_the_one_stun_and_the_one_turn_server_it_can_use() -> None:
    urls = ["turns:a?transport=udp", "turn:[::1]:3478", "turn:b:80?transport=tcp", "turn:c"]
    relays = {"urls": urls, "username": "u", "credential": "c"}
    chosen = for_aiortc([{"urls": ["stuns:a", "stun:b"]}, {"urls": "stun:c"}, relays])
    assert chosen == [{"urls": "stun:b"}, {"urls": "turn:b:80?transport=tcp", "username": "u", "credential": "c"}]
    used = connection_kwargs([RTCIceServer(**server) for server in chosen])
    assert (used["stun_server"], used["turn_server"], used["turn_transport"]) == (("b", 3478), ("b", 80), "tcp")
    assert for_aiortc([]) == []


@pytest.mark.parametrize("url", ["turn:[::1]:3478", "turn:a?transport=tls", "turn://a", "turn:a:port", "http:a", ""])
def test_what_aiortc_trips_over_never_reaches_it(url: str) -> None:
    assert for_aiortc([{"urls": url, "username": "u", "credential": "c"}]) == []
