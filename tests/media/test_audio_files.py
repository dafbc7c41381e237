import io
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from streams.media import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_bytes,
    audio_to_file,
)

TONE = (8000 * np.sin(2 * np.pi * 500 * np.arange(24000) / 24000)).astype(np.int16)


@pytest.mark.parametrize("samples", [TONE, TONE[None, :], TONE.astype(np.float32) / 32768])
def test_audio_as_mp3_sounds_the_same(samples: np.ndarray) -> None:
    with av.open(io.BytesIO(audio_to_bytes((24000, samples))), "r") as container:
        assert container.streams.audio[0].sample_rate == 24000
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert heard.size == pytest.approx(24000, abs=2500)
    assert np.abs(heard[6000:18000]).max() == pytest.approx(8000 / 32768, rel=0.1)


def test_audio_as_a_file() -> None:
    path = Path(audio_to_file((24000, TONE)))
    try:
        assert path.suffix == ".mp3" and path.stat().st_size > 1000
    finally:
        path.unlink()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_bytes_in_pieces_of_any_size(size: int) -> None:
    data = TONE[:1001].tobytes()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    async def one_by_one() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    chunks = list(aggregate_bytes_to_16bit(iter(pieces)))
    assert all(chunk.shape[0] == 1 and chunk.dtype == np.int16 for chunk in chunks)
    assert np.array_equal(np.concatenate(chunks, axis=1)[0], TONE[:1001])
    async_chunks = [chunk async for chunk in async_aggregate_bytes_to_16bit(one_by_one())]
    assert np.array_equal(np.concatenate(async_chunks, axis=1)[0], TONE[:1001])
