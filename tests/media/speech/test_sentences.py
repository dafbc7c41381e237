"""What is spoken at a time."""

import pytest

from streams.media.speech.sentences import FIRST_CLAUSE, LONGEST, SentenceSplitter, sentences, speakable


@pytest.mark.parametrize(
    "expected",
    [
        ["Hello there.", "How are you?", "Fine!"],
        ["Dr. Smith paid 3.50 dollars.", "He was glad."],
        ["Mr. and Mrs. Jones met J. R. R. Tolkien.", "It rained."],
        ["We met at 5 p.m. and left.", "It was late."],
        ["We met at 5 p.m.", "It was late."],
        ["The U.S. Navy came.", "All was well."],
        ["Fruit, e.g. apples, vs. pears.", "Choose."],
        ["See fig. 3 and No. 5 of it.", "No.", "I will not."],
        ["Apples, pears, etc. are fruit.", "Nuts etc.", "So it is."],
        ["Das ist z.B. am 3. Oktober so.", "Ja."],
        ["So do I.", "And you?"],
        ["“Is it?”", "“Yes!”", "That was all."],
        ["Wait…", "what?", "Nothing."],
        ["It is (so to say.)", "Yes."],
        ["ok.", "sure."],
        ["Read www.example.org/a.b?c=d now.", "Then version 2.0.1 of it."],
    ],
    ids=lambda expected: expected[0],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_sentences_end_where_people_end_them(expected: list[str], size: int) -> None:
    text = " ".join(expected)
    assert list(sentences(text[at : at + size] for at in range(0, len(text), size))) == expected


def test_lines_and_lists() -> None:
    text = "You need\n- flour\n- eggs\n\n1. Mix them\n2. Bake them\nfor an\nhour."
    found = [" ".join(sentence.split()) for sentence in sentences(text)]
    assert found == ["You need", "- flour", "- eggs", "1. Mix them", "2. Bake them for an hour."]


def test_languages_without_spaces() -> None:
    assert list(sentences("你好。今天天气很好！是吗？")) == ["你好。", "今天天气很好！", "是吗？"]


def test_a_sentence_is_there_as_soon_as_the_next_word_begins() -> None:
    splitter = SentenceSplitter()
    assert list(splitter.push("It costs 3.")) == []
    assert list(splitter.push("50 dollars.")) == []
    assert list(splitter.push(" ")) == []
    assert list(splitter.push("T")) == ["It costs 3.50 dollars."]
    assert list(splitter.push("hat is all.")) == []
    assert list(splitter.flush()) == ["That is all."]
    assert list(splitter.flush()) == []


def test_the_first_clause_is_enough_to_begin_with() -> None:
    text = "As far as I can tell from here, it will rain, and hard, until tomorrow. As far as that goes, fine."
    assert list(sentences(text)) == [
        "As far as I can tell from here,",
        "it will rain, and hard, until tomorrow.",
        "As far as that goes, fine.",
    ]


def test_a_short_beginning_is_no_clause() -> None:
    assert len("Well, yes, of course,") > FIRST_CLAUSE
    assert list(sentences("Well, yes, it is so.")) == ["Well, yes, it is so."]


def test_a_sentence_without_end_is_cut_at_a_comma_or_a_space() -> None:
    text = "And so we went on and on, past the river, " + "over a hill " * 30
    found = list(sentences(text))
    assert max(map(len, found)) <= LONGEST
    assert " ".join(found).split() == text.split()
    assert len(found) < 6


def test_text_without_any_space_is_cut_all_the_same() -> None:
    found = list(sentences("a" * 1001))
    assert [len(part) for part in found] == [200] * 5 + [1]


def test_a_book_is_cut_quickly_enough_and_whole() -> None:
    text = "It was the best of times, it was the worst of times. " * 20_000
    found = list(sentences(text))
    assert " ".join(found).split() == text.split()


@pytest.mark.parametrize("text", ["", " ", "\n\n \n", []])
def test_no_text_no_sentence(text: str | list[str]) -> None:
    assert list(sentences(text)) == []


def test_pieces_are_text() -> None:
    with pytest.raises(TypeError, match="comes as str; this piece is a NoneType"):
        list(sentences(["Hello ", None]))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Plain text, it's 5 * 3 = 15 & 20 °C.", "Plain text, it's 5 * 3 = 15 & 20 °C."),
        ("Well **done**, *you*! ~~not~~ `code_name` __init__", "Well done, you! not code_name init"),
        ("# Heading", "Heading"),
        ("- an item", "an item"),
        ("[Read](https://example.org/x_y) it. ![A cat](cat.png)", "Read it. A cat"),
        ("<b>Bold</b> <speak rate='9'>x</speak> but 3 < 5 > 2", "Bold x but 3 < 5 > 2"),
        ("Nice 🎉👍🏽 one ☀️ 👨‍👩‍👧!", "Nice one !"),
        ("zero\x00width\u200bjoined\u200cup \ud800.", "zero width joinedup ."),
        ("cafe\u0301", "café"),
        ("नमस्ते العربية 東京", "नमस्ते العربية 東京"),
        ("🎉", ""),
        ("…", ""),
        ("---", ""),
        ("", ""),
    ],
)
def test_what_a_voice_can_say(text: str, spoken: str) -> None:
    assert speakable(text) == spoken
