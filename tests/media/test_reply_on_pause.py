import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from streams.media import reply_on_pause
from streams.media.audio import Audio, Samples
from streams.media.errors import WebRTCError
from streams.media.interruptions import InterruptionOptions
from streams.media.outputs import AdditionalOutputs, CloseStream, Emitted
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Hooks, Reason, SessionConfig, State
from tests.media.client import RATE, Client, silence, voice
from tests.media.virtual_time import Gate, now, settled

pytestmark = pytest.mark.usefixtures("loud_is_speech")

OUT = 24000
TURN = ["started_talking", "pause_detected", "response_starting", "response_finished"]


def said(seconds: float, level: int = 3000) -> Audio:
    return OUT, voice(seconds, OUT, level)[None, :]


def loud(samples: Samples) -> int:
    return int(np.abs(samples).max()) if samples.size else 0


class Conversation:
    """A client and what the reply function was called with."""

    def __init__(self, reply: Callable[..., Any] | None = None, **kwargs: Any) -> None:
        self.utterances: list[Audio] = []
        self.outputs: list[tuple[Any, ...]] = []
        self.closed: list[Reason] = []
        self._reply = reply or (lambda audio: said(1))
        config = kwargs.pop("config", None)
        self.handler = ReplyOnPause(self._answer, **kwargs)
        hooks = Hooks(
            on_closed=lambda session, reason: self.closed.append(reason),
            on_outputs=lambda session, outputs: self.outputs.append(outputs.args),
        )
        self.client = Client(self.handler, hooks=hooks, config=config)

    def _answer(self, audio: Audio) -> Any:
        self.utterances.append(audio)
        return self._reply(audio)

    async def __aenter__(self) -> "Conversation":
        await self.client.connect()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.session.close(Reason.CLIENT_CLOSED)

    async def ask(self, seconds: float = 1.0) -> None:
        """Say something, and be quiet until the pause has been noticed."""
        await self.client.speak(voice(seconds), silence(0.62))

    async def listen(self, seconds: float) -> None:
        await self.client.speak(silence(seconds))

    def last_heard(self) -> float:
        return self.client.heard_at()[-1]


async def test_a_turn_is_told_once_and_in_order() -> None:
    def answer(audio: Audio) -> Iterator[Emitted]:
        for _ in range(10):
            yield said(0.2)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        assert talk.client.logs == TURN[:3]
        await talk.listen(1.8)
        assert talk.client.logs == TURN[:3]  # still playing
        await talk.listen(0.4)
        assert talk.client.logs == TURN
        assert talk.client.hear().size == 2 * OUT


async def test_three_turns() -> None:
    async with Conversation() as talk:
        for _ in range(3):
            await talk.listen(0.5)
            await talk.ask()
            await talk.listen(1.5)
        assert talk.client.logs == TURN * 3
        assert len(talk.utterances) == 3


async def test_the_reply_begins_soon_after_the_last_word() -> None:
    async with Conversation() as talk:
        await talk.listen(1)
        await talk.client.speak(voice(1.5))
        ended = now()
        await talk.listen(1)
        assert talk.client.heard_at()[0] - ended == pytest.approx(0.53, abs=0.06)


async def test_silence_is_never_answered() -> None:
    async with Conversation() as talk:
        await talk.listen(60)
        assert talk.client.logs == []
        assert talk.utterances == []


@pytest.mark.parametrize("offset", [0, 160, 399, 512, 777, 960, 1100, 1300, 1500, 1535])
@pytest.mark.parametrize("rate", [16000, 24000, 48000])
async def test_the_first_200_ms_of_the_utterance_are_there(offset: int, rate: int) -> None:
    """Whatever the place in which speech begins within hops and frames."""
    async with Conversation(input_sample_rate=rate) as talk:
        spoken = voice(1.2, pitch=97.0)
        before = silence(0.96)
        await talk.client.speak(np.concatenate([before, np.zeros(offset, np.int16), spoken, silence(1)]))
        ((got_rate, array),) = talk.utterances
        assert got_rate == rate
        assert array.shape[0] == 1 and array.dtype == np.int16
        if rate == RATE:
            onset = spoken[: RATE // 5]
            first = int(np.flatnonzero(array[0])[0])
            assert array[0][first : first + onset.size].tolist() == onset.tolist()
        loudness = np.abs(array[0]) > 600
        first = int(np.flatnonzero(loudness)[0])
        assert 0.15 < first / rate < 0.4  # silence before it, and not much
        assert loudness[first : first + rate // 5].mean() > 0.5
        assert (array.size - first) / rate == pytest.approx(1.2 + 0.5, abs=0.07)


async def test_a_short_noise_is_no_turn() -> None:
    async with Conversation() as talk:
        await talk.listen(0.5)
        await talk.client.speak(voice(0.13), silence(2))
        assert talk.client.logs == []
        assert talk.utterances == []


# -- interrupting


async def test_speaking_over_a_reply_ends_it_at_once() -> None:
    made: list[int] = []

    def answer(audio: Audio) -> Iterator[Emitted]:
        for number in range(1000):
            made.append(number)
            yield said(0.5)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(3)
        began, count = now(), len(made)
        await talk.client.speak(voice(1))
        assert talk.last_heard() - began < 0.13  # held as soon as speech is suspected
        assert talk.client.logs == [*TURN[:3], "started_talking"]
        assert talk.client.session.playout.buffered == 0
        await talk.client.speak(voice(5))
        assert len(made) <= count + 1
        assert "response_finished" not in talk.client.logs


async def test_speaking_over_a_reply_that_is_blocked_ends_it_at_once() -> None:
    gate, worker, closed_in, closed = Gate(), list[threading.Thread](), list[threading.Thread](), threading.Event()

    def answer(audio: Audio) -> Iterator[Emitted]:
        worker.append(threading.current_thread())
        try:
            yield said(0.5)
            gate.wait()
            yield said(5)
        finally:
            closed_in.append(threading.current_thread())
            closed.set()

    answers = iter([answer, lambda audio: said(0.5)])
    async with Conversation(lambda audio: next(answers)(audio)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.ask()
        await talk.listen(1)
        assert talk.client.logs == [*TURN[:3], *TURN]  # the next turn does not wait for the blocked thread
        gate.open()
        assert closed.wait(10)
        assert closed_in == worker
        await talk.listen(1)
        assert talk.client.hear().size == OUT  # 0.5 s of each; what came late is not heard


async def test_an_async_reply_is_interrupted() -> None:
    left: list[str] = []

    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        try:
            while True:
                yield said(0.5)
                await asyncio.sleep(0.4)
        finally:
            left.append("closed")

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(2)
        began = now()
        await talk.client.speak(voice(1))
        assert left == ["closed"]
        assert talk.last_heard() - began < 0.13


async def test_a_reply_that_only_plays_any_more_is_interrupted() -> None:
    async with Conversation(lambda audio: said(8)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        began = now()
        await talk.client.speak(voice(1))
        assert talk.last_heard() - began < 0.13
        await talk.listen(10)
        assert talk.last_heard() > began + 1  # the answer to the interruption


async def test_a_cough_holds_the_reply_which_then_goes_on_where_it_stopped() -> None:
    reply = voice(4, OUT, 3000)
    async with Conversation(lambda audio: (OUT, reply[None, :])) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.13), silence(5))
        assert talk.client.hear().tolist() == reply.tolist()
        gaps = np.diff(talk.client.heard_at())
        assert (gaps > 0.1).sum() == 1
        assert gaps.max() < 0.8
        assert talk.client.logs == TURN


async def test_a_reply_of_silence_and_speech_is_played_to_the_last_sample() -> None:
    parts = [voice(1.2, OUT, 3000), silence(0.25, OUT), voice(0.811, OUT, 3000), np.zeros(30, np.int16)]
    async with Conversation(lambda audio: ((OUT, part[None, :]) for part in parts)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(3)
        whole = np.concatenate(parts)
        assert talk.client.hear()[: whole.size].tolist() == whole.tolist()


@pytest.mark.parametrize("lead", [0.05, 0.07, 0.1, 0.3])
async def test_a_reply_paced_by_its_author_loses_no_sample(lead: float) -> None:
    """A function that writes speech a little ahead of its being heard, as streaming speech synthesis does."""
    reply = (np.arange(10 * OUT) % 300 + 1).astype(np.int16)  # quiet: what may seem not to be heard

    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        yield OUT, reply[None, : round(lead * OUT)]
        for start in range(round(lead * OUT), reply.size, 480):
            yield OUT, reply[None, start : start + 480]
            await asyncio.sleep(0.02)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(12)
        assert talk.client.hear()[: reply.size].tolist() == reply.tolist()


@pytest.mark.parametrize("phase", ["generating", "playing"])
async def test_who_may_not_interrupt_is_not_listened_to(phase: str) -> None:
    gate = Gate()

    def answer(audio: Audio) -> Iterator[Emitted]:
        if phase == "generating":
            yield said(0.2)
            gate.wait()
        yield said(4)

    async with Conversation(answer, can_interrupt=False) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.client.speak(voice(1), silence(1))
        gate.open()
        await talk.listen(5)
        assert talk.client.logs == TURN
        assert len(talk.utterances) == 1
        size = talk.client.hear().size
        assert size == OUT * (4.2 if phase == "generating" else 4)
        await talk.ask()
        await talk.listen(5)
        assert talk.client.logs == TURN * 2


async def test_the_start_up_may_not_be_interrupted_either() -> None:
    async with Conversation(startup_fn=lambda: said(3), can_interrupt=False) as talk:
        await talk.client.speak(voice(1), silence(3))
        assert talk.client.hear().size == 3 * OUT
        assert talk.utterances == []


async def test_a_very_long_speech_is_answered_while_it_goes_on() -> None:
    async with Conversation(
        lambda audio: AdditionalOutputs(round(audio[1].size / RATE)),
        algo_options=AlgoOptions(max_continuous_speech_s=5),
    ) as talk:
        await talk.listen(0.5)
        await talk.client.speak(voice(11))
        assert talk.outputs == [(5,), (5,)]


async def test_cancel_and_reset_by_the_author() -> None:
    async with Conversation(lambda audio: said(8)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        assert talk.handler.replying
        talk.handler.cancel_reply()
        await settled()
        assert not talk.handler.replying
        await talk.listen(1)
        assert talk.last_heard() < now() - 0.9


async def test_a_reset_does_not_leave_the_reply_held() -> None:
    async with Conversation(lambda audio: said(3)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        await talk.client.speak(voice(0.13))
        talk.handler.reset()
        await talk.listen(4)
        assert talk.client.hear().size == 3 * OUT
        assert talk.client.logs == TURN


# -- errors


@pytest.mark.parametrize("when", ["at once", "later", "async", "plain"])
async def test_a_failing_reply_is_shown_and_the_next_utterance_answered(when: str) -> None:
    def at_once(audio: Audio) -> Iterator[Emitted]:
        raise RuntimeError("the key is 1234")
        yield

    def later(audio: Audio) -> Iterator[Emitted]:
        yield said(0.5)
        raise RuntimeError("the key is 1234")

    async def fails(audio: Audio) -> AsyncIterator[Emitted]:
        raise RuntimeError("the key is 1234")
        yield

    def plain(audio: Audio) -> Emitted:
        raise RuntimeError("the key is 1234")

    failing: Callable[[Audio], Any] = {"at once": at_once, "later": later, "async": fails, "plain": plain}[when]
    answers = iter([failing, lambda audio: said(1)])
    async with Conversation(lambda audio: next(answers)(audio)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        assert talk.client.errors == ["Something went wrong in this stream. Please try again."]
        assert not talk.handler.replying
        await talk.ask()
        await talk.listen(2)
        assert talk.client.logs[-4:] == TURN
        assert talk.client.heard_at()[-1] > now() - 2
        assert talk.client.session.state is State.LIVE


async def test_the_authors_words_are_shown() -> None:
    def answer(audio: Audio) -> Emitted:
        raise WebRTCError("I did not get that.")

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(0.5)
        assert talk.client.errors == ["I did not get that."]


@pytest.mark.parametrize(
    "nonsense", ["hello", (OUT, [1, 2]), (OUT, np.zeros(5, np.int64)), (0, np.zeros(480, np.int16))]
)
async def test_nonsense_in_a_reply_is_shown_and_the_next_utterance_answered(nonsense: Any) -> None:
    answers = iter([nonsense, said(1)])
    async with Conversation(lambda audio: iter([next(answers)]), config=SessionConfig(debug=True)) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        assert len(talk.client.errors) == 1
        await talk.ask()
        await talk.listen(2)
        assert talk.client.logs[-4:] == TURN
        assert loud(talk.client.hear()) > 1000


async def test_a_reply_that_awaits_its_own_cancelled_task_is_an_error_like_any_other() -> None:
    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        yield said(0.1)
        task = asyncio.create_task(asyncio.sleep(1))
        task.cancel()
        await task

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1)
        assert talk.client.logs == TURN
        assert len(talk.client.errors) == 1


async def test_an_empty_reply_does_not_stop_the_talk() -> None:
    async with Conversation(lambda audio: iter(())) as talk:
        for _ in range(2):
            await talk.listen(0.5)
            await talk.ask()
        assert len(talk.utterances) == 2
        assert talk.client.errors == []
        assert not talk.handler.replying


# -- the start


def greet() -> Iterator[Emitted]:
    yield said(0.5)
    yield said(0.5)


async def async_greet() -> AsyncIterator[Emitted]:
    yield said(0.5)
    await asyncio.sleep(0.1)
    yield said(0.5)


async def awaited_greeting() -> Emitted:
    return said(1)


@pytest.mark.parametrize("startup", [greet, async_greet, awaited_greeting, lambda: said(1)])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_the_stream_speaks_first(startup: Callable[..., Any], kind: str) -> None:
    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        yield said(1)

    async with Conversation(answer if kind == "async" else None, startup_fn=startup) as talk:
        await talk.listen(1.5)
        assert talk.client.logs == TURN[2:]
        assert talk.client.hear().size == OUT
        await talk.ask()
        await talk.listen(1.5)
        assert talk.client.logs == [*TURN[2:], *TURN]


async def test_a_failing_start_up_is_shown_and_the_user_is_listened_to() -> None:
    def startup() -> Emitted:
        raise WebRTCError("No greeting today.")

    async with Conversation(startup_fn=startup) as talk:
        await talk.listen(0.5)
        assert talk.client.errors == ["No greeting today."]
        await talk.ask()
        await talk.listen(1.5)
        assert talk.client.logs[-4:] == TURN


async def test_a_greeting_is_interrupted() -> None:
    async with Conversation(startup_fn=lambda: said(9)) as talk:
        await talk.listen(1)
        began = now()
        await talk.client.speak(voice(1))
        assert talk.last_heard() - began < 0.13


# -- outputs and the end


async def test_outputs_come_with_the_reply() -> None:
    def answer(audio: Audio) -> Iterator[Emitted]:
        yield AdditionalOutputs("transcript")
        yield said(0.5), AdditionalOutputs("part", 1)
        yield said(0.5)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1.5)
        assert talk.outputs == [("transcript",), ("part", 1)]
        assert len(talk.client.transport.texts("fetch_output")) == 2
        assert talk.client.logs == TURN
        assert talk.client.hear().size == OUT


@pytest.mark.parametrize("together", [True, False])
async def test_the_stream_closes_after_its_last_words(together: bool) -> None:
    def answer(audio: Audio) -> Iterator[Emitted]:
        if together:
            yield said(2), CloseStream("Goodbye.")
        else:
            yield said(2)
            yield CloseStream("Goodbye.")

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        await talk.listen(1.5)
        assert talk.closed == []
        await talk.listen(1)
        assert talk.closed == [Reason.HANDLER_CLOSED]
        assert talk.client.transport.texts("end_stream") == ["Goodbye."]
        assert talk.client.hear().size == 2 * OUT


async def test_closing_in_the_middle_of_a_blocked_reply() -> None:
    gate = Gate()

    def answer(audio: Audio) -> Iterator[Emitted]:
        gate.wait()
        yield said(1)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        began = now()
        await talk.client.session.close(Reason.SERVER_SHUTDOWN)
        assert now() - began < 1
        assert talk.client.session.state is State.CLOSED
        gate.open()
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_reply_runs_off_the_loop() -> None:
    threads: list[threading.Thread] = []

    def answer(audio: Audio) -> Iterator[Emitted]:
        threads.append(threading.current_thread())
        yield said(0.1)

    async with Conversation(answer) as talk:
        await talk.listen(0.5)
        await talk.ask()
        assert threads and threads[0] is not threading.main_thread()


async def test_ten_conversations_at_once_do_not_mix() -> None:
    def level(audio: Audio) -> int:
        return int(np.abs(audio[1]).max())

    levels = [3000 + 1000 * number for number in range(10)]
    talks = [Conversation(lambda audio: AdditionalOutputs(level(audio))) for _ in levels]
    for talk in talks:
        await talk.client.connect()
    await asyncio.gather(
        *(
            talk.client.speak(silence(0.5), voice(1, level=loudness), silence(1))
            for talk, loudness in zip(talks, levels, strict=True)
        )
    )
    assert [talk.outputs for talk in talks] == [[(pytest.approx(loudness * 1.25, rel=0.01),)] for loudness in levels]
    for talk in talks:
        await talk.client.session.close(Reason.CLIENT_CLOSED)


async def test_a_trigger_that_comes_before_the_handler_has_begun_is_answered() -> None:
    """A client may send it right after "start"."""
    talk = Conversation()
    talk.client.session.connecting()
    talk.client.session.connected()
    talk.client.session.trigger_response()
    await talk.client.connect_later()
    await talk.listen(0.5)
    assert talk.client.errors == []
    assert len(talk.utterances) == 1
    await talk.client.session.close(Reason.CLIENT_CLOSED)


async def test_a_client_that_falls_silent_altogether_is_answered() -> None:
    """A page that is muted in the middle of a sentence may send nothing at all."""
    async with Conversation() as talk:
        await talk.client.speak(voice(1.0))
        await asyncio.sleep(0.9)
        assert talk.utterances == []
        await asyncio.sleep(0.2)
        assert len(talk.utterances) == 1
        await asyncio.sleep(5)
        await talk.ask()
        assert len(talk.utterances) == 2


async def test_a_session_that_never_connects_ends_without_a_complaint(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(ReplyOnPause(lambda audio: None))
    await client.session.close(Reason.CONNECT_TIMEOUT)
    assert "failed while closing" not in caplog.text


# -- who had not finished


async def test_who_goes_on_over_the_answer_is_given_whole() -> None:
    async with Conversation(interruption=InterruptionOptions(rejoin=True)) as talk:
        await talk.client.speak(voice(1), silence(0.7), voice(0.8), silence(0.62))
        first, both = talk.utterances
        assert both[1].tolist()[0][: first[1].size] == first[1].tolist()[0]
        assert both[1].size > first[1].size + 0.8 * both[0]
        timing = talk.handler.timing
        assert timing is not None
        assert timing.continues
        assert timing.speech_began == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("case", ["not asked for", "long after", "the answer was heard to its end"])
async def test_what_is_said_anew_stands_alone(case: str) -> None:
    options = InterruptionOptions(rejoin=case != "not asked for")
    reply = (lambda audio: said(0.1)) if case.startswith("the answer") else (lambda audio: said(3))
    async with Conversation(reply, interruption=options) as talk:
        await talk.client.speak(voice(1), silence(2 if case == "long after" else 1), voice(0.8), silence(0.62))
        first, second = talk.utterances
        assert second[1].size < first[1].size + 0.4 * second[0]
        assert talk.handler.timing is not None
        assert not talk.handler.timing.continues


async def test_a_voice_that_never_ends_is_not_joined_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_on_pause, "JOINED_SECONDS", 5)
    async with Conversation(lambda audio: said(3), interruption=InterruptionOptions(rejoin=True)) as talk:
        for _ in range(6):
            await talk.client.speak(voice(1), silence(0.7))
        lengths = [audio.shape[1] / rate for rate, audio in talk.utterances]
        assert max(lengths) <= 5
        assert lengths[3] < lengths[1], "the next one begins anew"
