"""Turn taking by a spoken phrase, in a language of tones and on a virtual clock."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from streams.media import reply_on_words
from streams.media.audio import Audio, Samples
from streams.media.determine_pause import AppState
from streams.media.outputs import Emitted
from streams.media.reply_on_stop_words import ReplyOnStopWords, ReplyOnStopWordsState
from streams.media.session import Reason, State
from streams.media.speech.engines import register_engine
from streams.media.stop_words import StopWords
from streams.media.weights import WeightsMissing
from tests.media.client import RATE, Client, silence, voice
from tests.media.tone_words import GAP, ToneWords, say
from tests.media.virtual_time import now, settled
from tests.plugins import engines_of_their_own

pytestmark = pytest.mark.usefixtures("loud_is_speech")

OUT = 24000
ANSWER = ["pause_detected", "response_starting", "response_finished"]


class Talk:
    """A client of a handler that hears tones, and what it was answered to."""

    def __init__(self, kind: type[ReplyOnStopWords] = ReplyOnStopWords, seconds: float = 0.5, **kwargs: Any) -> None:
        self.seconds = seconds
        self.requests: list[Samples] = []
        self.ear = ToneWords()
        words, options = kwargs.pop("stop_words", ["computer"]), kwargs.pop("options", None)
        self.handler = kind(self._answer, words, stt_model=self.ear, **kwargs)
        self.client = Client(self.handler.copy(), options=options)

    def _answer(self, audio: Audio) -> Iterator[Emitted]:
        self.requests.append(audio[1][0])
        yield OUT, voice(self.seconds, OUT, 3000)[None, :]

    async def __aenter__(self) -> "Talk":
        await self.client.connect()
        await self.listen(0.5)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)
        assert self.client.session.state is State.CLOSED

    async def say(self, text: str, pause: float = 0.8) -> None:
        await self.client.speak(say(text), silence(pause))

    async def listen(self, seconds: float) -> None:
        await self.client.speak(silence(seconds))

    @property
    def answered(self) -> list[str]:
        return [ToneWords().stt((RATE, request)) for request in self.requests]

    @property
    def stopwords(self) -> list[Any]:
        return self.client.transport.texts("stopword")


async def test_what_follows_in_the_same_breath_is_answered() -> None:
    async with Talk() as talk:
        await talk.say("computer lights on", 2)
        assert talk.answered == ["Lights on"]
        assert talk.stopwords == [""]
        assert talk.client.logs == ANSWER
        (request,) = talk.requests
        assert np.flatnonzero(np.abs(request) > 1000)[0] / RATE < 0.25, "and nothing before it"


async def test_nothing_else_is() -> None:
    async with Talk() as talk:
        for text in ("hello", "lights on", "hello hey jarvis over lights on"):
            await talk.say(text)
        await talk.listen(30)
        assert (talk.requests, talk.stopwords, talk.client.logs) == ([], [], [])
        await talk.say("hello hello computer on", 2)
        assert talk.answered == ["On"]


async def test_after_the_phrase_alone_it_waits_for_the_next_utterance() -> None:
    async with Talk() as talk:
        await talk.say("computer", 3)
        assert (talk.requests, talk.stopwords, talk.client.logs) == ([], [""], [])
        await talk.say("hello lights on", 2)
        assert talk.answered == ["Hello lights on"]
        assert talk.client.logs == ["started_talking", *ANSWER]
        await talk.say("lights on", 2)
        assert len(talk.requests) == 1, "one phrase, one answer"


@pytest.mark.parametrize("text", ["computer", "hello computer", "hello lights on computer"])
@pytest.mark.parametrize("offset", [0.1, 0.107, 0.113, 0.12])
async def test_the_client_is_told_within_half_a_second_of_the_phrase(text: str, offset: float) -> None:
    async with Talk() as talk:
        await talk.client.speak(silence(offset), say(text))
        ended = now()
        while not talk.stopwords:
            await talk.client.speak(silence(0.02))
        assert now() - ended < 0.5


async def test_the_client_is_told_while_the_user_goes_on() -> None:
    async with Talk() as talk:
        await talk.client.speak(say("hello computer"))
        await talk.client.speak(silence(0.04), say("lights"))  # 0.44 s
        assert talk.stopwords == [""]


async def test_a_word_that_only_begins_like_the_phrase_is_none() -> None:
    async with Talk() as talk:
        await talk.say("hello computer-ing lights on", 2)
        await talk.say("computer-ing", 2)
        assert (talk.requests, talk.stopwords) == ([], [])
        await talk.say("computer on", 2)
        assert talk.answered == ["On"]


async def test_phrases_of_two_words() -> None:
    async with Talk(stop_words=["Hey, Jarvis!", "hello computer"]) as talk:
        await talk.say("hey lights", 1.5)
        await talk.say("jarvis on", 1.5)
        await talk.say("computer on", 1.5)
        assert talk.stopwords == []
        await talk.say("hey jarvis lights", 2)
        await talk.say("hello computer on", 2)
        assert talk.answered == ["Lights", "On"]


async def test_misspellings_as_far_as_is_said() -> None:
    async with Talk(stop_words=["commuter"], tolerance=1) as talk:
        await talk.say("computer on", 2)
        assert talk.answered == ["On"]
    async with Talk(stop_words=["commuter"]) as talk:
        await talk.say("computer on", 2)
        assert talk.answered == []


async def test_nobody_is_recognised_while_nobody_speaks() -> None:
    async with Talk() as talk:
        await talk.listen(60)
        assert talk.ear.asked == []
        await talk.say("hello", 20)
        assert 0 < len(talk.ear.asked) < 8


async def test_a_long_talk_is_not_kept() -> None:
    """Two people in the room, for an hour."""
    async with Talk() as talk:
        await talk.client.speak(*[say("hello lights over"), silence(GAP)] * 20)
        handler = talk.client.session.handler
        assert isinstance(handler, ReplyOnStopWords)
        assert handler._detector.captured().size < 5 * RATE
        assert max(talk.ear.asked) < 4.1
        await talk.say("computer on", 2)
        assert talk.answered == ["On"]


# -- over a reply


async def test_a_reply_is_ended_by_the_phrase_and_by_nothing_else() -> None:
    async with Talk(seconds=8) as talk:
        await talk.say("computer on", 2)
        began = now()
        await talk.say("hello lights on", 1)
        heard = talk.client.heard_at()
        assert max(np.diff([moment for moment in heard if moment > began])) < 0.05, "not even held"
        await talk.client.speak(say("computer"), silence(0.45))
        quiet = now()
        assert talk.client.session.playout.buffered == 0
        await talk.say("lights", 2)
        assert talk.answered == ["On", "Lights"]
        assert talk.client.heard_at()[-1] > quiet + 1, "the next answer"


async def test_who_may_not_interrupt_is_not_listened_to() -> None:
    async with Talk(seconds=4, can_interrupt=False) as talk:
        await talk.say("computer on", 1)
        await talk.say("computer lights", 1)
        await talk.listen(4)
        assert talk.client.hear().size == 4 * OUT
        assert talk.answered == ["On"]
        await talk.say("computer lights", 5)
        assert talk.answered == ["On", "Lights"]


# -- what an author may do


async def test_the_author_may_say_what_a_stop_word_is() -> None:
    class Jarvis(ReplyOnStopWords):
        def stop_word_detected(self, text: str) -> bool:
            return "jarvis" in text.lower()

    async with Talk(Jarvis) as talk:
        await talk.say("computer on", 2)
        assert talk.answered == []
        await talk.say("hey jarvis lights on", 2)
        assert talk.answered == ["Lights on"]
        await talk.say("jarvis", 2)
        await talk.say("hello", 2)
        assert talk.answered == ["Lights on", "Hello"]


async def test_reset_forgets_the_phrase() -> None:
    async with Talk() as talk:
        await talk.say("computer", 2)
        handler = talk.client.session.handler
        assert isinstance(handler, ReplyOnStopWords)
        handler.reset()
        await talk.say("lights on", 2)
        assert talk.answered == []


async def test_a_triggered_response_gets_what_was_said_after_the_phrase() -> None:
    async with Talk() as talk:
        await talk.client.speak(say("computer lights on"))
        talk.client.session.trigger_response()
        await talk.listen(2)
        assert talk.answered == ["Lights on"]


async def test_sessions_do_not_hear_each_others_phrase() -> None:
    async with Talk() as talk:
        other = await Client(talk.handler.copy(), id="other").connect()
        await talk.say("computer", 1)
        await other.speak(silence(0.5), say("lights on"), silence(2))
        assert talk.requests == []
        await talk.say("on", 2)
        assert talk.answered == ["On"]
        await other.session.close(Reason.CLIENT_CLOSED)


# -- trouble


async def test_a_recogniser_that_raises_is_told_once_for_each_utterance() -> None:
    async with Talk() as talk:
        talk.ear.fails = True
        await talk.say("hello computer lights on computer lights", 2)
        assert len(talk.ear.asked) == 1
        assert talk.client.errors == ["Something went wrong in this stream. Please try again."]
        talk.ear.fails = False
        await talk.say("computer on", 2)
        assert talk.answered == ["On"]


@pytest.mark.parametrize("latency", [0.1, 0.4, 1.5])
async def test_a_slow_recogniser_answers_later_and_loses_nothing(
    latency: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(model: ToneWords, audio: Audio) -> str:
        await asyncio.sleep(latency)
        return model.stt(audio)

    monkeypatch.setattr(reply_on_words, "recognise", slowly)
    async with Talk() as talk:
        await talk.say("computer lights on", 12)
        assert talk.answered == ["Lights on"]
        await talk.say("computer", 12)
        await talk.say("on", 12)
        assert talk.answered == ["Lights on", "On"]
        assert talk.stopwords == ["", ""]


async def test_a_client_that_falls_silent_altogether_is_answered() -> None:
    async with Talk() as talk:
        await talk.client.speak(say("computer lights on"))
        await asyncio.sleep(3)
        assert talk.answered == ["Lights on"]


async def test_nothing_is_left_when_the_session_ends_in_the_middle() -> None:
    async with Talk() as talk:
        await talk.client.speak(say("hello computer lights"))
    await settled()
    assert talk.requests == []


def test_who_listens_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ReplyOnStopWords(print, [])


# -- subclasses of FastRTC's kind


class Chunked(ReplyOnStopWords):
    """What people write: something beside what the class does."""

    def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
        assert isinstance(state, ReplyOnStopWordsState)
        return super().determine_pause(audio, sampling_rate, state)


async def test_a_subclass_determines_pauses_as_fastrtc_does() -> None:
    async with Talk(Chunked) as talk:
        await talk.say("hello lights on", 2)
        await talk.say("computer", 2)
        assert (talk.stopwords, talk.requests) == ([""], [])
        await talk.say("lights on", 3)
        assert talk.answered == ["Lights on"]
        await talk.say("lights on", 3)
        assert len(talk.requests) == 1
        assert talk.client.errors == []


async def test_speech_over_a_subclasss_reply_does_not_end_it() -> None:
    async with Talk(Chunked, seconds=6) as talk:
        await talk.say("computer", 1)
        await talk.say("lights on", 2)
        await talk.say("hello lights on", 8)
        assert talk.client.hear().size == 6 * OUT


async def test_a_subclass_may_decide_alone() -> None:
    class Alone(ReplyOnStopWords):
        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            if audio.size < sampling_rate:
                return False
            assert self.stt_model is not None
            state.buffer = None
            state.stream = audio if state.stream is None else np.concatenate([state.stream, audio])
            if not self.stop_word_detected(self.stt_model.stt((sampling_rate, state.stream))):
                return False
            self.send_stopword()
            return True

    async with Talk(Alone) as talk:
        await talk.say("hello computer", 3)
        assert len(talk.requests) == 1
        assert talk.stopwords == [""]


class FromOptions(ReplyOnStopWords):
    def phrases(self, options: Mapping[str, Any]) -> StopWords:
        return StopWords(options.get("phrases", ["computer"]), 1)


async def test_the_streams_options_may_say_what_to_listen_for() -> None:
    async with Talk(FromOptions, options={"phrases": ["hello"]}) as talk:
        await talk.say("computer lights on", 2)
        assert talk.stopwords == []
        await talk.say("hello lights on", 2)
        assert (talk.answered, talk.stopwords) == (["Lights on"], [""])


async def test_a_recogniser_may_be_named_and_is_loaded_off_the_loop() -> None:
    threads: list[str] = []

    def ears() -> ToneWords:
        threads.append(threading.current_thread().name)
        return ToneWords()

    with engines_of_their_own():
        register_engine("stt", "ears", ears)
        client = await Client(ReplyOnStopWords(lambda audio: None, ["computer"], stt_model="ears")).connect()
        await client.speak(silence(0.5), say("computer"), silence(1))
    assert threads == ["stream-words"]
    assert client.transport.texts("stopword") == [""]
    await client.session.close(Reason.CLIENT_CLOSED)


async def test_without_a_recogniser_the_client_is_told_and_the_log_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def missing() -> ToneWords:
        raise WeightsMissing("Run: manage.py fetch_models ears")

    with engines_of_their_own():
        register_engine("stt", "ears", missing)
        client = await Client(ReplyOnStopWords(lambda audio: None, ["computer"], stt_model="ears")).connect()
        await asyncio.sleep(0.1)
    assert client.errors == [reply_on_words.CANNOT_HEAR]
    assert client.transport.texts("end_stream") == [reply_on_words.CANNOT_HEAR]
    assert "Run: manage.py fetch_models ears" in caplog.text
    assert "failed while closing" not in caplog.text
