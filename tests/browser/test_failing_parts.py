"""The assistant when something it needs is missing or fails: the visitor reads and hears what it means for them."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from streams.assistant import CANNOT_HEAR, NOT_UNDERSTOOD
from streams.media.reply_on_words import CANNOT_HEAR as NO_WORDS
from streams.responders import CUT_OFF, NO_ANSWER, TOO_LONG
from tests.browser.test_assistant import bubbles, recognised, spoken
from tests.browser.visitor import PATIENCE, Visitor, Visitors
from tests.site.server import Site
from tests.speech import silence, write_wav
from tests.streams.chat_endpoint import Behaviour, Reply, chat_endpoint, event, says


async def ask(visitor: Visitor, question: str) -> None:
    await visitor.page.get_by_label("Write instead of speaking").fill(question)
    await visitor.page.get_by_role("button", name="Send").click()


async def fails(reply: Reply) -> None:
    await reply.fail(500, b'{"error": {"message": "out of memory"}}')


async def breaks_off(reply: Reply) -> None:
    await reply.head()
    await reply.send(event("It is five. And the weather is "))
    reply.writer.transport.abort()


async def says_nothing(reply: Reply) -> None:
    await reply.head()
    await reply.writer.wait_closed()


TROUBLES: list[tuple[str, Behaviour, str]] = [
    ("fails", fails, NO_ANSWER),
    ("says nothing", says_nothing, TOO_LONG),
    ("breaks off", breaks_off, f"It is five. And the weather is … {CUT_OFF}"),
    ("is well again", says("It is ", "six."), "It is six."),
]


async def test_an_endpoint_that_fails_is_excused_and_asked_again(
    visitors: Visitors, running: Site, tmp_path: Path
) -> None:
    """Nobody listens at its port at first; then it fails in every way; then it works, in the same conversation."""
    visitor = await visitors.arrive("/streams/chatty/", write_wav(tmp_path / "nothing.wav", silence(5)))
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.tape()
    await ask(visitor, "Are you there?")
    await expect(bubbles(visitor, "assistant").last).to_have_text(NO_ANSWER)
    await visitor.sees_message("response_finished")
    heard = await recognised(visitor)
    assert {"sorry", "answer", "later"} <= set(heard), heard
    async with chat_endpoint(fails, running.chat_port) as endpoint:
        for name, endpoint.behaviour, answer in TROUBLES:
            await ask(visitor, f"It {name}.")
            await expect(bubbles(visitor, "user").last).to_have_text(f"It {name}.")
            await expect(bubbles(visitor, "assistant").last).to_have_text(answer)
    log = running.log.read_text()
    assert f"http://127.0.0.1:{running.chat_port}/v1/chat/completions cannot be reached" in log
    assert "answered 500: out of memory. See its own log." in log
    assert "gave no answer within 0.5 s. Is it overloaded?" in log


async def test_without_the_recognisers_weights_one_can_write(visitors: Visitors, running: Site, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/deaf-assistant/", write_wav(tmp_path / "nothing.wav", silence(5)))
    await visitor.start()
    await expect(bubbles(visitor).first).to_have_text(CANNOT_HEAR, timeout=PATIENCE)
    await ask(visitor, "What is 2 plus 5?")
    await expect(bubbles(visitor, "assistant").last).to_have_text("2 plus 5 is 7.")
    assert "Run: manage.py fetch_models ears" in running.log.read_text()


async def test_a_stream_that_words_govern_says_that_it_cannot_hear_any(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/deaf-radio/", write_wav(tmp_path / "nothing.wav", silence(5)))
    await visitor.start()
    await visitor.sees_state("ended")
    await visitor.reads(NO_WORDS)


async def test_a_sound_without_words_is_asked_about(visitors: Visitors, tmp_path: Path) -> None:
    """The detector takes a hum for speech, and the recogniser finds no word in it."""
    microphone = write_wav(tmp_path / "hum.wav", silence(1.5), spoken("Hmm."), silence(10))
    visitor = await visitors.arrive("/streams/quiet-assistant/", microphone)
    await visitor.start()
    await expect(bubbles(visitor).first).to_have_text(NOT_UNDERSTOOD, timeout=PATIENCE)
    await visitor.sees_message("response_starting")
