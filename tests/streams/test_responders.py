"""What the assistant says: by rules, and from an endpoint that is good, slow or broken."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime
from typing import Any

import pytest

from streams.responders import CUT_OFF, TOO_LONG, OpenAIResponder, ResponderError, RuleResponder
from streams.sums import calculate
from tests.streams.chat_endpoint import DONE, Behaviour, Reply, chat_endpoint, event, raw, says

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How high is it?"}]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


# -- by rules -----------------------------------------------------------------------------------------------------

RULES = RuleResponder(now=lambda: datetime(2026, 3, 1, 14, 5))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hello!", "Hello! What can I do for you?"),
        ("good morning", "Good morning! What can I do for you?"),
        ("What time is it?", "It is 2:05 PM."),
        ("Can you tell me the time, please?", "It is 2:05 PM."),
        ("What's the date today?", "Today is Sunday, March 1, 2026."),
        ("What day is it?", "Today is Sunday, March 1, 2026."),
        ("What is three plus four?", "3 plus 4 is 7."),
        ("How are you?", "I am very well, thank you. And you?"),
        ("My name is Ada.", "Nice to meet you, Ada. What can I do for you?"),
        ("What's my name?", "You have not told me your name yet. What is it?"),
        ("Thank you.", "You are welcome. Is there anything else?"),
        ("Stop.", "All right. I am listening."),
        ("I like rain.", "You said: I like rain. What would you like to know?"),
        ("Say that again.", "I have not said anything yet."),
    ],
)
async def test_rules_answer_the_same_every_time(said: str, answer: str) -> None:
    for _ in range(2):
        assert [piece async for piece in RULES.respond([user(said)])] == [answer]


@pytest.mark.parametrize("said", ["What can you do?", "Help!", "What do you do?", "What can I ask you?"])
def test_it_says_what_it_can_do(said: str) -> None:
    assert RULES.answer([user(said)]).startswith("I can tell you the time")


def test_a_question_that_no_rule_knows_is_answered_with_what_it_can_do() -> None:
    assert RULES.answer([user("Who painted this?")]).startswith("I do not know that. I can tell you the time")


def test_it_remembers_a_name_and_repeats_itself() -> None:
    chat = [user("My name is Ada"), assistant("Nice to meet you, Ada."), user("What is my name?")]
    assert RULES.answer(chat) == "Your name is Ada."
    assert RULES.answer([*chat[:2], user("Could you repeat that?")]) == "Nice to meet you, Ada."
    assert RULES.answer([*chat, user("hello")]) == "Hello, Ada! What can I do for you?"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("two plus two", "2 plus 2 is 4."),
        ("sixteen plus ninety", "16 plus 90 is 106."),
        ("What's 12 times 12?", "12 times 12 is 144."),
        ("twenty-three minus forty", "23 minus 40 is minus 17."),
        ("How much is one hundred and five divided by two?", "105 divided by 2 is 52.5."),
        ("2 + 3 * 4", "2 plus 3 times 4 is 14."),
        ("1,000 x 2", "1000 times 2 is 2000."),
        ("one third is 1/3", "1 divided by 3 is about 0.333."),
        ("two thousand three hundred multiplied by ten", "2300 times 10 is 23000."),
        ("five divided by zero", "Nobody can divide by zero."),
        ("9999999 * 9999999", "That is more than I can count."),
        ("I have two cats.", ""),
        ("one two three", ""),
        ("Wake me at 5:30.", ""),
        ("", ""),
    ],
)
def test_sums(said: str, answer: str) -> None:
    assert calculate(said) == answer


# -- an OpenAI-compatible endpoint --------------------------------------------------------------------------------


async def answer_of(behaviour: Behaviour, **times: float) -> tuple[str, ResponderError | None]:
    """The text that came, and the error that ended it."""
    async with chat_endpoint(behaviour) as endpoint:
        responder = OpenAIResponder(endpoint.url, "a-model", "a-key", **times)
        text = ""
        try:
            async for piece in responder.respond(QUESTION):
                text += piece
        except ResponderError as error:
            return text, error
        finally:
            await responder.close()
        return text, None


async def test_a_good_answer_comes_in_pieces_and_the_second_needs_no_new_connection() -> None:
    async with chat_endpoint(says("It is ", "8849 metres", " high.")) as endpoint:
        responder = OpenAIResponder(endpoint.url, "a-model", "a-key")
        for _ in range(2):
            pieces = [piece async for piece in responder.respond(QUESTION)]
            assert pieces == ["It is ", "8849 metres", " high."]
        await responder.close()
        assert endpoint.connections == 1
        assert endpoint.requests == [{"model": "a-model", "messages": QUESTION, "stream": True}] * 2
        assert "POST /v1/chat/completions " in endpoint.headers[0]
        assert "authorization: bearer a-key" in endpoint.headers[0].lower()


async def test_without_a_key_none_is_sent() -> None:
    async with chat_endpoint(says("Yes.")) as endpoint:
        responder = OpenAIResponder(f"{endpoint.url}/chat/completions/", "a-model")
        assert [piece async for piece in responder.respond(QUESTION)] == ["Yes."]
        await responder.close()
        assert "authorization" not in endpoint.headers[0].lower()
        assert "POST /v1/chat/completions " in endpoint.headers[0]


async def test_the_first_piece_is_there_before_the_second_has_been_written() -> None:
    go_on = asyncio.Event()

    async def behave(reply: Reply) -> None:
        await reply.head()
        await reply.send(event("One. "))
        await go_on.wait()
        await reply.send(event("Two."), DONE)
        await reply.complete()

    async with chat_endpoint(behave) as endpoint:
        responder = OpenAIResponder(endpoint.url, "a-model")
        answer = responder.respond(QUESTION)
        assert await anext(answer) == "One. "
        go_on.set()
        assert [piece async for piece in answer] == ["Two."]
        await responder.close()


def refuses(status: int, body: bytes) -> Behaviour:
    return lambda reply: reply.fail(status, body)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (
            refuses(401, b'{"error": {"message": "Incorrect API key."}}'),
            "401: Incorrect API key. Set ASSISTANT_API_KEY",
        ),
        (refuses(404, b'{"error": "no such model"}'), "404: no such model. Check ASSISTANT_URL and ASSISTANT_MODEL"),
        (refuses(500, b"<h1>Oh no</h1>"), "500: <h1>Oh no</h1>. See its own log."),
        (refuses(503, b""), "503: nothing."),
    ],
)
async def test_a_refusal_says_what_to_do(behaviour: Behaviour, words: str) -> None:
    text, error = await answer_of(behaviour)
    assert text == ""
    assert words.rstrip(".") in str(error).replace("..", ".")
    assert error is not None and error.spoken.startswith("Sorry, I cannot think of an answer")


@pytest.mark.parametrize("garbage", ["{", "[]", '"text"', "{}", '{"choices": [{"delta": {"content": 7}}]}', "null"])
async def test_garbage_is_told_as_such(garbage: str) -> None:
    async def behave(reply: Reply) -> None:
        await reply.head()
        await reply.send(event("Well, "), raw(garbage))
        await reply.complete()

    text, error = await answer_of(behave)
    assert text == "Well, "
    assert "no chat completion" in str(error)


async def test_an_error_in_the_middle_is_told_with_its_words() -> None:
    async def behave(reply: Reply) -> None:
        await reply.head()
        await reply.send(event("Well, "), raw({"error": {"message": "out of memory"}}))

    text, error = await answer_of(behave)
    assert (text, "reports: out of memory" in str(error)) == ("Well, ", True)


async def test_a_page_in_place_of_events_is_no_answer() -> None:
    text, error = await answer_of(lambda reply: reply.fail(200, b"<html>Sign in</html>", "text/html"))
    assert (text, "Does it speak OpenAI's protocol?" in str(error)) == ("", True)


@pytest.mark.parametrize("whole", [True, False])
async def test_an_answer_that_is_cut_off_is_not_taken_for_a_whole_one(whole: bool) -> None:
    async def behave(reply: Reply) -> None:
        await reply.head()
        await reply.send(event("The tallest is"))
        await (reply.complete() if whole else asyncio.sleep(0))
        reply.writer.close()

    text, error = await answer_of(behave)
    assert text == "The tallest is"
    assert error is not None and error.spoken == CUT_OFF


async def test_nobody_there_is_told_with_the_setting_to_check() -> None:
    async with chat_endpoint(says()) as endpoint:
        pass
    responder = OpenAIResponder(endpoint.url, "a-model")
    with pytest.raises(ResponderError, match=r"cannot be reached .* is ASSISTANT_URL right\?"):
        await anext(responder.respond(QUESTION))
    await responder.close()


async def never(reply: Reply) -> None:
    await asyncio.Event().wait()


async def hesitates(reply: Reply) -> None:
    await reply.head()
    await reply.send(event("Well, "))
    await asyncio.Event().wait()


async def test_no_first_word_in_time() -> None:
    text, error = await answer_of(never, first_timeout=0.05)
    assert text == ""
    assert error is not None and error.spoken == TOO_LONG
    assert "no answer within 0.05 s" in str(error)


async def test_no_end_in_time() -> None:
    text, error = await answer_of(hesitates, total_timeout=1.0)
    assert text == "Well, "
    assert error is not None and error.spoken == TOO_LONG
    assert "did not finish its answer within 1 s" in str(error)


async def test_who_breaks_off_hangs_up() -> None:
    async with chat_endpoint(hesitates) as endpoint:
        responder = OpenAIResponder(endpoint.url, "a-model")
        async with aclosing(responder.respond(QUESTION)) as answer:
            assert await anext(answer) == "Well, "
        await asyncio.wait_for(endpoint.left.wait(), 10)
        await responder.close()


async def test_cancelled_while_it_waits_it_hangs_up() -> None:
    async with chat_endpoint(never) as endpoint:
        responder = OpenAIResponder(endpoint.url, "a-model")
        asking = asyncio.create_task(anext(responder.respond(QUESTION)))
        while not endpoint.requests:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait_for(endpoint.left.wait(), 10)
        await responder.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://host", "model": "m"}, "ASSISTANT_URL is 'ftp://host', but must begin with http"),
        ({"url": "http://", "model": "m"}, "name a host"),
        ({"url": "http://host", "model": ""}, "ASSISTANT_MODEL is not set"),
        ({"url": "http://host", "model": "m", "api_key": "“key”"}, "ASSISTANT_API_KEY has characters"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OpenAIResponder(**settings)


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(OpenAIResponder("http://host", "m", "secret"))
