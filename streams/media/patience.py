"""How long to wait for somebody who has fallen silent: a function of how complete they sound, and of how they pause."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

MIDDLE = 0.2
"""Completeness at which the wait is half way between the longest and the shortest."""
STEEPNESS = 4.0
"""Of the logistic curve between the two, over the logit of the completeness."""
OWN_PAUSE = 0.3
"""Seconds of silence from which a pause tells something about its speaker; shorter ones are part of speech."""
MARGIN = 0.25
"""Seconds beyond a pause that this speaker has made before."""
CONTINUATION = 1.3
"""Seconds: who speaks again sooner had not finished."""
FORGIVENESS = 0.5
"""What remains of a pause's claim after an utterance that really ended."""
REMEMBERED = 8
"""Pauses of this speaker that are kept in mind."""


@dataclass
class _OwnPause:
    seconds: float
    claim: float = 1.0


class Patience:
    """Of one speaker. Pure: times come from the caller, in seconds of audio.

    ``wait`` falls smoothly from ``longest`` (the utterance sounds broken off) to ``shortest`` (it sounds complete).
    A pause after which the speaker went on shows how this person pauses, whatever it sounded like: from then on all
    pauses are given that long and a little more, until utterances that really end let the memory fade.
    """

    def __init__(self, shortest: float, longest: float) -> None:
        self.shortest = shortest
        self.longest = longest
        self._own: deque[_OwnPause] = deque(maxlen=REMEMBERED)

    def wait(self, completeness: float) -> float:
        """Return the seconds of silence after which an utterance of this completeness (0 to 1) counts as finished."""
        doubt = 1 / (1 + math.exp(STEEPNESS * (logit(completeness) - logit(MIDDLE))))
        usual = self.shortest + (self.longest - self.shortest) * doubt
        return max([usual, *(self._claimed(own) for own in self._own)])

    def _claimed(self, own: _OwnPause) -> float:
        return min(self.shortest + own.claim * (own.seconds + MARGIN - self.shortest), self.longest)

    def went_on(self, seconds: float) -> None:
        """The speaker went on after so much silence."""
        if seconds >= OWN_PAUSE:
            self._own.append(_OwnPause(seconds))

    def finished(self) -> None:
        """The speaker had finished indeed."""
        for own in self._own:
            own.claim *= FORGIVENESS


def together(answers: Sequence[float]) -> float:
    """Several opinions (0 to 1) on one silence as one: their mean as logits. A single answer wavers by a few hops."""
    return 1 / (1 + math.exp(-sum(map(logit, answers)) / len(answers)))


def logit(p: float) -> float:
    p = min(max(p, 0.005), 0.995)
    return math.log(p / (1 - p))
