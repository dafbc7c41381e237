"""Cartesia's voices, over HTTP. Source: docs.cartesia.ai, POST /tts/bytes, version 2026-03-01: PCM as it is made."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streams.media.audio import Samples
from streams.media.audio_files import aggregate_bytes_to_16bit
from streams.media.speech.engines import EngineUnavailable
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer, in_thread

ADDRESS = "https://api.cartesia.ai"
IDLE = 60.0
"""Seconds for which a connection is kept: a new one costs three round trips before the first word."""

REFUSALS = {
    401: "Cartesia does not know the API key. Check CARTESIA_API_KEY.",
    402: "The credits of the Cartesia account are used up.",
    403: "This API key of Cartesia's may not do that.",
    429: "Cartesia is asked for more at a time than the account allows.",
}


@dataclass
class CartesiaTTSOptions:
    """voice: its id · language: "en", "de", … · emotion: the first one counts · cartesia_version: of the protocol
    · model: what speaks · sample_rate: in Hz: 8000, 16000, 22050, 24000, 44100 or 48000 · speed: 0.6 to 1.5
    """

    voice: str = "71a7ad14-091c-4e8e-a314-022ece01c121"
    language: str = "en"
    emotion: list[str] = field(default_factory=list)
    cartesia_version: str = "2026-03-01"
    model: str = "sonic-3.5"
    sample_rate: int = 22050
    speed: float = 1.0

    def body(self, text: str) -> dict[str, Any]:
        """The request for one sentence."""
        manner: dict[str, Any] = {"speed": self.speed} if self.speed != 1.0 else {}
        manner |= {"emotion": self.emotion[0]} if self.emotion else {}
        return {
            "model_id": self.model,
            "transcript": text,
            "voice": {"mode": "id", "id": self.voice},
            "language": self.language,
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": self.sample_rate},
            **({"generation_config": manner} if manner else {}),
        }


class CartesiaTTS(Synthesizer[CartesiaTTSOptions]):
    """cartesia_api_key: or the environment's CARTESIA_API_KEY · timeout: seconds without a byte after which it fails

    Raises engines.EngineUnavailable without a key.
    """

    options_class = CartesiaTTSOptions

    def __init__(self, cartesia_api_key: str = "", base_url: str = ADDRESS, timeout: float = 5.0) -> None:
        key = self.check(cartesia_api_key)
        import httpx

        limits = httpx.Limits(keepalive_expiry=IDLE)
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, limits=limits)
        self._timeout = timeout

    @staticmethod
    def check(cartesia_api_key: str = "") -> str:
        """Return the key. Raises what the class raises."""
        key = cartesia_api_key or os.environ.get("CARTESIA_API_KEY", "")
        if not key:
            raise EngineUnavailable("Cartesia needs an API key. Set CARTESIA_API_KEY, or pass cartesia_api_key.")
        return key

    def rate(self, options: CartesiaTTSOptions) -> int:
        return options.sample_rate

    def say(self, text: str, options: CartesiaTTSOptions) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *self.parts(text, options)])

    def parts(self, text: str, options: CartesiaTTSOptions) -> Iterator[Samples]:
        with self._in_words(), self._client.stream("POST", "/tts/bytes", **_request(text, options)) as response:
            if response.is_error:
                raise SynthesisFailed(_refusal(response.status_code, response.read()))
            for samples in aggregate_bytes_to_16bit(response.iter_bytes()):
                yield samples[0]

    def async_parts(self, text: str, options: CartesiaTTSOptions) -> AsyncGenerator[Samples, None]:
        return in_thread(self.parts(text, options), "stream-cartesia")  # it waits, and so must not keep others waiting

    def close(self) -> None:
        """Close the connections that are kept for the next sentence."""
        self._client.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as error:
            raise SynthesisFailed(f"Cartesia was silent for {self._timeout:g} seconds.") from error
        except httpx.ConnectError as error:
            raise SynthesisFailed(f"Cartesia cannot be reached. {error}") from error
        except httpx.TransportError as error:
            raise SynthesisFailed(f"Cartesia's answer broke off. {error}") from error


def _request(text: str, options: CartesiaTTSOptions) -> dict[str, Any]:
    return {"json": options.body(text), "headers": {"Cartesia-Version": options.cartesia_version}}


def _refusal(status: int, body: bytes) -> str:
    """What a person can do about it, and what Cartesia says: JSON with a message, in older versions plain text."""
    default = "Cartesia is out of order." if status >= 500 else "Cartesia refused the request."
    said = body.decode(errors="replace")
    with suppress(ValueError, KeyError, TypeError):
        said = json.loads(said)["message"]
    return f"{REFUSALS.get(status, default)} It said ({status}): {str(said)[:200]}"
