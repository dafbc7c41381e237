"""Offers that cannot be answered: a clear refusal, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from django.test import AsyncClient

from streams.live.manager import manager
from tests.coturn import Coturn
from tests.loopback.conftest import MakePeer, poster


async def offer_with(*tracks: Any) -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in tracks:
        pc.addTrack(track)
    if not tracks:
        pc.createDataChannel("text")
    await pc.setLocalDescription(await pc.createOffer())
    sdp = str(pc.localDescription.sdp)
    await pc.close()
    return sdp


async def bad_offers() -> dict[str, tuple[Any, int, str]]:
    """Body, expected status and expected code, by what is wrong."""
    good = await offer_with(AudioStreamTrack())
    video = await offer_with(AudioStreamTrack(), VideoStreamTrack())
    unknown_codec = "\r\n".join(
        line.replace("opus/48000/2", "martian/48000/2") if "rtpmap" in line else line
        for line in good.splitlines()
        if not any(codec in line for codec in ("PCMU", "PCMA", "G722"))
    )
    return {
        "no sdp": ({"type": "offer"}, 400, "invalid_offer"),
        "empty sdp": ({"type": "offer", "sdp": ""}, 400, "invalid_offer"),
        "garbage": ({"type": "offer", "sdp": "\x00\xff nonsense"}, 400, "invalid_offer"),
        "half an offer": ({"type": "offer", "sdp": good[: len(good) // 2]}, 400, "invalid_offer"),
        "no media": (
            {"type": "offer", "sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"},
            400,
            "invalid_offer",
        ),
        "no ice": ({"type": "offer", "sdp": good.replace("a=ice-", "a=nice-")}, 400, "invalid_offer"),
        "no fingerprint": ({"type": "offer", "sdp": good.replace("a=fingerprint", "a=finger")}, 400, "invalid_offer"),
        "no known codec": ({"type": "offer", "sdp": unknown_codec}, 400, "invalid_offer"),
        "1 MB": ({"type": "offer", "sdp": good + "a=x\r\n" * 200_000}, 413, "offer_too_large"),
        "video": ({"type": "offer", "sdp": video}, 400, "unsupported_media"),
        "wrong type": ({"type": "answer", "sdp": good}, 422, "invalid_request"),
        "sdp is a number": ({"type": "offer", "sdp": 7}, 422, "invalid_request"),
        "sdp is a list": ({"type": "offer", "sdp": [good]}, 422, "invalid_request"),
        "no id": ({"type": "offer", "sdp": good, "webrtc_id": None}, 422, "invalid_request"),
        "bad id": ({"type": "offer", "sdp": good, "webrtc_id": "<script>"}, 422, "invalid_request"),
    }


async def post(body: Any) -> Any:
    if isinstance(body, dict):
        body = {"webrtc_id": "bad", **body}
    return await AsyncClient().post("/api/streams/echo/webrtc/offer", body, content_type="application/json")


async def test_bad_offers_get_a_clear_refusal_and_free_the_slot(transactional_db: None) -> None:
    for what, (body, status, code) in (await bad_offers()).items():
        response = await post(body)
        assert response.status_code == status, (what, response.content)
        failure = response.json()
        assert failure["status"] == "failed"
        assert failure["meta"]["error"] == code, what
        assert len(failure["meta"]["detail"]) > 10, what
        assert "Traceback" not in response.content.decode()
        assert len(manager) == 0, what


async def test_a_body_that_is_not_json_is_refused(transactional_db: None) -> None:
    response = await post("{not json")
    assert response.status_code in (400, 422)
    assert response.json()["status"] == "failed"


def own_threads() -> int:
    """All but the event loop's own pool, which grows to its fixed size when it likes."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


@pytest.fixture
def unlogged() -> Iterator[None]:
    """pytest keeps log records, and with them the requests."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def test_200_bad_offers_leave_nothing_behind(transactional_db: None, unlogged: None) -> None:
    bodies = [body for body, status, _ in (await bad_offers()).values() if status == 400]

    async def post_all(rounds: int) -> None:
        for n in range(rounds):
            await post(bodies[n % len(bodies)])
        await asyncio.sleep(0.05)  # closed sockets leave the loop one turn later
        gc.collect()

    await post_all(len(bodies) * 4)
    tracemalloc.start()
    tasks, threads = len(asyncio.all_tasks()), own_threads()
    before, _ = tracemalloc.get_traced_memory()
    await post_all(200)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(manager) == 0
    assert len(asyncio.all_tasks()) <= tasks
    assert own_threads() <= threads
    assert after - before < 400_000, "2 kB an offer; one peer connection has a hundred times more"


async def test_the_slot_of_a_bad_offer_is_free_for_the_next_visitor(peer: MakePeer, transactional_db: None) -> None:
    from streams.models import Stream

    await Stream.objects.filter(slug="echo-live").aupdate(concurrency_limit=1)
    for body, _, _ in (await bad_offers()).values():
        await AsyncClient().post(
            "/api/streams/echo-live/webrtc/offer", {"webrtc_id": "bad", **body}, content_type="application/json"
        )
    await peer().connect(poster("echo-live"))
    response = await poster("echo-live")(await peer().offer())
    assert response == {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}


async def test_an_id_in_use_is_refused_and_harms_nobody(peer: MakePeer, transactional_db: None) -> None:
    first = peer("same")
    await first.connect(poster("echo-live"))
    response = await poster("echo-live")(await peer("same").offer())
    assert response == {"status": "failed", "meta": {"error": "connection_already_exists"}}
    first.voice.say((np.sin(np.arange(48000) / 10) * 8000).astype(np.int16))
    await first.hears(0.5)
    assert len(manager) == 1


async def test_a_data_channel_without_media_is_accepted_and_counts(transactional_db: None) -> None:
    response = await post({"type": "offer", "sdp": await offer_with()})
    assert response.status_code == 200
    assert "webrtc-datachannel" in response.json()["sdp"]
    assert len(manager) == 1


@pytest.mark.parametrize(
    "candidate",
    [
        # Firefox: eight tokens
        {"candidate": "candidate:0 1 UDP 2122252543 127.0.0.1 50000 typ host", "sdpMid": "0", "sdpMLineIndex": 0},
        # Chromium
        {
            "candidate": "candidate:1 1 udp 2113937151 127.0.0.1 50001 typ host generation 0 ufrag abcd",
            "sdpMid": "0",
            "sdpMLineIndex": 0,
        },
        {
            "candidate": "candidate:2 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0",
            "sdpMid": "0",
            "sdpMLineIndex": 0,
        },
        {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0},
        None,
    ],
    ids=["firefox", "chromium", "tcp", "end", "none"],
)
async def test_trickled_candidates_are_taken(transactional_db: None, candidate: Any) -> None:
    response = await trickle(candidate)
    assert (response.status_code, response.json()) == (200, {"status": "success"})


async def trickle(candidate: Any, webrtc_id: str = "mine") -> Any:
    """Open the session "mine", and post a candidate as its owner."""
    client = AsyncClient()
    body = {"type": "offer", "sdp": await offer_with(AudioStreamTrack()), "webrtc_id": "mine"}
    url = "/api/streams/echo/webrtc/offer"
    answer = (await client.post(url, body, content_type="application/json")).json()
    return await client.post(
        url,
        {"type": "ice-candidate", "webrtc_id": webrtc_id, "candidate": candidate},
        content_type="application/json",
        headers={"Authorization": f"Bearer {answer['token']}"},
    )


@pytest.mark.parametrize(
    ("webrtc_id", "text", "code"),
    [
        ("mine", "candidate:rubbish", "invalid_candidate_format"),
        ("mine", "candidate:0 1 UDP x 127.0.0.1 y typ host", "invalid_candidate_format"),
        ("nobody", "candidate:0 1 UDP 2122252543 127.0.0.1 50000 typ host", "unknown_connection"),
    ],
)
async def test_bad_candidates_are_refused(transactional_db: None, webrtc_id: str, text: str, code: str) -> None:
    response = await trickle({"candidate": text, "sdpMid": "0"}, webrtc_id)
    assert response.json() == {"status": "failed", "meta": {"error": code}}


async def test_what_is_found_after_the_answer_comes_with_the_answer_to_the_last_candidate(
    transactional_db: None, settings: Any, coturn: Coturn
) -> None:
    settings.STREAMS_GATHERING_TIMEOUT = 0
    settings.STREAMS_SERVER_ICE_SERVERS = [coturn.ice_server("udp")]
    answer = await post({"type": "offer", "webrtc_id": "late", "sdp": await offer_with()})
    assert " typ relay" not in answer.json()["sdp"]
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    body = {"type": "ice-candidate", "webrtc_id": "late", "candidate": {"candidate": ""}}
    response = await AsyncClient().post(
        "/api/streams/echo/webrtc/offer", body, content_type="application/json", headers=headers
    )
    (late,) = response.json()["candidates"]
    assert " typ relay" in late["candidate"]
    again = {"type": "ice-candidate", "webrtc_id": "late", "candidate": None}
    response = await AsyncClient().post(
        "/api/streams/echo/webrtc/offer", again, content_type="application/json", headers=headers
    )
    assert response.json() == {"status": "success"}, "nothing more, as FastRTC's clients know it"
