"""Is one of these phrases in what a recogniser wrote, and what comes after it? Pure text; English only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WORD = re.compile(r"\w+(?:['’]\w+)*[+#]*")
"""What is between spaces and punctuation: "o'clock" and "C++" are words."""
LETTERS_PER_EDIT = 4
"""A misspelling is forgiven for each four letters of a word: "hey" is never "they"."""
SAME = {"okay": "ok"}
"""Words that recognisers spell in two ways."""


@dataclass(frozen=True)
class Match:
    """phrase: which of the stop words, as it was given; start, end: its place in the text; rest: what follows it"""

    phrase: str
    start: int
    end: int
    rest: str


@dataclass(frozen=True)
class _Word:
    letters: str
    start: int
    end: int


class StopWords:
    """Phrases to be found in a text. Case, accents, punctuation and the spaces inside a phrase do not matter.

    tolerance: letters that may be wrong, missing or too many in each word, but no more than one for each four letters
        of it. 0 takes no misspelling; give those that your recogniser makes as phrases of their own.

    Words are whole: "computer" is not in "computers". Raises ValueError for a phrase without words.
    """

    def __init__(self, phrases: Iterable[str], tolerance: int = 0) -> None:
        if isinstance(phrases, str):
            raise ValueError(f"stop_words must be a list of phrases, such as [{phrases!r}].")
        self.phrases = list(phrases)
        self.tolerance = tolerance
        if tolerance < 0:
            raise ValueError(f"tolerance is a number of letters, 0 or more, not {tolerance}.")
        self._spellings = [[word.letters for word in _words(phrase)] for phrase in self.phrases]
        if not all(self._spellings):
            raise ValueError(f"Each of stop_words must have a word in it: {self.phrases!r}.")

    def find(self, text: str) -> Match | None:
        """Return the first of the phrases in ``text``; the longest, where two begin with the same word."""
        return next(self._matches(text), None)

    def at_end(self, text: str) -> Match | None:
        """Return the phrase that ``text`` ends with."""
        return next((match for match in self._matches(text) if not match.rest), None)

    def _matches(self, text: str) -> Iterator[Match]:
        words = _words(text)
        for first, word in enumerate(words):
            lengths = [self._length(spelling, words[first:]) for spelling in self._spellings]
            after = first + max(lengths, default=0)
            if after > first:
                phrase = self.phrases[lengths.index(max(lengths))]
                rest = text[words[after].start :].strip() if after < len(words) else ""
                yield Match(phrase, word.start, words[after - 1].end, rest)

    def _length(self, spelling: Sequence[str], words: Sequence[_Word]) -> int:
        """How many of the words, from the first on, are the phrase; 0 if they are not."""
        heard = [word.letters for word in words[: len(spelling)]]
        if len(heard) == len(spelling) and all(map(self._alike, spelling, heard)):
            return len(heard)
        phrase, joined = "".join(spelling), ""
        for count, word in enumerate(words, 1):  # "Hey Jarvis" may be written "HeyJarvis", and "OK" "O.K."
            joined += word.letters
            if joined == phrase:
                return count
            if not phrase.startswith(joined):
                break
        return 0

    def _alike(self, wanted: str, heard: str) -> bool:
        allowed = min(self.tolerance, len(wanted) // LETTERS_PER_EDIT)
        if abs(len(wanted) - len(heard)) > allowed:
            return False
        return wanted == heard or (allowed > 0 and edits(wanted, heard) <= allowed)


def edits(one: str, other: str) -> int:
    """Letters to change, add or take away to make one of the other (Levenshtein's distance)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row = row, [number]
        for column, counterpart in enumerate(other, 1):
            row.append(min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != counterpart)))
    return row[-1]


def _words(text: str) -> list[_Word]:
    return [_Word(_letters(found.group()), found.start(), found.end()) for found in WORD.finditer(text)]


def _letters(word: str) -> str:
    """In small letters, without accents and what is no letter."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if c.isalnum() or c in "+#")
    return SAME.get(plain, plain)
