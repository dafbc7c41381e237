"""How long to wait for somebody who has fallen silent: a function of how complete they sound, and of how they pause."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

STEEPNESS = 1.0
"""Of the logistic curve between the longest and the shortest wait, over the logit of the completeness."""
MIDDLE = 0.5
"""Completeness at which the wait is half way."""
MARGIN = 0.1
"""Seconds beyond a pause that this speaker has made before."""
CONTINUATION = 1.3
"""Seconds: who speaks again sooner had not finished."""
FORGIVENESS = 0.7
"""What remains of a remembered pause's claim after an utterance that really ended."""
REMEMBERED = 8
"""Pauses of this speaker that are kept in mind."""


@dataclass
class _OwnPause:
    completeness: float
    seconds: float
    claim: float = 1.0


class Patience:
    """Of one speaker. Pure: times come from the caller, in seconds of audio.

    ``wait`` falls smoothly from ``longest`` (the utterance sounds broken off) to ``shortest`` (it sounds complete).
    A pause after which the speaker went on shows how this person pauses: whatever sounds no more complete than that
    pause did is then given as long, and a little more. Utterances that really end let the memory fade.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        self.shortest = shortest
        self.longest = longest
        self._own: deque[_OwnPause] = deque(maxlen=REMEMBERED)

    def wait(self, completeness: float) -> float:
        """Return the seconds of silence after which an utterance of this completeness (0 to 1) counts as finished."""
        p = min(max(completeness, 1e-4), 1 - 1e-4)
        doubt = 1 / (1 + math.exp(STEEPNESS * (_logit(p) - _logit(MIDDLE))))
        usual = self.shortest + (self.longest - self.shortest) * doubt
        return max([usual, *(self._claimed(own) for own in self._own if own.completeness >= p)])

    def _claimed(self, own: _OwnPause) -> float:
        return min(self.shortest + own.claim * (own.seconds + MARGIN - self.shortest), self.longest)

    def went_on(self, seconds: float, completeness: float) -> None:
        """The speaker went on after so much silence, having sounded so complete."""
        self._own.append(_OwnPause(completeness, seconds))

    def finished(self) -> None:
        """The speaker had finished indeed."""
        for own in self._own:
            own.claim *= FORGIVENESS


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
