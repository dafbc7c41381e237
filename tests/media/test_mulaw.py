"""G.711 mu-law, compared with a table that Python 3.11's audioop made."""

import hashlib

import numpy as np

from streams.media import mulaw

# The positive half of what each code means, from the loudest.
MEANS = [
    *range(32124, 15996, -1024),
    *range(15996, 7932, -512),
    *range(7932, 3900, -256),
    *range(3900, 1884, -128),
    *range(1884, 876, -64),
    *range(876, 372, -32),
    *range(372, 120, -16),
    *range(120, -8, -8),
]
SHA256_OF_ALL_CODES = "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a"


def test_all_256_codes() -> None:
    assert mulaw.decode(bytes(range(256))).tolist() == [-value for value in MEANS] + MEANS


def test_all_65536_samples() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    assert hashlib.sha256(mulaw.encode(samples)).hexdigest() == SHA256_OF_ALL_CODES


def test_some_samples_to_read() -> None:
    samples = np.array([0, 1, -1, 1000, -1000, 32767, -32768], np.int16)
    assert list(mulaw.encode(samples)) == [255, 255, 126, 206, 78, 128, 0]


def test_nothing() -> None:
    assert mulaw.encode(np.zeros(0, np.int16)) == b""
    assert mulaw.decode(b"").size == 0


def test_samples_that_are_not_contiguous() -> None:
    samples = np.arange(0, 2000, 1, dtype=np.int16)
    assert mulaw.encode(samples[::2]) == mulaw.encode(samples[::2].copy())
