"""Text into what is spoken at a time: sentences, also of text that is still being written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

LONGEST = 200
"""Characters after which a sentence is cut, at a comma or a space, although it goes on."""
FIRST_CLAUSE = 20
"""Characters from which the first clause is spoken alone, so that speech begins early."""
BLOCK = 1000
"""Characters of a long text that are looked at together."""

END = re.compile(r"[.!?؟…]+[\"'”’»)\]*_]*(?=\s+\S)|[。！？｡।॥]+[」』”’）]*|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")
CLAUSE = re.compile(r"[,;:،](?=\s)|\s[–—-](?=\s)|[、，；：]")
SPACE = re.compile(r"\s")

# Without their full stops, in small letters: "z.B." is "zb".
NEVER_LAST = re.compile(
    "dr|mr|mrs|ms|mx|prof|st|mt|ft|gen|col|maj|capt|lt|sgt|sen|rep|gov|rev|hon|vs|eg|ie|cf|ca|approx"  # English
    "|hr|fr|dipl|ing|bzw|zb|dh|ua|sog|evtl|ggf|inkl"  # German
    "|sr|sra|srta|dña|mme|mlle|mgr|sig|dott|avv"  # Spanish, French, Italian
)
"""Abbreviations after which a sentence goes on."""
LAST_BEFORE_CAPITALS = re.compile("etc|am|pm|jr|inc|ltd|co|corp|dept|est|al|usw|resp")
"""Abbreviations that may end a sentence, if a capital letter follows."""
BEFORE_NUMBERS = re.compile("no|nos|nr|fig|p|pp|vol|ch|art|sec|§")
"""Abbreviations if a number follows, else words or letters."""
NAMES = re.compile(r"(?!I$)[A-Z](?:\.[A-Z])*")
"""Initials and the like: "J.", "U.S."."""
ORDINALS = re.compile(r"\d{1,2}")
"""Numbers of a list, and the German "3. Oktober"."""


class SentenceSplitter:
    """Cuts text that comes in pieces of any size into sentences.

    A sentence ends at its mark when the next word has begun: "3." may go on with "50", and "Dr." with "Smith".
    """

    def __init__(self) -> None:
        self._text = ""
        self._begun = False

    def push(self, piece: str) -> Iterator[str]:
        if not isinstance(piece, str):
            raise TypeError(f"Text to be spoken comes as str; this piece is a {type(piece).__name__}.")
        for start in range(0, len(piece), BLOCK):
            self._text += piece[start : start + BLOCK]
            yield from self._cut()

    def flush(self) -> Iterator[str]:
        """Return what is left when the text is complete."""
        text, self._text = self._text.strip(), ""
        if text:
            yield text

    def _cut(self) -> Iterator[str]:
        while (end := self._end(self._text)) is not None:
            sentence, self._text = self._text[:end].strip(), self._text[end:].lstrip()
            if sentence:
                self._begun = True
                yield sentence

    def _end(self, text: str) -> int | None:
        """Where the first sentence of the text ends, if that can be told yet."""
        end = next((match.end() for match in END.finditer(text) if _is_end(text, match)), None)
        if not self._begun:
            clause = CLAUSE.search(text, FIRST_CLAUSE)
            if clause is not None and clause.end() < min(end or LONGEST, LONGEST):
                return clause.end()
        if (end or len(text)) <= LONGEST:
            return end
        return _last(CLAUSE, text[:LONGEST]) or _last(SPACE, text[:LONGEST]) or LONGEST


def sentences(text: str | Iterable[str]) -> Iterator[str]:
    """Cut text, whole or in pieces as language models write it, into sentences as soon as they are complete.

    Raises TypeError for a piece that is no str.
    """
    splitter = SentenceSplitter()
    for piece in [text] if isinstance(text, str) else text:
        yield from splitter.push(piece)
    yield from splitter.flush()


def _last(pattern: re.Pattern[str], text: str) -> int | None:
    ends = [match.end() for match in pattern.finditer(text)]
    return ends[-1] if ends else None


def _is_end(text: str, match: re.Match[str]) -> bool:
    if not re.fullmatch(r"\.\W*", match.group()):
        return True
    before = text[: match.start()].split()
    word = before[-1].lstrip("\"'“‘«([*_") if before else ""
    following = text[match.end() :].lstrip()[:1]
    short = word.lower().replace(".", "")
    if LAST_BEFORE_CAPITALS.fullmatch(short):
        return not following.islower()
    if BEFORE_NUMBERS.fullmatch(short):
        return not following.isdigit()
    return not (NEVER_LAST.fullmatch(short) or NAMES.fullmatch(word) or ORDINALS.fullmatch(short))


UNSPOKEN = {"Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk", "Me"}
"""Unicode categories of control characters, halves of characters, and pictures."""
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
MARKS = re.compile(r"`+|^\s*(?:#+|[-*•>])\s+|(?<!\w)[*_~]+(?=\S)|(?<=\S)[*_~]+(?!\w)")
WORDS_APART = str.maketrans({"\u200b": " ", "\u2028": " ", "\u2029": " "})


def speakable(sentence: str) -> str:
    """Return what a voice can say: without emoji, control characters, HTML tags and Markdown's marks.

    "" when there is no letter and no digit in it.
    """
    text = unicodedata.normalize("NFC", sentence.translate(WORDS_APART))
    text = MARKS.sub("", TAG.sub(" ", LINK.sub(r"\1", text)))
    text = " ".join("".join(map(_spoken, text)).split())
    return text if any(map(str.isalnum, text)) else ""


def _spoken(char: str) -> str:
    if char.isspace():
        return " "
    if "\ufe00" <= char <= "\ufe0f" or (unicodedata.category(char) in UNSPOKEN and char not in "°©®¨´`^"):
        return "" if unicodedata.category(char) in ("Cf", "Mn") else " "
    return char
