"""Audio as MP3, and raw PCM bytes as audio."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streams.media.audio import Samples, to_mono

Pcm16 = NDArray[np.int16]
"""Shape (1, n)."""


def audio_to_bytes(audio: tuple[int, NDArray[Any]]) -> bytes:
    """Encode (sample rate, int16 or float32 array) as MP3, mono."""
    rate, samples = audio
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(to_mono(samples))[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        frame.pts = 0
        for part in av.AudioResampler(format=stream.format.name, layout="mono", rate=rate).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def audio_to_file(audio: tuple[int, NDArray[Any]]) -> str:
    """Write the audio as MP3 to a temporary file and return its path. Deleting it is up to the caller."""
    with tempfile.NamedTemporaryFile(suffix=".mp3", delete=False) as file:
        file.write(audio_to_bytes(audio))
    return file.name


def aggregate_bytes_to_16bit(chunks: Iterator[bytes]) -> Iterator[Pcm16]:
    """Turn raw little-endian PCM16, in pieces of any size, into int16 arrays of shape (1, n)."""
    rest = b""
    for chunk in chunks:
        samples, rest = _whole_samples(rest + chunk)
        if samples.size:
            yield samples[None, :]


async def async_aggregate_bytes_to_16bit(chunks: AsyncIterator[bytes]) -> AsyncIterator[Pcm16]:
    """The same for an async iterator."""
    rest = b""
    async for chunk in chunks:
        samples, rest = _whole_samples(rest + chunk)
        if samples.size:
            yield samples[None, :]


def _whole_samples(data: bytes) -> tuple[Samples, bytes]:
    whole = len(data) & ~1
    return np.frombuffer(data[:whole], "<i2").astype(np.int16), data[whole:]
