"""Audio maths: sample formats, resampling, re-chunking. Mono int16 inside, whatever comes in."""

from __future__ import annotations

import functools

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Mono PCM of shape (n,)."""

Audio = tuple[int, NDArray[np.int16]]
"""What handlers see: (sample rate in Hz, int16 array of shape (1, n))."""

FRAME_SECONDS = 0.02


def audio_to_int16(audio: NDArray[np.generic] | tuple[int, NDArray[np.generic]]) -> NDArray[np.int16]:
    """Convert float audio in [-1, 1] to int16; louder samples are clipped. int16 passes unchanged; a rate
    beside it is ignored.

    Raises TypeError for any dtype but int16, float32 and float64.
    """
    if isinstance(audio, tuple):
        audio = audio[1]
    if audio.dtype == np.int16:
        return audio.astype(np.int16, copy=False)
    if audio.dtype in (np.float32, np.float64):
        scaled: NDArray[np.float32] = audio.astype(np.float32) * np.float32(32767)
        return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)
    raise TypeError(f"Unsupported audio data type: {audio.dtype}. Use int16, or float32 between -1 and 1.")


def audio_to_float32(audio: NDArray[np.generic] | tuple[int, NDArray[np.generic]]) -> NDArray[np.float32]:
    """Convert int16 audio to float32 in [-1, 1). float32 and float64 pass as float32; a rate beside it is ignored.

    Raises TypeError for any dtype but int16, float32 and float64.
    """
    if isinstance(audio, tuple):
        audio = audio[1]
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(32768)
    if audio.dtype in (np.float32, np.float64):
        return audio.astype(np.float32, copy=False)
    raise TypeError(f"Unsupported audio data type: {audio.dtype}. Use int16, or float32 between -1 and 1.")


def to_mono(audio: NDArray[np.generic]) -> Samples:
    """Bring a handler's array to mono int16 of shape (n,): (n,), (1, n), and (channels, n) averaged.

    Raises TypeError for a wrong dtype and ValueError for a wrong shape.
    """
    samples = audio_to_int16(np.asarray(audio))
    if samples.ndim == 1:
        return samples
    if samples.ndim == 2 and samples.shape[0] == 1:
        return samples.reshape(-1)
    if samples.ndim == 2 and samples.shape[0] <= 8:
        return np.asarray(np.rint(samples.mean(axis=0)), np.int16)
    raise ValueError(f"Audio has shape {samples.shape}. Use (n,), (1, n) for mono or (2, n) for stereo.")


class Resampler:
    """Resamples a mono stream. Keeps the filter's state, so that chunks join without clicks."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self.source_rate = source_rate
        self.target_rate = target_rate
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=target_rate)

    def push(self, samples: Samples) -> Samples:
        if self.source_rate == self.target_rate or not samples.size:
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None, :], format="s16", layout="mono")
        frame.sample_rate = self.source_rate
        return _joined(self._resampler.resample(frame))

    def flush(self) -> Samples:
        """Return what the filter still holds. The resampler cannot be used afterwards."""
        if self.source_rate == self.target_rate:
            return np.zeros(0, np.int16)
        return _joined(self._resampler.resample(None))


class FrameResampler:
    """A Resampler between rates of which one is a multiple of the other: at half the cost, and frame for frame.

    From the first push on as many samples come out as the rates say; what goes beyond a multiple of BLOCK samples of
    the lower rate waits for the next. The filter is linear in phase and late by half of LOBES such samples: flat to
    0.86 of their Nyquist frequency, 60 dB down from 1.1 of it.
    """

    LOBES = 32
    BLOCK = 8

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self.source_rate = source_rate
        self.target_rate = target_rate
        self._matrix, self._step = _interpolation(source_rate, target_rate)
        self._kept = np.zeros(len(self._matrix) - self._step, np.float32)
        self._heard = self._kept

    def push(self, samples: Samples) -> Samples:
        most = self.source_rate  # in one product, which needs a multiple of the memory
        if samples.size > most:
            return np.concatenate([self.push(samples[at : at + most]) for at in range(0, samples.size, most)])
        heard = np.concatenate((self._heard, samples), dtype=np.float32)
        blocks = (heard.size - self._kept.size) // self._step
        self._heard = heard[blocks * self._step :]
        shape = (blocks, len(self._matrix))
        # Copied, because BLAS takes no rows that overlap.
        windows: NDArray[np.float32] = np.ndarray(shape, np.float32, heard, 0, (4 * self._step, 4)).copy()
        made = (windows @ self._matrix).reshape(-1)
        np.rint(made, out=made)
        np.minimum(made, 32767, out=made)
        np.maximum(made, -32768, out=made)
        return made.astype(np.int16)

    def flush(self) -> Samples:
        """Return what the filter still holds. The resampler cannot be used afterwards."""
        return self.push(np.zeros((self.LOBES // 2 // self.BLOCK + 1) * self._step, np.int16))


@functools.cache
def _interpolation(source_rate: int, target_rate: int) -> tuple[NDArray[np.float32], int]:
    """The filter as a matrix, from a window of input samples to a block of output, and the window's step."""
    factor, is_up = max(source_rate, target_rate) // min(source_rate, target_rate), target_rate > source_rate
    lobes, block = FrameResampler.LOBES, FrameResampler.BLOCK
    taps = lobes * factor  # of the filter, at the higher rate
    moments = (np.arange(taps) - (taps - 1) / 2) / factor
    response = np.sinc(0.97 * moments) * np.kaiser(taps, 6.0)
    response *= (factor if is_up else 1) / response.sum()
    if not is_up:
        matrix = np.zeros((block * factor + taps - factor, block), np.float32)
        for output in range(block):
            matrix[output * factor : output * factor + taps, output] = response
        return matrix, block * factor
    matrix = np.zeros((block + lobes - 1, block * factor), np.float32)
    for output in range(block * factor):
        start, phase = divmod(output, factor)
        matrix[start : start + lobes, output] = response[phase::factor][::-1]
    return matrix, block


def streaming_resampler(source_rate: int, target_rate: int) -> Resampler | FrameResampler:
    """What is best for a conversation's frames between two rates."""
    low, high = sorted((source_rate, target_rate))
    whole = high > low and high % low == 0
    return (FrameResampler if whole else Resampler)(source_rate, target_rate)


class Decimator:
    """Lowers the rate of a mono stream by a whole factor; int16 in, float32 in [-1, 1) out.

    As many samples come out as went in, divided by the factor: chunks are multiples of it. The filter is linear in
    phase: flat to 0.75 of the new Nyquist frequency, 70 dB down from 1.25 of it, late by 8 output samples.
    """

    def __init__(self, factor: int) -> None:
        self.factor = factor
        taps = 16 * factor
        moments = (np.arange(taps) - (taps - 1) / 2) / factor
        response = np.sinc(0.92 * moments) * np.kaiser(taps, 6.0)
        self._taps = (response / response.sum() / 32768).astype(np.float32)
        self._heard = np.zeros(taps - factor, np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        heard = np.concatenate([self._heard, samples.astype(np.float32)])
        self._heard = heard[samples.size :]
        shape = (samples.size // self.factor, self._taps.size)
        # numpy's own as_strided takes longer than the product.
        windows: NDArray[np.float32] = np.ndarray(shape, np.float32, heard, 0, (4 * self.factor, 4))
        lowered: NDArray[np.float32] = windows @ self._taps
        return lowered


def _joined(frames: list[av.AudioFrame]) -> Samples:
    parts: list[Samples] = [frame.to_ndarray()[0] for frame in frames]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Resample a whole signal at once."""
    resampler = Resampler(source_rate, target_rate)
    return np.concatenate([resampler.push(samples), resampler.flush()])


class Chunker:
    """Cuts a stream of samples into chunks of exact sizes; the rest waits for more."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.int16)

    def push(self, samples: Samples) -> None:
        self._rest = np.concatenate([self._rest, samples]) if self._rest.size else samples

    def take(self, count: int) -> Samples | None:
        """Return the next ``count`` samples, or None when there are fewer."""
        if self._rest.size < count:
            return None
        chunk, self._rest = self._rest[:count], self._rest[count:]
        return chunk

    def __len__(self) -> int:
        return int(self._rest.size)
