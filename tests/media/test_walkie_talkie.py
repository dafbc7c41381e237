"""Turns that end with "over", in a language of tones and on a virtual clock."""

from collections.abc import Iterator
from typing import Any

import pytest

from streams.media.audio import Audio, Samples
from streams.media.outputs import Emitted
from streams.media.pauses import AlgoOptions
from streams.media.session import Reason
from streams.media.walkie_talkie import WalkieTalkie
from tests.media.client import RATE, Client, silence, voice
from tests.media.tone_words import ToneWords, say
from tests.media.virtual_time import now

pytestmark = pytest.mark.usefixtures("loud_is_speech")

OUT = 24000


class Talk:
    def __init__(self, *args: Any, seconds: float = 0.5, **kwargs: Any) -> None:
        self.seconds = seconds
        self.turns: list[Samples] = []
        self.ear = ToneWords()
        self.client = Client(WalkieTalkie(self._answer, *args, stt_model=self.ear, **kwargs).copy())

    def _answer(self, audio: Audio) -> Iterator[Emitted]:
        self.turns.append(audio[1][0])
        yield OUT, voice(self.seconds, OUT, 3000)[None, :]

    async def __aenter__(self) -> "Talk":
        await self.client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)

    async def say(self, text: str, pause: float = 2.0) -> None:
        await self.client.speak(silence(0.5), say(text), silence(pause))

    @property
    def answered(self) -> list[str]:
        return [ToneWords().stt((RATE, turn)) for turn in self.turns]


async def test_over_ends_the_turn() -> None:
    async with Talk() as talk:
        await talk.say("hello lights on over")
        assert talk.answered == ["Hello lights on over"]
        await talk.say("jarvis over")
        assert talk.answered[1:] == ["Jarvis over"]


async def test_a_pause_does_not_and_all_is_kept() -> None:
    async with Talk() as talk:
        await talk.say("hello", 10)
        await talk.say("lights", 5)
        assert talk.turns == []
        await talk.say("on over")
        assert talk.answered == ["Hello lights on over"]
        assert talk.turns[0].size < 10 * RATE, "without the long silences"


async def test_over_in_the_middle_does_not() -> None:
    async with Talk() as talk:
        await talk.say("hello over lights on", 5)
        assert talk.turns == []


async def test_over_alone_after_a_pause_does() -> None:
    async with Talk() as talk:
        await talk.say("hello", 4)
        await talk.say("over")
        assert talk.answered == ["Hello over"]


async def test_another_word_or_several() -> None:
    async with Talk(["hey computer", "jarvis"]) as talk:
        await talk.say("hello over", 3)
        await talk.say("computer", 3)
        assert talk.turns == []
        await talk.say("hey computer", 3)
        await talk.say("on jarvis", 3)
        assert talk.answered == ["Hello over computer hey computer", "On jarvis"]


async def test_who_never_says_it_is_answered_after_the_longest_time() -> None:
    async with Talk(longest=10.0) as talk:
        await talk.say("hello lights", 7)
        assert talk.turns == []
        await talk.say("on", 4)
        assert talk.answered == ["Hello lights on"]
        await talk.client.speak(silence(20))
        assert len(talk.turns) == 1


async def test_who_never_even_pauses_is_too() -> None:
    async with Talk(longest=5.0) as talk:
        await talk.client.speak(voice(8, pitch=300), silence(6))
        assert talk.turns[0].size / RATE == pytest.approx(5, abs=0.5)


async def test_the_ceiling_is_the_sessions_own() -> None:
    options = AlgoOptions()
    async with Talk(longest=5.0, algo_options=options):
        assert options.max_continuous_speech_s == float("inf")


async def test_speaking_over_the_reply_ends_it() -> None:
    async with Talk(seconds=10) as talk:
        await talk.say("hello over")
        began = now()
        await talk.say("lights on", 5)
        assert talk.client.heard_at()[-1] - began < 0.8
        assert len(talk.turns) == 1
        await talk.say("over")
        assert talk.answered[1:] == ["Lights on over"]


async def test_a_triggered_response_gets_all_of_it() -> None:
    async with Talk() as talk:
        await talk.say("hello", 3)
        await talk.client.speak(say("lights on"))
        talk.client.session.trigger_response()
        await talk.client.speak(silence(3))
        assert talk.answered == ["Hello lights on"]
        await talk.say("over")
        assert talk.answered[1:] == ["Over"]


async def test_a_recogniser_that_raises_is_told_and_nothing_is_lost() -> None:
    async with Talk() as talk:
        talk.ear.fails = True
        await talk.say("hello over", 3)
        assert talk.client.errors == ["Something went wrong in this stream. Please try again."]
        talk.ear.fails = False
        await talk.say("lights over")
        assert talk.answered == ["Hello over lights over"]
