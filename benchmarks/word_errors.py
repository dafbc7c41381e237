"""Word error rate: how many words of a text were heard wrongly, whatever the spelling."""

import re
from collections.abc import Iterable

HESITATIONS = {"uh", "um", "er", "erm", "hmm", "mm"}
"""Recognisers leave them out; written texts have them or not."""
SPELLINGS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay", "%": "percent", "&": "and"}
TO_NINE = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["thir", "four", "fif", "six", "seven", "eigh", "nine"]
ONES = [*TO_NINE, "ten", "eleven", "twelve", *(f"{teen}teen" for teen in TEENS)]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def errors(said: str, heard: str) -> tuple[int, int]:
    """(words wrong, missing and too many; words said), by the shortest way from one text to the other."""
    reference, hypothesis = words(said), words(heard)
    row = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, 1):
        before, row = row, [number]
        for place, other in enumerate(hypothesis, 1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (word != other)))
    return row[-1], len(reference)


def rate(pairs: Iterable[tuple[str, str]]) -> float:
    """The rate over many (said, heard): all errors by all words."""
    counts = [errors(said, heard) for said, heard in pairs]
    return sum(wrong for wrong, _ in counts) / sum(total for _, total in counts)


def words(text: str) -> list[str]:
    """Small letters, no punctuation, numbers written out, no hesitations."""
    text = text.lower().replace("’", "'").replace("per cent", "percent")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", lambda match: ordinal(int(match[1])), text)
    text = re.sub(r"\d+", lambda match: f" {number(match[0])} ", text)
    found = (word.strip("'") for word in re.findall(r"[\w']+|[%&]", text))
    return [SPELLINGS.get(word, word) for word in found if word and word not in HESITATIONS]


def number(digits: str) -> str:
    """As it is read: up to 999 as a number, longer or with a zero in front digit by digit."""
    value = int(digits)
    if len(digits) > 3 or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(ONES[int(digit)] for digit in digits)
    if value < 20:
        return ONES[value]
    if value < 100:
        return f"{TENS[value // 10 - 2]} {ONES[value % 10]}".removesuffix(" zero")
    return f"{ONES[value // 100]} hundred {number(str(value % 100))}".removesuffix(" zero")


def ordinal(value: int) -> str:
    """Of a number below 1000."""
    *before, last = number(str(value)).split()
    last = ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*before, last])
