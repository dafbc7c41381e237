"""eSpeak NG: more than a hundred languages, 22 050 Hz, plainly a machine. GPL-3, so it is not installed by default."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

import numpy as np

from streams.media.audio import Samples
from streams.media.speech.engines import EngineUnavailable, need_package
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer

# From espeak-ng's speak_lib.h.
SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
RATE, VOLUME, PITCH = 1, 2, 3
WORDS_PER_MINUTE = 175

Heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass
class EspeakTTSOptions:
    """voice: a language or voice of eSpeak's: "de", "en-us", "en-gb+f3" · speed: 0.5 to 2.5 · pitch, volume: 0 to 2

    Raises ValueError. Whether there is such a voice only the engine knows.
    """

    voice: str = "en-us"
    speed: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0

    def __post_init__(self) -> None:
        for name, least, most in [("speed", 0.5, 2.5), ("pitch", 0, 2), ("volume", 0, 2)]:
            if not least <= (value := getattr(self, name)) <= most:
                raise ValueError(f"eSpeak's {name} is {least} to {most}, not {value}.")


class EspeakTTS(Synthesizer[EspeakTTSOptions]):
    """Needs the package ``espeakng-loader``, which brings the library and its data.

    The library has one voice, one set of parameters and one callback in each process: one sentence at a time.
    """

    options_class = EspeakTTSOptions

    def __init__(self) -> None:
        self.check()
        import espeakng_loader

        self._lock = threading.Lock()
        self._parts: list[bytes] = []
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, DO_NOT_EXIT)
        if self._rate <= 0:
            raise EngineUnavailable("eSpeak cannot read its data. Install espeakng-loader again.")
        self._heard = Heard(self._collect)  # kept, as the library does not keep it
        self._library.espeak_SetSynthCallback(self._heard)

    @staticmethod
    def check() -> None:
        need_package("espeakng_loader", "eSpeak is missing. Run: pip install 'django-rtc-streams[espeak]'")

    def rate(self, options: EspeakTTSOptions) -> int:
        return int(self._rate)

    def say(self, text: str, options: EspeakTTSOptions) -> Samples:
        spoken = text.encode() + b"\0"
        with self._lock:
            self._parts.clear()
            if self._library.espeak_SetVoiceByName(options.voice.encode()):
                raise SynthesisFailed(f"eSpeak has no voice {options.voice}.")
            self._library.espeak_SetParameter(RATE, round(WORDS_PER_MINUTE * options.speed), 0)
            self._library.espeak_SetParameter(PITCH, round(50 * options.pitch), 0)
            self._library.espeak_SetParameter(VOLUME, round(100 * options.volume), 0)
            if self._library.espeak_Synth(spoken, ctypes.c_size_t(len(spoken)), 0, 0, 0, UTF8, None, None):
                raise SynthesisFailed(f"eSpeak could not say “{text[:60]}”.")
            return np.frombuffer(b"".join(self._parts), np.int16)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if samples and count > 0:
            self._parts.append(ctypes.string_at(samples, 2 * count))
        return 0
