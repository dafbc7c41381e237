"""A small model that knows one phrase, listens all the time, and costs next to nothing.

Source: github.com/kahrendt/microWakeWord; its models and their features come with the package ``pymicro-wakeword``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streams.media.audio import Resampler, Samples
from streams.media.speech.engines import EngineUnavailable

RATE = 16000


class WakeWord:
    """Listens to one stream of mono int16 samples at ``rate``.

    model: "okay_nabu", "hey_jarvis", "hey_mycroft" or "alexa", or the path of a microWakeWord model's JSON file. Raises
    ValueError for another, EngineUnavailable without the package.
    """

    def __init__(self, model: str, rate: int) -> None:
        try:
            from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model
        except ImportError as error:
            raise EngineUnavailable("Wake words need a package. Run: pip install pymicro-wakeword") from error
        names = [each.value for each in Model]
        if model in names:
            self._model: Any = MicroWakeWord.from_builtin(Model(model))
        elif Path(model).is_file():
            self._model = MicroWakeWord.from_config(model)
        else:
            raise ValueError(f"There is no wake word “{model}”. There are: {', '.join(names)}, or a model's JSON file.")
        self._features: Any = MicroWakeWordFeatures()
        self._resampler = Resampler(rate, RATE)

    def push(self, samples: Samples) -> bool:
        """Tell whether the phrase has just been said; for some frames, usually a tenth of a second after its end."""
        heard = self._resampler.push(samples).tobytes()
        return any([self._model.process_streaming(features) for features in self._features.process_streaming(heard)])

    def close(self) -> None:
        self._model.close()
