"""The instrument of the recognition table: what counts as the same words, and how errors are counted."""

import pytest

from benchmarks.word_errors import errors, rate, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, World!", "hello world"),
        ("a cold-hearted man", "a cold hearted man"),
        ("82 million", "eighty-two million"),
        ("a 4% tax", "a four per cent tax"),
        ("the 21st century", "the twenty-first century"),
        ("the 12th, the 20th and the 3rd", "the twelfth, the twentieth and the third"),
        ("5:30", "five thirty"),
        ("115 days", "one hundred fifteen days"),
        ("200", "two hundred"),
        ("47291", "four, seven, two, nine, one"),
        ("007", "zero zero seven"),
        ("Well, um, yes", "well yes"),
        ("Mr Smith’s", "Mister Smith's"),
    ],
)
def test_spelling_is_no_error(one: str, other: str) -> None:
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("one two three", "one two three", 0),
        ("one two three", "", 3),
        ("one two three", "one three", 1),
        ("one two three", "one too three", 1),
        ("one two three", "one two and three", 1),
        ("one two three", "two three one", 2),
        ("who's there", "whose there", 1),
    ],
)
def test_errors_are_what_is_wrong_missing_or_too_much(said: str, heard: str, wrong: int) -> None:
    assert errors(said, heard) == (wrong, len(words(said)))


def test_the_rate_is_that_of_all_words_and_not_of_all_texts() -> None:
    assert rate([("one two three four five six seven", "one two three four five six seven"), ("no", "know")]) == 1 / 8
