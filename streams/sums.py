"""Sums, as people say and write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
VALUES = {word: value for value, word in enumerate(SMALL.split())}
VALUES |= {word: 10 * value for value, word in enumerate(TENS.split(), 2)}
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
NUMBER_WORD = f"(?:{'|'.join([*VALUES, *SCALES])})"
OPERATORS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
SIGNS = (
    (r"\bplus\b", "+"),
    (r"\bminus\b|−", "-"),
    (r"\b(?:times|multiplied by)\b|×|(?<=\d)\s*x\s*(?=\d)", "*"),
    (r"\b(?:divided by|over)\b|÷", "/"),
)
NUMBER = r"\d+(?:\.\d+)?"
MOST = 10**12


def calculate(said: str) -> str:
    """The answer to a sum, in figures or in words, or "" where there is none."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", said.lower())
    text = re.sub(rf"\b{NUMBER_WORD}(?:[ -](?:and )?{NUMBER_WORD})*\b", lambda run: str(_value(run[0])), text)
    for pattern, sign in SIGNS:
        text = re.sub(pattern, sign, text)
    found = re.search(rf"{NUMBER}(?:\s*[-+*/]\s*{NUMBER})+", text)
    if not found:
        return ""
    parts = re.findall(rf"{NUMBER}|[-+*/]", found[0])
    try:
        result = _evaluate(parts)
    except ZeroDivisionError:
        return "Nobody can divide by zero."
    if abs(result) > MOST:
        return "That is more than I can count."
    return f"{' '.join(OPERATORS.get(part, part) for part in parts)} is {_figure(result)}."


def _value(words: str) -> int:
    """ "two hundred and twenty-three" → 223"""
    total = current = 0
    for word in re.findall(rf"\b{NUMBER_WORD}\b", words):
        scale = SCALES.get(word)
        if scale is None:
            current += VALUES[word]
        elif scale == 100:
            current = (current or 1) * 100
        else:
            total, current = total + (current or 1) * scale, 0
    return total + current


def _evaluate(parts: Sequence[str]) -> Fraction:
    """Products before sums. Raises ZeroDivisionError."""
    terms = [Fraction(parts[0])]
    for sign, text in zip(parts[1::2], parts[2::2], strict=True):
        number = Fraction(text)
        if sign in "+-":
            terms.append(number if sign == "+" else -number)
        else:
            terms[-1] = terms[-1] * number if sign == "*" else terms[-1] / number
    return sum(terms, Fraction(0))


def _figure(value: Fraction) -> str:
    rounded = round(abs(value), 3)
    figure = str(int(rounded)) if rounded.denominator == 1 else str(float(rounded))
    about = "" if rounded == abs(value) else "about "
    return f"{about}{'minus ' if value < 0 else ''}{figure}"
