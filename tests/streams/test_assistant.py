"""A conversation with the assistant: what is heard, shown and remembered. On a virtual clock, with ears and a voice
that do as the test says; at the end with the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from streams.assistant import CANNOT_HEAR, GREETING, KEPT, LONGEST, NOT_UNDERSTOOD, Assistant, heard_text
from streams.media import InterruptionOptions, reply_on_pause
from streams.media.audio import Audio, Samples, resample
from streams.media.session import Hooks, Reason
from streams.media.smart_turn import EndOfUtteranceModel
from streams.media.speech import engines
from streams.media.speech.synthesis import SynthesisFailed, get_tts_model
from streams.media.weights import WeightsMissing
from streams.registry import registry
from streams.responders import Message, OpenAIResponder, Responder, ResponderError, RuleResponder
from tests.media.client import RATE, Client, silence, voice
from tests.media.conftest import LoudIsSpeech, no_smart_turn
from tests.media.virtual_time import count_threads, now

WORD = 0.5
"""Seconds that each word of an answer takes."""


class Ears:
    """Understands ``words`` in anything loud."""

    words = "What time is it?"

    def __init__(self) -> None:
        self.heard: list[float] = []
        """Seconds of each audio that it was asked about."""

    def stt(self, audio: Audio) -> str:
        self.heard.append(audio[1].size / audio[0])
        return self.words if np.abs(audio[1]).max(initial=0) > 1000 else ""


class Mouth:
    """Says everything in the same tone."""

    fails = False

    async def stream_tts(self, text: str, options: Any = None) -> AsyncGenerator[Audio]:
        if self.fails:
            raise SynthesisFailed("no breath")
        for _ in text.split():
            yield 24000, voice(WORD, 24000, 3000)[None, :]


class Scripted(Responder):
    """Says what the test says, and keeps what it was told."""

    def __init__(self, *answers: str | ResponderError) -> None:
        self.answers = list(answers)
        self.asked: list[list[Message]] = []
        self.let_go = 0
        self.closed = False

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        self.asked.append(list(messages))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        try:
            if isinstance(answer, ResponderError):
                raise answer
            for word in answer.split(" "):
                yield f"{word} "
        finally:
            self.let_go += 1

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def mouth() -> Mouth:
    return Mouth()


@pytest.fixture
def simple(ears: Ears, mouth: Mouth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is loud speaks, and silence ends a turn."""
    monkeypatch.setitem(engines._registered["stt"], "moonshine/tiny", lambda: ears)
    monkeypatch.setitem(engines._registered["tts"], "pico", lambda: mouth)
    monkeypatch.setattr(engines, "_loaded", {})
    monkeypatch.setattr(reply_on_pause, "get_silero_model", LoudIsSpeech)
    monkeypatch.setattr(reply_on_pause, "get_smart_turn", no_smart_turn)
    count_threads(monkeypatch)


virtual = [pytest.mark.virtual_time, pytest.mark.usefixtures("simple")]


class Talk:
    """A client, and what its page shows. ``shown``: (moment, chat) of each output."""

    def __init__(
        self,
        responder: Callable[[], Responder] = RuleResponder,
        model: EndOfUtteranceModel | None = None,
        **options: Any,
    ) -> None:
        self.handler = Assistant(responder, end_of_utterance=model).copy()
        self.shown: list[tuple[float, list[dict[str, str]]]] = []
        hooks = Hooks(on_outputs=lambda session, outputs: self.shown.append((now(), outputs.args[0])))
        self.client = Client(self.handler, hooks=hooks, options={"greeting": "", **options})

    async def __aenter__(self) -> Talk:
        await self.client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)

    async def say(self, seconds: float = 1.0, then: float = 0.62) -> None:
        await self.client.speak(voice(seconds), silence(then))

    async def listen(self, seconds: float) -> None:
        await self.client.speak(silence(seconds))

    async def type(self, text: str) -> None:
        self.client.session.trigger_response(text)
        await self.listen(0.1)

    @property
    def chat(self) -> list[tuple[str, str]]:
        """Who said what, as the page shows it now."""
        return [(message["role"], message["content"]) for message in self.shown[-1][1]] if self.shown else []

    def seconds_heard(self) -> float:
        return 0.02 * len(self.client.heard_at())


def said(*lines: str) -> list[tuple[str, str]]:
    """A chat in which the user began."""
    return [(("user", "assistant")[number % 2], line) for number, line in enumerate(lines)]


class Virtual:
    pytestmark = virtual


class TestTurns(Virtual):
    async def test_a_question_is_recognised_answered_and_shown(self) -> None:
        async with Talk(lambda: Scripted("It is five.")) as talk:
            await talk.say()
            await talk.listen(2)
            assert talk.chat == said("What time is it?", "It is five.")
            assert talk.seconds_heard() == pytest.approx(3 * WORD, abs=0.05)

    async def test_it_greets_and_the_greeting_is_part_of_the_chat(self) -> None:
        async with Talk(greeting="Good day to you.") as talk:
            await talk.listen(3)
            assert talk.chat == [("assistant", "Good day to you.")]
            assert talk.seconds_heard() == pytest.approx(4 * WORD, abs=0.05)

    async def test_a_sentence_is_shown_when_it_begins_to_be_heard(self) -> None:
        async with Talk(lambda: Scripted("One two three four. Five six. Seven.")) as talk:
            await talk.type("Count")
            await talk.listen(5)
            begun = talk.client.heard_at()[0]
            shown = {chat[1]["content"]: moment - begun for moment, chat in talk.shown if len(chat) > 1}
            assert list(shown) == [
                "One two three four.",
                "One two three four. Five six.",
                "One two three four. Five six. Seven.",
            ]
            assert list(shown.values()) == pytest.approx([0, 4 * WORD, 6 * WORD], abs=0.05)

    async def test_what_somebody_is_saying_is_shown_while_they_say_it(self, ears: Ears) -> None:
        async with Talk(lambda: Scripted("Yes.")) as talk:
            ears.words = "I should like"
            await talk.client.speak(voice(2))
            assert talk.chat == [("user", "I should like …")]
            ears.words = "I should like some tea."
            await talk.client.speak(silence(2))
            assert talk.chat == said("I should like some tea.", "Yes.")

    async def test_it_is_recognised_while_it_is_being_judged_whether_it_was_all(self, ears: Ears) -> None:
        class Judge:
            answers = [0.0, 0.0, 1.0]

            def completeness(self, samples: Samples, rate: int) -> float:
                return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

        async with Talk(lambda: Scripted("Yes."), Judge()) as talk:
            await talk.client.speak(voice(0.4), silence(0.3))
            ears.words = "I should like some tea."
            await talk.client.speak(voice(0.4), silence(1.5))
            assert talk.chat == said("I should like some tea.", "Yes.")
            timing = talk.handler.timing
            assert timing is not None and timing.steps["recognised"] - timing.decided < 0.02
            assert max(ears.heard) < 1.1 + 0.13, "the utterance was recognised once more when it had been decided"

    async def test_typed_text_is_answered_in_words_and_sound(self) -> None:
        async with Talk(lambda: Scripted("Indeed it is.")) as talk:
            await talk.type("  It rains ")
            await talk.listen(2)
            assert talk.chat == said("It rains", "Indeed it is.")
            assert talk.seconds_heard() == pytest.approx(3 * WORD, abs=0.05)

    async def test_the_responder_is_told_the_prompt_and_the_conversation(self) -> None:
        responder = Scripted("It is five.", "No.")
        async with Talk(lambda: responder, system_prompt="Be brief.") as talk:
            for text in ("What time is it?", "Late?"):
                await talk.type(text)
                await talk.listen(2)
        prompt = {"role": "system", "content": "Be brief."}
        contents = [[message["content"] for message in messages] for messages in responder.asked]
        assert responder.asked[0][0] == prompt
        assert contents == [
            ["Be brief.", "What time is it?"],
            ["Be brief.", "What time is it?", "It is five.", "Late?"],
        ]
        assert responder.closed

    async def test_each_session_has_a_chat_of_its_own(self) -> None:
        prototype = Assistant(lambda: Scripted("Yes."))
        one, other = prototype.copy(), prototype.with_turn_taking({"longest_wait": 2.0})
        one.chat.append({"role": "user", "content": "Hello"})
        assert (list(other.chat), list(prototype.chat)) == ([], [])
        assert other.fn == other.answer != one.answer

    async def test_the_conversation_is_bounded(self) -> None:
        responder = Scripted("Yes.")
        async with Talk(lambda: responder) as talk:
            for number in range(KEPT):
                await talk.type(f"{number} {'x' * 2 * LONGEST}")
                await talk.listen(0.6)
        assert len(talk.chat) == KEPT
        assert len(responder.asked[-1]) <= KEPT + 1
        assert max(len(content) for _, content in talk.chat) == LONGEST

    async def test_an_endless_answer_has_an_end(self) -> None:
        responder = Scripted("word " * 2 * LONGEST)
        async with Talk(lambda: responder) as talk:
            await talk.type("Go on")
            await talk.listen(300)
        assert len(talk.chat[-1][1]) <= LONGEST
        assert responder.let_go == 1

    async def test_the_steps_of_an_answer_are_noted(self) -> None:
        async with Talk(lambda: Scripted("Yes.")) as talk:
            await talk.say()
            await talk.listen(2)
            timing = talk.handler.timing
            assert timing is not None and timing.first_item is not None
            assert timing.decided <= timing.steps["recognised"] <= timing.steps["worded"] <= timing.first_item


class TestInterruptions(Virtual):
    async def test_what_was_cut_off_is_cut_in_the_chat_and_in_what_the_responder_is_told(self, ears: Ears) -> None:
        responder = Scripted("One two three. Four five six seven eight nine ten.", "All right.")
        async with Talk(lambda: responder) as talk:
            await talk.type("Count")
            await talk.listen(3)
            ears.words = "That is enough"
            await talk.say()
            await talk.listen(2)
            cut = talk.chat[1][1]
            assert cut.startswith("One two three. Four five") and cut.endswith(" …")
            assert "nine" not in cut
            assert talk.chat == said("Count", cut, "That is enough", "All right.")
        assert [message["content"] for message in responder.asked[1]][1:] == ["Count", cut, "That is enough"]

    async def test_it_is_cut_in_the_page_before_the_next_answer(self, ears: Ears) -> None:
        async with Talk(lambda: Scripted("One two three four five six seven eight nine ten.")) as talk:
            await talk.type("Count")
            await talk.listen(2)
            await talk.client.speak(voice(1))
            assert talk.chat[1][1].endswith(" …")

    async def test_who_was_answered_too_soon_is_answered_anew_to_all_of_it(self, ears: Ears) -> None:
        responder = Scripted("One two three four five six.", "A table for two, then.")
        async with Talk(lambda: responder) as talk:
            ears.words = "I would like"
            await talk.client.speak(voice(1), silence(0.9))
            assert talk.chat == said("I would like", "One two three four five six.")
            ears.words = "I would like a table for two"
            await talk.client.speak(voice(0.8))
            await talk.listen(5)
            assert talk.chat == said("I would like a table for two", "A table for two, then.")
            assert max(ears.heard) > 1.8, "both parts are recognised together"
            assert [message["content"] for message in responder.asked[1]][1:] == ["I would like a table for two"]

    async def test_an_answer_that_ends_before_anything_was_understood_takes_nothing_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        responder = Scripted("Five past nine.", "A table for two, then.")
        async with Talk(lambda: responder) as talk:
            await talk.type("What time is it?")
            await talk.listen(4)
            first = talk.chat
            recognised = talk.handler._recognised

            async def slow(audio: Audio | None) -> str:
                await asyncio.sleep(1)
                return await recognised(audio)

            monkeypatch.setattr(talk.handler, "_recognised", slow)
            monkeypatch.setattr(talk.handler, "interruption", InterruptionOptions(rejoin=True))
            await talk.client.speak(voice(1), silence(0.9))
            await talk.client.speak(voice(0.8))
            await talk.listen(6)
            assert talk.chat[: len(first)] == first

    async def test_an_acknowledgement_is_no_interruption(self, ears: Ears) -> None:
        async with Talk(lambda: Scripted("One two three four five six.")) as talk:
            await talk.type("Count")
            await talk.listen(1)
            ears.words = "Uh huh."
            await talk.say(0.6)
            await talk.listen(4)
            assert talk.chat == said("Count", "One two three four five six.")
            assert talk.seconds_heard() == pytest.approx(6 * WORD, abs=0.1)

    async def test_a_noise_without_words_is_no_interruption(self, ears: Ears) -> None:
        async with Talk(lambda: Scripted("One two three four five six.")) as talk:
            await talk.type("Count")
            await talk.listen(1)
            ears.words = ""
            await talk.say(1)
            await talk.listen(4)
            assert talk.chat == said("Count", "One two three four five six.")

    async def test_an_answer_that_is_still_being_written_is_let_go_of(self) -> None:
        class Thinking(Scripted):
            async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
                try:
                    yield "Let me think. And "
                    await asyncio.sleep(1000)
                finally:
                    self.let_go += 1

        responder = Thinking()
        async with Talk(lambda: responder) as talk:
            await talk.type("Why?")
            await talk.listen(3)
            assert responder.let_go == 0
            await talk.client.speak(voice(1))
            assert responder.let_go == 1

    async def test_a_session_that_ends_in_an_answer_lets_go_of_everything(self) -> None:
        responder = Scripted("One two three four five six.")
        async with Talk(lambda: responder) as talk:
            await talk.type("Count")
            await talk.listen(1)
        assert (responder.let_go, responder.closed) == (1, True)
        assert talk.client.errors == []


class TestTroubles(Virtual):
    async def test_what_was_not_understood_is_asked_for_again(self, ears: Ears) -> None:
        ears.words = ""
        responder = Scripted("Never")
        async with Talk(lambda: responder) as talk:
            await talk.say()
            await talk.listen(6)
            assert talk.chat == [("assistant", NOT_UNDERSTOOD)]
            assert talk.seconds_heard() == pytest.approx(len(NOT_UNDERSTOOD.split()) * WORD, abs=0.05)
        assert responder.asked == []

    async def test_without_a_recogniser_it_says_so_and_typing_works(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def missing() -> Any:
            raise WeightsMissing("The weights are not there. Run: manage.py fetch_models moonshine")

        monkeypatch.setitem(engines._registered["stt"], "moonshine/tiny", missing)
        async with Talk(lambda: Scripted("Indeed.")) as talk:
            await talk.listen(12)
            assert talk.chat == [("assistant", CANNOT_HEAR)]
            assert "Run: manage.py fetch_models" in caplog.text
            await talk.type("Hello")
            await talk.listen(2)
            assert talk.chat[1:] == said("Hello", "Indeed.")
            await talk.say()
            await talk.listen(10)
            assert talk.chat[-1] == ("assistant", CANNOT_HEAR)
            assert talk.client.errors == []

    async def test_warming_up_without_them_tells_it_and_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> Any:
            raise engines.EngineUnavailable("Run: pip install ttspico")

        monkeypatch.setitem(engines._registered["tts"], "pico", broken)
        Assistant().warm_up()
        assert "Run: pip install ttspico" in caplog.text

    async def test_without_a_voice_the_answer_is_read(self) -> None:
        async with Talk(lambda: Scripted("It is five."), voice="no-such-voice") as talk:
            await talk.type("What time is it?")
            await talk.listen(1)
            assert talk.chat == said("What time is it?", "It is five.")

    async def test_a_voice_that_fails_leaves_the_words(self, mouth: Mouth, caplog: pytest.LogCaptureFixture) -> None:
        mouth.fails = True
        async with Talk(lambda: Scripted("It is five. Or six.")) as talk:
            await talk.type("What time is it?")
            await talk.listen(1)
            assert talk.chat == said("What time is it?", "It is five. Or six.")
            assert "no breath" in caplog.text

    async def test_a_failing_responder_excuses_itself_and_the_log_says_why(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        trouble = ResponderError("The endpoint answered 401. Set ASSISTANT_API_KEY.", "Sorry, not now.")
        async with Talk(lambda: Scripted(trouble, "Five.")) as talk:
            for _ in range(2):
                await talk.say()
                await talk.listen(3)
            question = "What time is it?"
            assert talk.chat == said(question, "Sorry, not now.", question, "Five.")
            assert talk.seconds_heard() == pytest.approx(4 * WORD, abs=0.1)
            assert "Set ASSISTANT_API_KEY" in caplog.text
            assert talk.client.errors == []


@pytest.mark.parametrize(
    ("heard", "text"),
    [(0.0, "…"), (1.2, "One two …"), (2.0, "One two three four. …"), (2.9, "One two three four. Five …"), (3.0, None)],
)
def test_heard_text(heard: float, text: str | None) -> None:
    places = [(0.0, "One two three four."), (2.0, "Five six.")]
    assert heard_text(places, 3.0, heard) == (text or "One two three four. Five six.")


def test_a_sentence_without_a_sound_has_not_been_heard() -> None:
    assert heard_text([(0.0, "One."), (1.0, "…"), (1.0, "Two.")], 1.0, 0.5) == "…"
    assert heard_text([(0.0, "One."), (1.0, "Two.")], 1.0, 0.5) == "…"
    assert heard_text([(0.0, "One."), (1.0, "Two."), (1.0, "Three.")], 2.0, 0.99) == "…"


def test_the_settings_choose_who_answers(settings: Settings) -> None:
    from streams.stream_handlers import responder

    settings.ASSISTANT_URL, settings.ASSISTANT_MODEL, settings.ASSISTANT_API_KEY = "", "", ""
    assert isinstance(responder(), RuleResponder)
    settings.ASSISTANT_URL, settings.ASSISTANT_MODEL = "http://127.0.0.1:11434/v1", "small"
    assert responder() == OpenAIResponder("http://127.0.0.1:11434/v1", "small")


def test_the_shipped_stream_has_options_for_what_an_administrator_may_change() -> None:
    registration = registry.get("assistant")
    assert registration is not None
    options = registration.load_options({})
    assert options["greeting"] == GREETING
    assert {"recogniser", "voice", "language", "greeting", "system_prompt"} == options.keys()
    form = registration.options({**options, "voice": "espeak"}) if registration.options else None
    assert form is not None and form.is_valid(), form and form.errors


# -- with the real ears and the real voice ------------------------------------------------------------------------


@pytest.fixture
def question() -> Iterator[Samples]:
    rate, samples = get_tts_model("pico").tts("What is twelve plus thirty?")
    yield resample(samples.reshape(-1), rate, RATE)


async def test_a_sum_is_understood_and_its_answer_is_intelligible(question: Samples) -> None:
    """Our recogniser listens to our voice, on both sides."""
    from streams.media.speech.recognition import get_stt_model

    async with Talk() as talk:
        await talk.client.speak(silence(0.5), question, silence(4.0))
        (asked, answered) = talk.chat
    assert asked == ("user", "What is 12 plus 30?") or "plus" in asked[1]
    assert answered == ("assistant", "12 plus 30 is 42.")
    heard = get_stt_model("moonshine/tiny").stt((24000, talk.client.hear())).lower()
    assert "42" in heard or "forty-two" in heard or "forty two" in heard
