"""Is what is said over a reply meant to end it? A cough is not, and neither is "uh-huh"."""

from __future__ import annotations

import re
from dataclasses import dataclass

ACKNOWLEDGEMENTS = frozenset(
    {"uh-huh", "uhhuh", "mm-hmm", "mhm", "mmhmm", "hmm", "mm", "aha", "ah", "oh", "yeah", "yep", "yes", "okay", "ok"}
    | {"right", "sure", "i see", "got it", "go on"}
)
"""Words that tell a speaker to go on."""


@dataclass(frozen=True)
class InterruptionOptions:
    """When speech over a reply ends it. Until then the reply is held, silent, and goes on where it stopped if it may.

    min_speech: seconds of speech
    min_words: words that the recogniser must have heard, where there is a recogniser; 0 does not ask it
    acknowledgements: phrases, in small letters, that are no interruption however often they come
    rejoin: who goes on speaking soon after their last word, over the answer to it, had not finished: the next reply is
        given both parts as one utterance, and its ReplyTiming ``continues``
    """

    min_speech: float = 0.2
    min_words: int = 0
    acknowledgements: frozenset[str] = ACKNOWLEDGEMENTS
    rejoin: bool = False

    def means_it(self, text: str) -> bool:
        """Tell whether these words are an interruption."""
        spoken = _words(text)
        for phrase in sorted(map(_words, self.acknowledgements), key=len, reverse=True):
            spoken = re.sub(rf"(?<![\w']){re.escape(phrase)}(?![\w'])", " ", spoken)
        return len(spoken.split()) >= max(self.min_words, 1)


def _words(text: str) -> str:
    """In small letters, one space between: recognisers write "uh-huh" and "Uh huh."."""
    return " ".join(re.findall(r"[\w']+", text.lower()))
