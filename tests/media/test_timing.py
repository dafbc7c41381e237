"""When things happened around a reply: for the page, for the application, for the handler. On a virtual clock."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from streams.media.audio import Audio
from streams.media.context import Context
from streams.media.outputs import AdditionalOutputs, Emitted
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.replying import AudioGenerator
from streams.media.session import Hooks, Reason, Session, SessionConfig
from streams.media.timing import ReplyTiming, get_reply_timing
from streams.media.transport import FakeTransport
from tests.media.client import Client, silence, voice
from tests.media.test_reply_on_pause import OUT, said
from tests.media.virtual_time import Gate

pytestmark = pytest.mark.usefixtures("loud_is_speech")

FAR = 0.08


class FarTransport(FakeTransport):
    """The client hears what left FAR seconds ago."""

    async def latency(self) -> float:
        return FAR


class Talk:
    """A client, and what was told about the replies: to the reply function, the application, the page."""

    def __init__(self, reply: Callable[..., Any] = lambda audio: said(1), **kwargs: Any) -> None:
        self.inside: list[ReplyTiming] = []
        self.over: list[ReplyTiming] = []
        self._reply = reply
        handler = ReplyOnPause(self._answer, **kwargs)
        self.client = Client(handler)
        self.client.transport = FarTransport()
        hooks = Hooks(on_reply=lambda session, timing: self.over.append(timing))
        self.client.session = Session(
            handler, self.client.transport, Context("caller"), config=SessionConfig(), hooks=hooks
        )

    def _answer(self, audio: Audio) -> Any:
        self.inside.append(get_reply_timing())
        return self._reply(audio)

    async def __aenter__(self) -> "Talk":
        await self.client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [dict(message["data"]) for message in self.client.transport.messages if message["type"] == "timing"]


def moments(timing: ReplyTiming) -> list[float]:
    names = ("speech_began", "speech_ended", "decided", "first_item", "first_packet", "heard", "ended")
    found = [getattr(timing, name) for name in names]
    assert None not in found, found
    return found


async def test_the_moments_come_in_their_order() -> None:
    async with Talk() as talk:
        await talk.client.speak(silence(0.96), voice(1.2), silence(3))
    (timing,) = talk.over
    assert talk.inside == [timing]
    found = moments(timing)
    assert found == pytest.approx(sorted(found))
    began, ended, decided, first_item, first_packet, heard, over = found
    assert (began, ended) == pytest.approx((0.96, 2.16), abs=0.05)
    assert decided - ended == pytest.approx(0.5, abs=0.05)
    assert first_item - decided < 0.05
    assert first_packet - first_item <= 0.021
    assert heard - first_packet == pytest.approx(FAR)
    assert over - first_packet == pytest.approx(1.0, abs=0.05)
    assert (timing.generated_seconds, timing.heard_seconds) == (1.0, 1.0)
    assert (timing.number, timing.interrupted, timing.completeness) == (1, False, None)


async def test_a_function_that_thinks_before_it_answers() -> None:
    gate = Gate()

    def answer(audio: Audio) -> Iterator[Emitted]:
        yield AdditionalOutputs("thinking")
        gate.wait()
        yield said(0.5)
        yield said(0.5)

    async with Talk(answer) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(2.5))
        (timing,) = talk.inside
        assert (timing.first_item, timing.first_packet, timing.heard, timing.ended) == (None,) * 4
        gate.open()
        await talk.client.speak(silence(2))
    assert timing.first_item is not None and timing.speech_ended is not None
    assert timing.first_item - timing.decided == pytest.approx(2.0, abs=0.06)
    assert timing.generated_seconds == 1.0


async def test_the_page_is_told_when_it_is_heard_and_when_it_is_over() -> None:
    async with Talk() as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(0.9))
        assert [told["ended"] for told in talk.told] == [None]
        await talk.client.speak(silence(2))
        first, last = talk.told
    assert (first["number"], last["number"]) == (1, 1)
    assert first["heard"] == last["heard"] is not None
    assert last["ended"] is not None
    assert last["heard_seconds"] == 1.0
    assert "previous" not in last
    assert json.loads(json.dumps(talk.told)) == talk.told
    assert last == talk.over[0].as_data()
    assert all(round(value, 3) == value for value in last.values() if isinstance(value, float))


async def test_what_was_heard_of_a_reply_that_was_cut_short() -> None:
    async with Talk(lambda audio: said(20)) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(3.5))
        await talk.client.speak(voice(1))
        timing = talk.over[0]
        assert timing.interrupted
        assert timing.generated_seconds == 20
        assert timing.heard_seconds == pytest.approx(talk.client.hear().size / OUT, abs=0.001)
        assert 2.9 < timing.heard_seconds < 3.3
        assert talk.told[-1]["interrupted"]


async def test_what_was_heard_of_each_of_several_replies() -> None:
    """Counted from its own first sample, whatever was played before."""
    async with Talk(lambda audio: said(3)) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(1.6), voice(1), silence(5), voice(1), silence(5))
    first, second, third = talk.over
    assert first.interrupted and 0.9 < first.heard_seconds < 1.3
    assert (second.heard_seconds, third.heard_seconds) == (3.0, 3.0)
    assert [timing.number for timing in talk.over] == [1, 2, 3]


async def test_an_interruption_that_was_none_takes_nothing_away() -> None:
    async with Talk(lambda audio: said(3)) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(1.6), voice(0.13), silence(5))
    (timing,) = talk.over
    assert (timing.heard_seconds, timing.interrupted) == (3.0, False)
    assert timing.ended is not None and timing.first_packet is not None
    assert timing.ended - timing.first_packet > 3.1, "the hold is part of its time"


async def test_interrupted_before_anything_was_heard() -> None:
    gate = Gate()

    def answer(audio: Audio) -> Emitted:
        gate.wait()
        return said(1)

    async with Talk(answer) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(1), voice(1))
        (timing,) = talk.over
        gate.open()
        await talk.client.speak(silence(3))
    assert (timing.interrupted, timing.heard_seconds, timing.first_item, timing.heard) == (True, 0.0, None, None)
    assert len(talk.over) == 2


async def test_the_next_reply_knows_what_was_heard_of_the_last() -> None:
    known: list[tuple[bool, int] | None] = []

    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        previous = get_reply_timing().previous
        known.append((previous.interrupted, round(previous.heard_seconds)) if previous else None)
        yield said(4)

    async with Talk(answer) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(2.4), voice(1), silence(6), voice(1), silence(1))
    assert known == [None, (True, 2), (False, 4)]


async def test_replies_do_not_keep_all_that_were_before_them() -> None:
    async with Talk(lambda audio: said(0.1)) as talk:
        await talk.client.speak(silence(0.5), *[voice(0.5), silence(1.5)] * 5)
    last = talk.over[-1]
    assert last.previous is talk.over[-2]
    assert last.previous.previous is None


async def test_a_reply_that_makes_no_sound() -> None:
    async with Talk(lambda audio: AdditionalOutputs("noted")) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(2))
    (timing,) = talk.over
    assert (timing.first_item, timing.heard, timing.generated_seconds, timing.heard_seconds) == (None, None, 0.0, 0.0)
    assert timing.ended is not None and timing.decided <= timing.ended
    assert len(talk.told) == 1


async def test_a_reply_that_fails_is_over_too() -> None:
    def answer(audio: Audio) -> Iterator[Emitted]:
        yield said(0.5)
        raise RuntimeError

    async with Talk(answer) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(3))
    (timing,) = talk.over
    assert (timing.generated_seconds, timing.heard_seconds, timing.interrupted) == (0.5, 0.5, False)


async def test_a_reply_to_a_trigger_answers_no_speech() -> None:
    async with Talk() as talk:
        await talk.client.speak(silence(1.0))
        talk.client.session.trigger_response("typed")
        await talk.client.speak(silence(2))
    (timing,) = talk.over
    assert (timing.speech_began, timing.speech_ended) == (None, None)
    assert timing.decided == pytest.approx(1.0, abs=0.04)
    assert timing.heard_seconds == 1.0


async def test_a_start_up_is_a_reply_like_any_other() -> None:
    greetings: list[ReplyTiming] = []

    def greet() -> Emitted:
        greetings.append(get_reply_timing())
        return said(0.5)

    async with Talk(startup_fn=greet) as talk:
        await talk.client.speak(silence(1.5), voice(1), silence(2))
    greeting, answer = talk.over
    assert greetings == [greeting]
    assert (greeting.number, answer.number, answer.previous) == (1, 2, greeting)
    assert greeting.decided == pytest.approx(0.0, abs=0.03)
    assert (greeting.speech_ended, greeting.heard_seconds) == (None, 0.5)


async def test_a_session_that_closes_ends_the_reply_without_blame() -> None:
    async with Talk(lambda audio: said(20)) as talk:
        await talk.client.speak(silence(0.5), voice(1), silence(2.5))
    (timing,) = talk.over
    assert not timing.interrupted
    assert 1.8 < timing.heard_seconds < 2.2
    assert len(talk.told) == 1, "nobody is told who is gone"


async def test_a_generator_in_mode_receive_has_a_timing_too() -> None:
    over: list[ReplyTiming] = []

    def tune() -> Iterator[Emitted]:
        get_reply_timing()
        yield said(1)

    client = Client(AudioGenerator(tune), hooks=Hooks(on_reply=lambda session, timing: over.append(timing)))
    await client.connect()
    await client.speak(silence(2))
    assert [timing.heard_seconds for timing in over] == [1.0]


def test_outside_a_reply_there_is_no_timing() -> None:
    with pytest.raises(RuntimeError, match="No reply is running"):
        get_reply_timing()
