"""Speech over a reply: what ends it, and what it only holds. On a virtual clock."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from streams.media.audio import Audio
from streams.media.interruptions import ACKNOWLEDGEMENTS, InterruptionOptions
from streams.media.outputs import AdditionalOutputs, Emitted
from tests.media.client import silence, voice
from tests.media.test_reply_on_pause import OUT, TURN, Conversation, said
from tests.media.virtual_time import Gate, now

REPLY = voice(6, OUT, 3000)
HELD = [*TURN[:3], "started_talking", "response_resumed", "response_finished"]


# -- words


@pytest.mark.parametrize(
    "text", ["", " ", "...", "Uh-huh.", "Uh huh", "mm-hmm", "Mm hmm.", "Yeah, yeah.", "OK!", "I see. Right, right."]
)
def test_who_only_acknowledges_does_not_interrupt(text: str) -> None:
    assert not InterruptionOptions().means_it(text)
    assert not InterruptionOptions(min_words=2).means_it(text)


@pytest.mark.parametrize(
    "text", ["Stop.", "No", "yeah but wait", "Okay, what about Paris?", "Oklahoma", "I see him", "Ähm, nein"]
)
def test_who_says_something_interrupts(text: str) -> None:
    assert InterruptionOptions().means_it(text)
    assert InterruptionOptions(min_words=1).means_it(text)


def test_acknowledgements_do_not_count_as_words() -> None:
    options = InterruptionOptions(min_words=2)
    assert not options.means_it("Yeah, okay, stop.")
    assert options.means_it("Yeah, okay, stop it.")


def test_other_acknowledgements_for_another_language() -> None:
    options = InterruptionOptions(acknowledgements=frozenset({"genau", "ach so"}))
    assert not options.means_it("Genau. Ach so!")
    assert options.means_it("Genau das nicht")
    assert options.means_it("yes")
    assert all(phrase == phrase.lower() for phrase in ACKNOWLEDGEMENTS)


# -- by length


@pytest.mark.usefixtures("loud_is_speech")
@pytest.mark.parametrize("spoken", [0.1, 0.13, 0.25, 0.5, 0.9])
async def test_what_is_shorter_than_min_speech_holds_the_reply_which_loses_no_sample(spoken: float) -> None:
    options = InterruptionOptions(min_speech=1.0)
    async with Conversation(lambda audio: (OUT, REPLY[None, :]), interruption=options) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        began = now()
        await talk.client.speak(voice(spoken), silence(8))
        assert talk.client.hear().tolist() == REPLY.tolist()
        moments = np.array(talk.client.heard_at())
        assert (np.diff(moments) > 0.1).sum() == 1, "held once"
        held, resumed = moments[moments < began + 0.2][-1], moments[moments > began + 0.2][0]
        assert held - began < 0.13
        assert resumed - began < spoken + 0.7
        assert talk.client.logs == (HELD if spoken > 0.2 else TURN)
        assert len(talk.utterances) == 1


@pytest.mark.usefixtures("loud_is_speech")
async def test_what_is_longer_than_min_speech_ends_the_reply() -> None:
    options = InterruptionOptions(min_speech=1.0)
    async with Conversation(lambda audio: said(20), interruption=options) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.95))
        assert talk.client.session.playout.buffered > 10
        await talk.client.speak(voice(0.15))
        assert talk.client.session.playout.buffered == 0
        await talk.client.speak(voice(0.5), silence(1))
        assert len(talk.utterances) == 2
        assert talk.utterances[1][1].size / 48000 > 1.6, "all of it is answered"


@pytest.mark.usefixtures("loud_is_speech")
async def test_held_twice_and_heard_once() -> None:
    options = InterruptionOptions(min_speech=1.0)
    async with Conversation(lambda audio: (OUT, REPLY[None, :]), interruption=options) as talk:
        await talk.listen(0.5)
        await talk.ask()
        for _ in range(2):
            await talk.listen(1)
            await talk.client.speak(voice(0.4))
        await talk.listen(8)
        assert talk.client.hear().tolist() == REPLY.tolist()
        assert talk.client.logs.count("response_resumed") == 2
        await talk.ask()
        assert len(talk.utterances) == 2


@pytest.mark.usefixtures("loud_is_speech")
async def test_a_reply_that_has_not_begun_to_sound_is_held_too() -> None:
    gate = Gate()

    def answer(audio: Audio) -> Emitted:
        gate.wait()
        return OUT, REPLY[None, :]

    async with Conversation(answer, interruption=InterruptionOptions(min_speech=1.0)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.client.speak(voice(0.4))
        gate.open()
        await talk.listen(0.2)
        assert talk.client.hear().size == 0
        await talk.listen(8)
        assert talk.client.hear().tolist() == REPLY.tolist()


@pytest.mark.usefixtures("loud_is_speech")
@pytest.mark.parametrize("end", ["fails", "makes no sound"])
async def test_what_is_said_over_a_reply_that_is_over_before_is_answered(end: str) -> None:
    """A short word that would not have ended it, but now there is nothing to go on with."""
    gate = Gate()

    def answer(audio: Audio) -> Emitted:
        if not gate.reached.is_set():
            gate.wait()
            if end == "fails":
                raise RuntimeError
            return AdditionalOutputs("noted")
        return said(0.5)

    async with Conversation(answer, interruption=InterruptionOptions(min_speech=1.0)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.client.speak(voice(0.4))
        gate.open()
        await talk.listen(2)
        assert len(talk.utterances) == 2
        assert talk.client.hear().size == OUT // 2


# -- by words


class Recogniser:
    """Hears one text after the other; the last again and again."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard: list[float] = []
        self.threads: set[str] = set()

    def __call__(self, audio: Audio) -> str:
        self.heard.append(audio[1].shape[1] / audio[0])
        self.threads.add(threading.current_thread().name)
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if text == "raise":
            raise RuntimeError("the key is 1234")
        return text


def interrupted_by(recogniser: Callable[[Audio], Any], reply: float = 6, **kwargs: Any) -> Conversation:
    return Conversation(
        lambda audio: (OUT, voice(reply, OUT, 3000)[None, :]),
        recogniser=recogniser,
        interruption=InterruptionOptions(min_words=1),
        **kwargs,
    )


@pytest.mark.usefixtures("loud_is_speech")
@pytest.mark.parametrize("text", ["", "Uh-huh.", "yeah"])
@pytest.mark.parametrize("spoken", [0.25, 0.6, 2.0])
async def test_an_acknowledgement_holds_the_reply_which_loses_no_sample(text: str, spoken: float) -> None:
    recogniser = Recogniser(text)
    async with interrupted_by(recogniser) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(spoken), silence(8))
        assert recogniser.heard
        assert recogniser.threads == {"stream-interruption"}
        assert talk.client.hear().tolist() == REPLY.tolist()
        assert talk.client.logs == HELD
        assert len(talk.utterances) == 1


@pytest.mark.usefixtures("loud_is_speech")
async def test_real_words_end_the_reply_before_they_are_finished() -> None:
    recogniser = Recogniser("", "stop")
    async with interrupted_by(recogniser, reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        began = now()
        await talk.client.speak(voice(1.0))
        assert talk.client.heard_at()[-1] - began < 0.13
        assert talk.client.session.playout.buffered == 0
        assert len(recogniser.heard) == 2
        assert recogniser.heard == sorted(recogniser.heard)
        await talk.client.speak(voice(1.0), silence(1))
        assert len(recogniser.heard) == 2, "it is not asked any more"
        assert len(talk.utterances) == 2
        assert talk.utterances[1][1].size / 48000 > 2.0


@pytest.mark.usefixtures("loud_is_speech")
async def test_a_single_short_word_ends_the_reply_and_is_answered() -> None:
    async with interrupted_by(Recogniser("stop"), reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.25), silence(1.5))
        assert len(talk.utterances) == 2
        assert talk.client.logs == [*TURN[:3], *TURN[:3]]


@pytest.mark.usefixtures("loud_is_speech")
async def test_the_recogniser_may_be_a_coroutine_function() -> None:
    async def recogniser(audio: Audio) -> str:
        await asyncio.sleep(0.1)
        return "stop"

    async with interrupted_by(recogniser, reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.8))
        assert talk.client.session.playout.buffered == 0


@pytest.mark.usefixtures("loud_is_speech")
@pytest.mark.parametrize("spoken", [0.25, 1.0])
async def test_a_recogniser_that_raises_is_told_and_the_conversation_goes_on(spoken: float) -> None:
    async with interrupted_by(Recogniser("raise"), reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(spoken), silence(2))
        assert set(talk.client.errors) == {"Something went wrong in this stream. Please try again."}
        assert len(talk.utterances) == 2, "who speaks then interrupts"
        before = talk.client.hear().size
        await talk.listen(1)
        assert talk.client.hear().size > before


@pytest.mark.usefixtures("loud_is_speech")
async def test_closing_while_the_recogniser_works_leaves_nothing_behind() -> None:
    gate, before = Gate(), asyncio.all_tasks()

    def recogniser(audio: Audio) -> str:
        gate.wait()
        return "stop"

    async with interrupted_by(recogniser, reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.6))
        assert gate.reached.is_set()
    gate.open()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before


@pytest.mark.usefixtures("loud_is_speech")
async def test_a_recogniser_is_not_asked_where_words_do_not_matter() -> None:
    recogniser = Recogniser("stop")
    async with Conversation(lambda audio: said(20), recogniser=recogniser) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.6))
        assert talk.client.session.playout.buffered == 0
        assert recogniser.heard == []


@pytest.mark.usefixtures("loud_is_speech")
@pytest.mark.parametrize("what", ["reset", "trigger"])
async def test_nobody_asks_about_an_interruption_that_has_been_dealt_with(what: str) -> None:
    recogniser = Recogniser("", "", "", "stop")
    async with interrupted_by(recogniser, reply=30) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.7))
        asked = len(recogniser.heard)
        assert asked
        if what == "reset":
            talk.handler.reset()
        else:
            talk.client.session.trigger_response()
        await talk.listen(4)
        assert len(recogniser.heard) == asked
        assert talk.client.heard_at()[-1] > now() - 0.1, "the reply, or the new one, is playing"
        assert talk.client.session.playout.buffered > 10


# -- by nobody


@pytest.mark.usefixtures("loud_is_speech")
async def test_who_may_not_interrupt_does_not_even_hold_the_reply() -> None:
    """While it is generated, and while it is only played any more."""

    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        yield OUT, REPLY[None, : 3 * OUT]
        await asyncio.sleep(1)
        yield OUT, REPLY[None, 3 * OUT :]

    async with Conversation(answer, can_interrupt=False) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.client.speak(*[voice(0.8), silence(0.6)] * 4)
        assert np.diff(talk.client.heard_at()).max() < 0.05
        assert talk.client.hear().tolist()[: REPLY.size] == REPLY[: talk.client.hear().size].tolist()
        await talk.listen(2)
        assert (talk.client.logs, len(talk.utterances)) == (TURN, 1)
