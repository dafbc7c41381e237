import pytest

from streams.media.stop_words import StopWords, edits


@pytest.mark.parametrize(
    ("phrase", "text", "rest"),
    [
        ("computer", "Computer, what time is it?", "what time is it?"),
        ("computer", "computer", ""),
        ("computer", "Er, COMPUTER!", ""),
        ("computer", "Is the computer on?", "on?"),
        ("Hey Jarvis!", "hey, jarvis: lights off", "lights off"),
        ("hey jarvis", "HeyJarvis. Lights off.", "Lights off."),
        ("ok computer", "Okay, computer.", ""),
        ("okay computer", "O.K. computer, go on", "go on"),
        ("ok computer", "OK-computer go on", "go on"),
        ("hello   iris", "“Hello … Iris”", ""),
        ("c++", "I like C++. Do you?", "Do you?"),
        ("café noir", "Cafe noir, please", "please"),
        ("what's up", "What’s up, doc?", "doc?"),
    ],
)
def test_a_phrase_is_found_and_what_follows_is_kept(phrase: str, text: str, rest: str) -> None:
    match = StopWords([phrase]).find(text)
    assert match is not None
    assert (match.phrase, match.rest) == (phrase, rest)
    assert text[match.end :].lstrip(" ,.!?:”") == rest


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("computer", ""),
        ("computer", "…"),
        ("computer", "Computers are computing."),
        ("computer", "a microcomputer"),
        ("computer", "compute her age"),
        ("hey jarvis", "Jarvis, hey!"),
        ("hey jarvis", "hey you, jarvis"),
        ("hey jarvis", "they jarvis"),
        ("over", "overcoat"),
        ("c++", "I like C."),
    ],
)
def test_other_words_are_not(phrase: str, text: str) -> None:
    assert StopWords([phrase]).find(text) is None


def test_of_several_the_first_in_the_text_counts_and_of_two_at_one_place_the_longer() -> None:
    words = StopWords(["ok", "computer", "ok computer"])
    match = words.find("Well, computer … ok computer")
    assert match is not None and (match.phrase, match.start) == ("computer", 6)
    match = words.find("OK computer, go")
    assert match is not None and (match.phrase, match.rest) == ("ok computer", "go")


@pytest.mark.parametrize(
    ("tolerance", "heard", "found"),
    [
        (0, "hello irises", False),
        (0, "hallo iris", False),
        (1, "hallo iris", True),
        (1, "hello ires", True),
        (1, "hallo irish", True),
        (1, "holla iris", False),
        (2, "holla iris", False),  # no more than one in four letters
        (1, "yellow iris", False),
    ],
)
def test_misspellings_are_forgiven_as_far_as_is_said(tolerance: int, heard: str, found: bool) -> None:
    assert (StopWords(["hello iris"], tolerance).find(heard) is not None) is found


def test_short_words_are_never_misspelt() -> None:
    words = StopWords(["hey you"], tolerance=3)
    assert words.find("they you") is None
    assert words.find("Hey, you!") is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I am on my way. Over.", True),
        ("over", True),
        ("come over here", False),
        ("over and out", False),
        ("Over here, over!", True),
        ("moreover", False),
        ("", False),
    ],
)
def test_a_phrase_at_the_end(text: str, found: bool) -> None:
    assert (StopWords(["over"]).at_end(text) is not None) is found


@pytest.mark.parametrize(
    ("phrases", "tolerance", "words"),
    [
        ("computer", 0, "list"),
        (["computer", "…"], 0, "have a word"),
        (["computer"], -1, "0 or more"),
    ],
)
def test_what_cannot_be_listened_for_is_refused(phrases: list[str], tolerance: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StopWords(phrases, tolerance)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_edits(one: str, other: str, distance: int) -> None:
    assert edits(one, other) == edits(other, one) == distance
