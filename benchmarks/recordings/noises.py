"""Sounds that are no speech, which must neither start a turn nor stop a reply: made here, and recorded ones.

The recorded ones are the sound library of Scratch, in its Debian package. Those made here are the same at each call.
"""

import io
from collections.abc import Callable

import av
import numpy as np
import numpy.typing as npt

from benchmarks.recordings import Recording
from benchmarks.recordings.audio import surrounded
from benchmarks.recordings.packages import Package, Source, fetch
from streams.media.audio import Samples

RATE = 16_000
Wave = npt.NDArray[np.float64]
"""Samples at RATE, full scale is 1."""

_SCRATCH = Package("debian", "scratch", "1.4.0.6~dfsg1-6.1", "CC-BY-SA-3.0")
_HOLD_MUSIC = Package("debian", "asterisk-moh-opsound-wav", "2.03-1.1", "CC-BY-SA-3.0")
RECORDED = {
    "coughs-man": ("Human/Cough-male.wav", "44c01df16d3a7ddf193faef52d02a3022d2b32ddb7eaf4c2b67a7bedadcb671d"),
    "coughs-woman": ("Human/Cough-female.wav", "4816121b99099ae3e47b0faf812f1363366fcb7d5aabf62e6e86098af1b2116b"),
    "sneeze-man": ("Human/Sneeze-male.wav", "e2882515cb06d9b6b5eea8b7708decc601a6979ec0e3da57608e9ca92f4f0120"),
    "sneeze-woman": ("Human/Sneeze-female.wav", "f09108ed11eadcc82c1f2bc1b9370d34411347c187f849174275d5f8f14c1191"),
    "footsteps": ("Human/Footsteps-1.wav", "2f3d59f709634bb6ab04a7b890598e2c606b8907b09d30deeb856525b60ac205"),
    "finger-snap": ("Human/FingerSnap.wav", "ce53a1743515d1204ad357453488dd89eb8c646837d434010d707f2d6fef1dbb"),
    "hand-clap": ("Percussion/HandClap.wav", "3156e1aa9551cec5de50cd9cd940599064615a4dff8eeaf721343cae278438cd"),
    "door-slam": ("Effects/DoorClose.mp3", "feab133134b34ad1651dddde7303e634af56875336a6da006b281e2e9da83b40"),
    "door-creak": ("Effects/DoorCreak.wav", "28d106d47ed0e18f35434790b738329c01d7aaa270387ed73b7e74878ffe926b"),
    "typing": ("Effects/Typing.mp3", "1a63d6bf725ca930a0776e7b8d7ac47d52fb37866f8bc1414c77770fbff4df3b"),
    "rattle": ("Effects/Rattle.wav", "42352cfd678c23a8b219c31d1962adbfb4836e5969c852d0da9081d6cfe0d725"),
    "car": ("Effects/CarPassing.wav", "74ba26ab7138045155b9abaf2e0dc92f6994e92803fadebb915ecb19a226779c"),
    "dog": ("Animal/Dog1.wav", "9c5cbb173c58e12b9567a43d76a6d586f020ccefd4d0073b8bcc6d3f561c604e"),
    "guitar": ("Music Loops/GuitarChords1.mp3", "a0f66a0dcb736c06954d0871ba0d7a849099296ab9d98ed1b75858326a4ff5a3"),
    "brass": ("Music Loops/Triumph.mp3", "a73041465222fb1b8aa5dec5b0a11d8767130a071d71c22aa9056ab8fa2c2db7"),
    "beat": ("Music Loops/HipHop.mp3", "0a63cb69a84ed7d6d2a632dcd842324469741f990819525f14aeb94bcb017e17"),
}
_HOLD = Source(
    _HOLD_MUSIC,
    "./usr/share/asterisk/moh/manolo_camp-morning_coffee.wav",
    "43540271262ebb37f5a760dea62686cc30dc379d85757a83f79b8bc0dce8bedb",
)
_HOLD_SECONDS = 20.0
_FIRST_COUGH = {"coughs-man": 0.24, "coughs-woman": 0.32}
"""Seconds until the second: both cough three times. What is cut out is short, and so is what a detector makes of it."""


def load() -> list[Recording]:
    """Every sound, with the room's silence around it and no utterance. Raises FetchFailed."""
    made = [_recording(name, RATE, _pcm(wave())) for name, wave in MADE.items()]
    recorded = [_recording(name, *_decoded(fetch(_scratch(name)))) for name in RECORDED]
    rate, music = _decoded(fetch(_HOLD))
    hold = _recording("hold-music", rate, music[: round(_HOLD_SECONDS * rate)])
    return [*made, *recorded, *_single_coughs(), hold]


def _single_coughs() -> list[Recording]:
    coughs = []
    for name, seconds in _FIRST_COUGH.items():
        rate, sound = _decoded(fetch(_scratch(name)))
        coughs.append(_recording(name.replace("coughs", "cough"), rate, sound[: round(seconds * rate)]))
    return coughs


def _scratch(name: str) -> Source:
    path, sha256 = RECORDED[name]
    return Source(_SCRATCH, f"./usr/share/scratch/Media/Sounds/{path}", sha256)


def white(level: float, seconds: float = 4.0) -> Wave:
    """Noise of ``level`` dBFS (RMS)."""
    noise = np.random.default_rng(1).standard_normal(round(seconds * RATE))
    return noise * 10 ** (level / 20)


def pink(level: float, seconds: float = 4.0) -> Wave:
    """Noise of ``level`` dBFS (RMS) whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(white(0.0, seconds))
    spectrum[1:] /= np.sqrt(np.arange(1, spectrum.size))
    noise = np.fft.irfft(spectrum, round(seconds * RATE))
    return noise / noise.std() * 10 ** (level / 20)


def hum(level: float, seconds: float = 4.0) -> Wave:
    """A mains hum of 50 Hz with harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = np.sum([np.sin(2 * np.pi * 50 * n * time + n) / n for n in (1, 2, 3, 4, 5, 6, 8, 10)], axis=0)
    return np.asarray(tones / tones.std() * 10 ** (level / 20))


def slam() -> Wave:
    """A door: a click, a thud at 70 Hz, and a burst of noise that dies away in the room."""
    time = np.arange(round(0.8 * RATE)) / RATE
    burst = _below(white(-10.0, 0.8), 1500.0) * np.exp(-time / 0.06)
    thud = 0.6 * np.sin(2 * np.pi * 70 * time) * np.exp(-time / 0.09)
    click = white(-8.0, 0.8) * np.exp(-time / 0.004)
    return burst + thud + click


def cough() -> Wave:
    """The three phases of one cough: explosion, breathy middle, and a short voiced end."""
    time = np.arange(round(0.42 * RATE)) / RATE
    breath = _below(white(0.0, 0.42), 3500.0)
    explosion = 0.5 * breath * np.exp(-time / 0.025)
    middle = 0.12 * breath * np.exp(-(((time - 0.13) / 0.09) ** 2))
    voice = np.sign(np.sin(2 * np.pi * 180 * time)) * 0.12 * np.exp(-(((time - 0.32) / 0.04) ** 2))
    return explosion + middle + _below(voice, 1200.0)


def tune() -> Wave:
    """Eight notes of a plucked instrument over a held chord."""
    melody = [392.0, 440.0, 493.9, 523.3, 587.3, 523.3, 493.9, 392.0]
    notes = np.concatenate([_note(pitch, 0.4, decay=0.15) for pitch in melody])
    chord = sum(_note(pitch, 3.2, decay=3.0) for pitch in (130.8, 164.8, 196.0))
    return 0.25 * notes + 0.08 * chord


MADE: dict[str, Callable[[], Wave]] = {
    "white-60": lambda: white(-60.0),
    "white-40": lambda: white(-40.0),
    "white-25": lambda: white(-25.0),
    "pink-60": lambda: pink(-60.0),
    "pink-40": lambda: pink(-40.0),
    "pink-25": lambda: pink(-25.0),
    "hum-40": lambda: hum(-40.0),
    "hum-25": lambda: hum(-25.0),
    "made-slam": slam,
    "made-cough": cough,
    "made-tune": tune,
}


def _note(pitch: float, seconds: float, decay: float) -> Wave:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * n * time) / n**1.5 for n in range(1, 9))
    envelope = np.minimum(time / 0.01, 1.0) * np.exp(-time / decay) * np.minimum((seconds - time) / 0.02, 1.0)
    return np.asarray(tone * envelope)


def _below(wave: Wave, cutoff: float) -> Wave:
    """A gentle low pass: -6 dB at the cutoff."""
    spectrum = np.fft.rfft(wave)
    frequencies = np.fft.rfftfreq(wave.size, 1 / RATE)
    return np.fft.irfft(spectrum / (1 + (frequencies / cutoff) ** 2), wave.size)


def _pcm(wave: Wave) -> Samples:
    return np.asarray(np.clip(np.round(wave * 32767), -32768, 32767), dtype=np.int16)


def _decoded(content: bytes) -> tuple[int, Samples]:
    with av.open(io.BytesIO(content), "r") as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return rate, np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _recording(name: str, rate: int, sound: Samples) -> Recording:
    quiet = np.zeros(rate, dtype=np.int16)
    return Recording(name, "noise", "report", rate, surrounded(sound, rate, quiet), [])
