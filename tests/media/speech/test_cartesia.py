"""Cartesia, as a local server that speaks its protocol."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from streams.media.speech.cartesia import CartesiaTTS, CartesiaTTSOptions
from streams.media.speech.conformance import TextToSpeechContract
from streams.media.speech.engines import EngineUnavailable
from streams.media.speech.synthesis import SynthesisFailed, TextToSpeech, get_tts_model

KEY = "sk_car_test"


class Studio(ThreadingHTTPServer):
    """POST /tts/bytes of docs.cartesia.ai, version 2026-03-01: chunks of raw PCM, or JSON that says why not."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.asked: list[dict[str, Any]] = []
        self.connections: set[Any] = set()
        self.refusal = 0
        self.cut_off = False
        self.arrived = threading.Semaphore(0)
        self.answer = threading.Event()
        self.answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Studio

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.connections.add(self.client_address)
        self.server.arrived.release()
        self.server.answer.wait()
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.refuse(401, "Invalid API key")
        elif self.server.refusal:
            self.refuse(self.server.refusal, "Something is wrong")
        elif self.path != "/tts/bytes" or self.headers["Cartesia-Version"] != "2026-03-01" or not well_formed(body):
            self.refuse(400, "Malformed request")
        else:
            self.speak(body)

    def refuse(self, status: int, message: str) -> None:
        content = json.dumps({"error_code": None, "title": "Refused", "message": message, "request_id": "1"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def speak(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "audio/pcm")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pcm = tone(len(body["transcript"]) * 0.07, body["output_format"]["sample_rate"]).tobytes()
        chunks = [pcm[at : at + 3001] for at in range(0, len(pcm), 3001)]
        for chunk in chunks[:2] if self.server.cut_off else [*chunks, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.close_connection = self.server.cut_off

    def log_message(self, format: str, *args: Any) -> None:
        """The test's output is no server log."""


def well_formed(body: dict[str, Any]) -> bool:
    return (
        body["voice"].keys() == {"mode", "id"}
        and body["output_format"].keys() == {"container", "encoding", "sample_rate"}
        and (body["output_format"]["container"], body["output_format"]["encoding"]) == ("raw", "pcm_s16le")
        and bool(body["transcript"].strip())
        and body.keys() <= {"model_id", "transcript", "voice", "language", "output_format", "generation_config"}
    )


def tone(seconds: float, rate: int) -> np.ndarray[Any, Any]:
    return (8000 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate)).astype("<i2")


@pytest.fixture
def studio() -> Iterator[Studio]:
    server = Studio()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cartesia(studio: Studio) -> Iterator[CartesiaTTS]:
    engine = CartesiaTTS(KEY, base_url=studio.url)
    yield engine
    engine.close()


class TestContract(TextToSpeechContract):
    @pytest.fixture
    def engine(self, cartesia: CartesiaTTS) -> TextToSpeech:
        return cartesia


def test_what_comes_is_what_was_sent(cartesia: CartesiaTTS, studio: Studio) -> None:
    rate, samples = cartesia.tts("Hello there.", CartesiaTTSOptions(sample_rate=16000))
    assert rate == 16000
    assert samples[0].tolist() == tone(12 * 0.07, 16000).tolist()
    assert studio.asked == [
        {
            "model_id": "sonic-3.5",
            "transcript": "Hello there.",
            "voice": {"mode": "id", "id": "71a7ad14-091c-4e8e-a314-022ece01c121"},
            "language": "en",
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        }
    ]


def test_options_reach_it(cartesia: CartesiaTTS, studio: Studio) -> None:
    options = CartesiaTTSOptions(voice="v", language="de", emotion=["angry"], model="sonic-3", speed=1.2)
    cartesia.tts("Guten Tag.", options)
    (asked,) = studio.asked
    assert (asked["voice"]["id"], asked["language"], asked["model_id"]) == ("v", "de", "sonic-3")
    assert asked["generation_config"] == {"emotion": "angry", "speed": 1.2}


def test_it_is_heard_while_it_is_made(cartesia: CartesiaTTS) -> None:
    parts = [samples.size for _, samples in cartesia.stream_tts_sync("A sentence of some length.")]
    assert len(parts) > 1
    assert sum(parts) == round(26 * 0.07 * 22050)


def test_sentences_share_a_connection(cartesia: CartesiaTTS, studio: Studio) -> None:
    cartesia.tts("One. Two. Three.")
    cartesia.tts("Four.")
    assert [asked["transcript"] for asked in studio.asked] == ["One.", "Two.", "Three.", "Four."]
    assert len(studio.connections) == 1


@pytest.mark.real_time
async def test_it_speaks_in_the_event_loop(cartesia: CartesiaTTS) -> None:
    parts = [samples.size async for _, samples in cartesia.stream_tts("One. Two.")]
    assert sum(parts) == 2 * round(4 * 0.07 * 22050)


@pytest.mark.real_time
async def test_a_slow_answer_keeps_nobody_waiting(cartesia: CartesiaTTS, studio: Studio) -> None:
    """More of them than there are threads for engines that compute, and one that is well."""
    studio.answer.clear()
    waiting = [asyncio.create_task(anext(cartesia.stream_tts("One."))) for _ in range(4)]
    for _ in waiting:
        await asyncio.to_thread(studio.arrived.acquire)
    speech = get_tts_model("pico").stream_tts("Two.")
    assert (await anext(speech))[1].size
    await speech.aclose()
    studio.answer.set()
    assert len(await asyncio.gather(*waiting)) == 4


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Cartesia refused the request. It said (400): Something is wrong"),
        (402, "The credits of the Cartesia account are used up."),
        (403, "This API key of Cartesia's may not do that."),
        (429, "Cartesia is asked for more at a time than the account allows. It said (429): Something is wrong"),
        (500, "Cartesia is out of order. It said (500): Something is wrong"),
        (503, "Cartesia is out of order."),
    ],
)
def test_a_refusal_is_told_in_words(cartesia: CartesiaTTS, studio: Studio, status: int, words: str) -> None:
    studio.refusal = status
    with pytest.raises(SynthesisFailed, match=re.escape(words)):
        cartesia.tts("One.")
    studio.refusal = 0
    assert cartesia.tts("One.")[1].size


@pytest.mark.real_time
async def test_a_wrong_key(studio: Studio) -> None:
    engine = CartesiaTTS("sk_car_wrong", base_url=studio.url)
    with pytest.raises(SynthesisFailed, match=r"does not know the API key\. Check CARTESIA_API_KEY") as raised:
        await anext(engine.stream_tts("One."))
    assert "sk_car" not in str(raised.value)
    engine.close()


def test_silence_has_an_end(studio: Studio) -> None:
    studio.answer.clear()
    engine = CartesiaTTS(KEY, base_url=studio.url, timeout=0.1)
    with pytest.raises(SynthesisFailed, match=re.escape("Cartesia was silent for 0.1 seconds.")):
        engine.tts("One.")
    engine.close()


def test_an_answer_that_breaks_off(cartesia: CartesiaTTS, studio: Studio) -> None:
    studio.cut_off = True
    speech = cartesia.stream_tts_sync("A sentence of some length.")
    assert next(speech)[1].size == 1500
    with pytest.raises(SynthesisFailed, match="Cartesia's answer broke off"):
        list(speech)


def test_nobody_there() -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        engine = CartesiaTTS(KEY, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SynthesisFailed, match="Cartesia cannot be reached"):
            engine.tts("One.")
        engine.close()


def test_the_key_may_come_from_the_environment(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    with pytest.raises(EngineUnavailable, match=r"needs an API key\. Set CARTESIA_API_KEY"):
        get_tts_model("cartesia")
    monkeypatch.setenv("CARTESIA_API_KEY", KEY)
    engine = CartesiaTTS(base_url=studio.url)
    assert engine.tts("One.")[1].size
    engine.close()


def test_fastrtcs_parameters() -> None:
    engine = CartesiaTTS(cartesia_api_key=KEY)
    engine.close()
    options = CartesiaTTSOptions("v", "en", [], "2024-06-10", "sonic-2", 16000)
    assert options.body("Hi.")["model_id"] == "sonic-2"
