"""Subclasses that say themselves when the speaker has finished, and models of others. On a virtual clock."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from streams.media import determine_pause, reply_on_pause
from streams.media.audio import Audio, Samples
from streams.media.determine_pause import AppState
from streams.media.interruptions import InterruptionOptions
from streams.media.messages import create_message
from streams.media.outputs import Emitted, WebRTCData
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.session import Reason, State
from streams.media.speech.engines import register_engine
from streams.media.timing import ReplyTiming, get_reply_timing
from streams.media.vad import AudioChunk
from tests.media.client import RATE, Client, silence, voice
from tests.media.conftest import LoudIsSpeech
from tests.media.virtual_time import Gate, now, settled
from tests.plugins import engines_of_their_own

pytestmark = pytest.mark.usefixtures("loud_is_speech")

OUT = 24000
TURN = ["started_talking", "pause_detected", "response_starting", "response_finished"]


def said(seconds: float) -> Audio:
    return OUT, voice(seconds, OUT, 3000)[None, :]


class Answers:
    """A reply function that keeps what it was called with."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.seconds = seconds
        self.utterances: list[Samples] = []
        self.timings: list[ReplyTiming] = []

    def __call__(self, audio: Audio) -> Iterator[Emitted]:
        self.utterances.append(audio[1][0])
        self.timings.append(get_reply_timing())
        yield said(self.seconds)


class FromTheGallery(ReplyOnPause):
    """What FastRTC's guide tells people to begin with."""

    def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
        return super().determine_pause(audio, sampling_rate, state)


class Recogniser:
    """Hears a high voice as "over" and a low one as "hello"."""

    def stt(self, audio: tuple[int, Samples]) -> str:
        rate, samples = audio
        words = []
        for at in range(0, samples.size - rate // 10, rate // 10):
            spectrum = np.abs(np.fft.rfft(samples[at : at + rate // 10]))
            if np.abs(samples[at : at + rate // 10]).max() > 1000:
                words.append("Over." if spectrum[5:].argmax() + 5 > 50 else "hello")
        return " ".join(words)


class WalkieTalkie(ReplyOnPause):
    """Of the published kind: chunks of its own length, its own copy(), the model, a recogniser, and the state."""

    def __init__(self, fn: Any, startup_fn: Any = None, algo_options: Any = None, model: Any = None) -> None:
        super().__init__(fn, startup_fn, algo_options, model=model)
        self.algo_options.audio_chunk_duration = 2.0
        self.recogniser_of_mine = Recogniser()
        self.state = AppState()

    def copy(self) -> "WalkieTalkie":
        return WalkieTalkie(self.fn, self.startup_fn, self.algo_options, self.model)

    def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
        if len(audio) / sampling_rate < self.algo_options.audio_chunk_duration:
            return False
        assert self.model is not None
        seconds, chunks = self.model.vad((sampling_rate, audio), self.model_options)
        state.buffer = None
        if not seconds or not chunks:
            return False
        state.stream = audio if state.stream is None else np.concatenate((state.stream, audio))
        heard = audio[chunks[0]["start"] : chunks[-1]["end"]]
        return bool(re.search(r"\bover[.,!?]*$", self.recogniser_of_mine.stt((sampling_rate, heard)).lower()))

    def reset(self) -> None:
        super().reset()
        self.generator = None
        self.event.clear()
        self.state = AppState()


HELLO, OVER = 200.0, 900.0


async def connected(handler: ReplyOnPause) -> Client:
    return await Client(handler.copy()).connect()


async def gone(client: Client) -> None:
    await client.session.close(Reason.CLIENT_CLOSED)
    assert client.session.state is State.CLOSED


def vad_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "stream-vad"]


# -- as the gallery shows


@pytest.mark.parametrize("offset", [0, 0.1, 0.2, 0.3, 0.4, 0.5])
async def test_the_gallerys_example_takes_turns(offset: float) -> None:
    """Wherever speech begins within a chunk, and no first syllable is lost."""
    answers = Answers()
    client = await connected(FromTheGallery(answers))
    for _ in range(2):
        await client.speak(silence(0.6 + offset), voice(1.2), silence(3))
    assert client.logs == TURN * 2
    assert client.errors == []
    assert client.hear().size == 2 * OUT
    for utterance in answers.utterances:
        loud = np.flatnonzero(np.abs(utterance) > 1000)
        assert (loud[-1] - loud[0]) / RATE == pytest.approx(1.2, abs=0.05)
    await gone(client)


async def test_the_thresholds_are_the_subclasss() -> None:
    answers = Answers()
    options = AlgoOptions(audio_chunk_duration=1.0, started_talking_threshold=0.5, max_continuous_speech_s=3.0)
    client = await connected(FromTheGallery(answers, algo_options=options))
    await client.speak(silence(1), voice(0.4), silence(3))
    assert answers.utterances == []
    await client.speak(voice(3.3), silence(3))
    assert answers.utterances[0].size / RATE == pytest.approx(3.1, abs=0.5)
    await gone(client)


async def test_sessions_do_not_share_their_state_though_copy_is_inherited() -> None:
    prototype, answers = FromTheGallery(Answers()), Answers()
    prototype.fn = answers
    one, other = await connected(prototype), await connected(prototype)
    await one.speak(silence(0.6), voice(1))
    await other.speak(silence(3))
    await one.speak(silence(3))
    assert (len(answers.utterances), one.logs, other.logs) == (1, TURN, [])
    assert isinstance(one.session.handler, FromTheGallery)
    await gone(one)
    await gone(other)


# -- of the published kind


async def test_over_ends_the_turn_and_nothing_else_does() -> None:
    answers = Answers()
    client = await connected(WalkieTalkie(answers))
    await client.speak(voice(1.2, pitch=HELLO), silence(4.8))
    assert answers.utterances == []
    assert client.logs == TURN[:1]
    await client.speak(voice(1.0, pitch=HELLO), voice(0.5, pitch=OVER), silence(4))
    assert client.logs == [TURN[0], *TURN]
    (utterance,) = answers.utterances
    assert np.abs(utterance[: RATE // 2]).max() > 1000, "what was said before is part of the turn"
    await client.speak(silence(0.5), voice(0.5, pitch=OVER), silence(3))
    assert len(answers.utterances) == 2
    assert answers.utterances[1].size < 3 * RATE, "what has been answered is not"
    await gone(client)


async def test_its_own_model_is_asked() -> None:
    class Deaf:
        asked = 0

        def vad(self, audio: Any, options: Any) -> tuple[float, list[AudioChunk]]:
            self.asked += 1
            return 0.0, []

        def warmup(self) -> None:
            pass

    model, answers = Deaf(), Answers()
    client = await connected(WalkieTalkie(answers, model=model))
    await client.speak(voice(1.0), voice(0.5, pitch=OVER), silence(4))
    assert model.asked
    assert answers.utterances == []
    await gone(client)


async def test_speaking_over_its_reply_ends_it_at_once_though_its_chunks_are_long() -> None:
    answers = Answers(20)
    client = await connected(WalkieTalkie(answers))
    await client.speak(voice(1.0, pitch=OVER), silence(3))
    began = now()
    await client.speak(voice(1.0, pitch=HELLO))
    assert client.heard_at()[-1] - began < 0.13
    assert client.session.playout.buffered == 0
    await gone(client)


async def test_a_cough_over_its_reply_does_not_end_it() -> None:
    client = await connected(WalkieTalkie(Answers(4)))
    await client.speak(voice(1.0, pitch=OVER), silence(2.5))
    await client.speak(voice(0.13), silence(5))
    assert client.hear().tolist() == voice(4, OUT, 3000).tolist()
    assert client.logs == TURN
    await gone(client)


async def test_who_may_not_interrupt_is_not_asked_about() -> None:
    answers = Answers(6)
    handler = FromTheGallery(answers, can_interrupt=False)
    client = await connected(handler)
    await client.speak(silence(0.6), voice(1), silence(2), voice(1), silence(6))
    assert client.logs == TURN
    assert client.hear().size == 6 * OUT
    await client.speak(voice(1), silence(8))
    assert client.logs == TURN * 2
    await gone(client)


async def test_a_determined_pause_in_an_acknowledgement_is_not_answered() -> None:
    """What it takes to interrupt is the same for all."""
    answers = Answers(6)
    client = await connected(FromTheGallery(answers, interruption=InterruptionOptions(min_speech=1.0)))
    await client.speak(silence(0.6), voice(1.2), silence(1.5), voice(0.5), silence(7))
    assert client.logs == [*TURN[:3], "started_talking", "response_resumed", "response_finished"]
    assert client.hear().size == 6 * OUT
    await gone(client)


@pytest.mark.parametrize(("heard", "answered"), [("uh-huh", 1), ("stop it", 2)])
async def test_words_over_its_reply_are_asked_for_as_ever(heard: str, answered: int) -> None:
    answers = Answers(6)
    options = InterruptionOptions(min_words=1)
    handler = FromTheGallery(answers, interruption=options, recogniser=lambda audio: heard)
    client = await connected(handler)
    await client.speak(silence(0.6), voice(1.2), silence(1.5), voice(0.8), silence(8))
    assert len(answers.utterances) == answered
    assert client.logs == (
        [*TURN[:3], "started_talking", "response_resumed", TURN[3]] if answered == 1 else [*TURN[:3], *TURN]
    )
    await gone(client)


# -- where it runs


class Noting(ReplyOnPause):
    """Keeps the thread in which it is asked."""

    def __init__(self, fn: Any) -> None:
        super().__init__(fn)
        self.threads: list[threading.Thread] = []

    def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
        self.threads.append(threading.current_thread())
        return super().determine_pause(audio, sampling_rate, state)


async def test_it_is_asked_in_one_thread_of_the_session_at_every_frame() -> None:
    handler = Noting(Answers())
    client = await Client(handler).connect()
    await client.speak(silence(0.6), voice(1), silence(1))
    assert {thread.name for thread in handler.threads} == {"stream-vad"}
    assert len(set(handler.threads)) == 1
    assert len(handler.threads) == pytest.approx(2.6 * 50, abs=3)
    await gone(client)
    handler.threads[0].join(10)
    assert not handler.threads[0].is_alive()


async def test_a_slow_one_does_not_delay_an_interruption() -> None:
    gate = Gate()

    class Slow(FromTheGallery):
        slow = False

        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            if self.slow:
                gate.wait()
            return super().determine_pause(audio, sampling_rate, state)

    handler = Slow(Answers(20))
    client = await Client(handler).connect()
    await client.speak(silence(0.6), voice(1), silence(2))
    handler.slow = True
    began = now()
    await client.speak(voice(1))
    assert gate.reached.is_set()
    assert client.heard_at()[-1] - began < 0.13
    assert client.logs[-1] == "started_talking"
    handler.slow = False
    gate.open()
    await client.speak(silence(2))
    assert client.logs[-2:] == TURN[1:3], "and what was heard meanwhile is answered"
    await gone(client)


async def test_one_that_never_returns_does_not_keep_the_session() -> None:
    gate = Gate()

    class Stuck(ReplyOnPause):
        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            gate.wait()
            return False

    client = await connected(Stuck(Answers()))
    await client.speak(silence(30))
    began = now()
    await gone(client)
    assert now() - began < 1
    gate.open()


async def test_one_that_is_too_slow_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determine_pause, "WAITING", 50)
    gate, sizes = Gate(), list[int]()

    class Slow(ReplyOnPause):
        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            gate.wait()
            sizes.append(audio.size)
            return False

    client = await connected(Slow(Answers()))
    await client.speak(silence(5))
    gate.open()
    await settled()
    assert len(sizes) <= 52
    await gone(client)


async def test_one_that_raises_is_told_and_asked_again() -> None:
    class Failing(FromTheGallery):
        fails = True

        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            if self.fails:
                raise RuntimeError("the key is 1234")
            assert audio.size < 2 * RATE, "it is not asked about an ever longer buffer"
            return super().determine_pause(audio, sampling_rate, state)

    handler = Failing(Answers())
    client = await Client(handler).connect()
    await client.speak(silence(0.6), voice(2), silence(2))
    assert set(client.errors) == {"Something went wrong in this stream. Please try again."}
    assert len(client.errors) < 12
    handler.fails = False
    await client.speak(silence(1), voice(1), silence(2.5))
    assert client.logs[-4:] == TURN
    await gone(client)


async def test_no_thread_and_no_state_without_a_subclass() -> None:
    before = len(vad_threads())
    client = await connected(ReplyOnPause(Answers()))
    await client.speak(silence(0.6), voice(1), silence(1))
    assert len(vad_threads()) == before
    await gone(client)


# -- what it may do


async def test_it_may_send_messages_and_read_the_state() -> None:
    class Telling(FromTheGallery):
        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            paused = super().determine_pause(audio, sampling_rate, state)
            if paused:
                assert state.stream is not None and state.started_talking and state is self.state
                self.send_message_sync(create_message("warning", f"{state.stream.size / sampling_rate:.1f}"))
                self.send_message_sync({"type": "warning", "data": str(state.responding)})
            return paused

    client = await connected(Telling(Answers()))
    await client.speak(silence(0.6), voice(1.1), silence(3))
    assert client.transport.texts("warning") == ["2.1", "False"]
    await gone(client)


async def test_its_own_state_begins_anew_with_each_turn_and_reset_is_called_between() -> None:
    @dataclass
    class Counting(AppState):
        asked: list[int] = field(default_factory=list)

    class Stateful(FromTheGallery):
        def __init__(self, fn: Any) -> None:
            super().__init__(fn)
            self.state = Counting()
            self.resets = 0

        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            assert isinstance(state, Counting)
            state.asked.append(1)
            return super().determine_pause(audio, sampling_rate, state)

        def reset(self) -> None:
            super().reset()
            self.resets += 1

    handler = Stateful(Answers())
    client = await Client(handler).connect()
    for turn in (1, 2):
        await client.speak(silence(0.6), voice(1), silence(3))
        assert handler.resets == turn
        assert isinstance(handler.state, Counting) and len(handler.state.asked) < 150
    assert client.logs == TURN * 2
    await gone(client)


async def test_it_may_override_process_audio_alone() -> None:
    class EachSecond(ReplyOnPause):
        def process_audio(self, audio: tuple[int, np.ndarray[Any, Any]], state: AppState) -> None:
            super().process_audio(audio, state)
            if state.buffer is not None and state.buffer.size >= audio[0]:
                state.stream, state.buffer, state.pause_detected = state.buffer, None, True

        def determine_pause(self, audio: np.ndarray[Any, Any], sampling_rate: int, state: AppState) -> bool:
            return False

    answers = Answers(0.1)
    client = await connected(EachSecond(answers))
    await client.speak(silence(3.5))  # between the replies it is reset
    assert [utterance.size for utterance in answers.utterances] == [RATE] * 3
    await gone(client)


async def test_a_trigger_answers_what_has_been_said_so_far() -> None:
    given: list[WebRTCData] = []

    def fn(data: WebRTCData) -> Emitted:
        given.append(data)
        return said(0.1)

    handler = FromTheGallery(fn)
    handler.needs_args = True
    client = await Client(handler).connect()
    await client.speak(silence(0.6), voice(1.5))
    client.session.trigger_response("typed")
    await client.speak(silence(3))
    assert [data.textbox for data in given] == ["typed"]
    assert given[0].audio is not None
    assert int((np.abs(given[0].audio[1]) > 0).sum()) / RATE == pytest.approx(1.5, abs=0.05)
    await gone(client)


async def test_the_timing_is_that_of_the_speech() -> None:
    answers = Answers()
    client = await connected(FromTheGallery(answers))
    await client.speak(silence(0.96), voice(1.12), silence(3))
    (timing,) = answers.timings
    assert timing.speech_began == pytest.approx(0.96, abs=0.05)
    assert timing.speech_ended == pytest.approx(0.96 + 1.12, abs=0.05)
    assert 0.96 + 1.12 < timing.decided < 0.96 + 1.12 + 1.3
    assert timing.completeness is None
    await gone(client)


async def test_smart_turn_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError

    monkeypatch.setattr(reply_on_pause, "get_smart_turn", fail)
    handler = FromTheGallery(Answers(), algo_options=AlgoOptions(end_of_utterance="semantic"))
    handler.warm_up()
    client = await connected(handler)
    await client.speak(silence(0.6), voice(1), silence(3))
    assert client.logs == TURN
    await gone(client)


async def test_what_it_finds_in_a_recording_is_told_without_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determine_pause, "get_silero_model", LoudIsSpeech)
    recording = np.concatenate([silence(1), voice(1), silence(2), voice(0.5), silence(2)])
    found = list(determine_pause.utterances(FromTheGallery(Answers()), (RATE, recording)))
    assert [int((np.abs(utterance) > 0).sum()) / RATE for utterance in found] == pytest.approx([1.0, 0.5], abs=0.01)
    assert list(determine_pause.utterances(WalkieTalkie(Answers()), (RATE, recording))) == []


# -- models of others


class Model:
    """Loud is speech. Counts at 16 kHz, as those do that resample."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.asked: list[tuple[tuple[int, ...], str, Any]] = []
        self.threads: set[str] = set()

    def vad(self, audio: tuple[int, np.ndarray[Any, Any]], options: Any) -> tuple[float, list[AudioChunk]]:
        rate, samples = audio
        self.asked.append((samples.shape, samples.dtype.name, options))
        self.threads.add(threading.current_thread().name)
        loud = np.flatnonzero(np.abs(samples) > 1000)
        if self.kind == "raises" and loud.size:
            raise RuntimeError("the key is 1234")
        if not loud.size:
            return 0.0, []
        start, end = int(loud[0]), int(loud[-1]) + 1
        if self.kind == "seconds only":
            return (end - start) / rate, []
        if self.kind == "infinite":
            return float("inf"), []
        scale = 16000 / rate if self.kind == "at 16 kHz" else 1.0
        return (end - start) / rate, [AudioChunk(start=int(start * scale), end=int(end * scale))]

    def warmup(self) -> None:
        pass


@pytest.mark.parametrize("kind", ["", "seconds only", "at 16 kHz", "infinite"])
async def test_a_model_of_somebody_elses_takes_turns(kind: str) -> None:
    model, answers = Model(kind), Answers()
    handler = ReplyOnPause(answers, model=model)
    handler.warm_up()
    client = await connected(handler)
    for _ in range(2):
        await client.speak(silence(0.8), voice(1.5), silence(3.1))
    assert client.logs == TURN * 2
    assert client.errors == []
    assert model.threads == {"stream-vad"}
    assert set(model.asked) == {((28800,), "int16", None)}, "mono samples, and no options of another model"
    for utterance in answers.utterances:
        loud = np.flatnonzero(np.abs(utterance) > 1000)
        assert (loud[-1] - loud[0]) / RATE == pytest.approx(1.5, abs=0.05), "no syllable is lost"
    await gone(client)


async def test_positions_at_the_models_own_rate_are_understood() -> None:
    """Speech in the second half of a chunk is there, and not in its first sixth."""
    answers = Answers()
    client = await connected(ReplyOnPause(answers, model=Model("at 16 kHz")))
    await client.speak(silence(0.9), voice(1.5), silence(3))
    assert answers.timings[0].speech_began == pytest.approx(0.9, abs=0.06)
    assert answers.timings[0].speech_ended == pytest.approx(2.4, abs=0.06)
    await gone(client)


async def test_a_models_options_are_handed_to_it() -> None:
    options, model = {"hum": True}, Model("")
    client = await connected(
        ReplyOnPause(Answers(), model=model, model_options=options, algo_options=AlgoOptions(audio_chunk_duration=1.0))
    )
    await client.speak(silence(2.5))
    assert model.asked == [((48000,), "int16", options)] * 2
    await gone(client)


async def test_a_model_that_raises_is_told_and_asked_again() -> None:
    model, answers = Model("raises"), Answers()
    client = await connected(ReplyOnPause(answers, model=model))
    await client.speak(silence(0.6), voice(1), silence(2))
    assert set(client.errors) == {"Something went wrong in this stream. Please try again."}
    model.kind = ""
    await client.speak(voice(1.5), silence(3))
    assert client.logs == TURN
    await gone(client)


async def test_a_slow_model_keeps_nobody_else_waiting() -> None:
    gate = Gate()

    class Slow(Model):
        def vad(self, audio: tuple[int, np.ndarray[Any, Any]], options: Any) -> tuple[float, list[AudioChunk]]:
            gate.wait()
            return super().vad(audio, options)

    slow, quick = await connected(ReplyOnPause(Answers(), model=Slow(""))), await connected(ReplyOnPause(Answers()))
    await slow.speak(silence(0.6), voice(1), silence(1))
    await quick.speak(silence(0.6), voice(1), silence(2))
    assert (slow.logs, quick.logs) == ([], TURN)
    gate.open()
    await slow.speak(silence(3))
    assert slow.logs == TURN, "it has been heard all the same"
    await gone(slow)
    await gone(quick)


@pytest.mark.parametrize("chosen", ["in the code", "in the admin"])
async def test_a_model_may_be_named(chosen: str) -> None:
    made: list[Model] = []

    def factory() -> Model:
        assert threading.current_thread().name == "stream-vad-loading", "it may take long to load"
        made.append(Model(""))
        return made[0]

    with engines_of_their_own():
        register_engine("vad", "mine", factory)
        if chosen == "in the code":
            handler = ReplyOnPause(Answers(), model="mine")
        else:
            handler = ReplyOnPause(Answers()).with_turn_taking({"voice_detector": "mine"})
        client = await connected(handler)
        await client.speak(silence(0.8), voice(1.5), silence(3.1))
    assert client.logs == TURN
    assert {options for _, _, options in made[0].asked} == {None}, "Silero's options are not for it"
    await gone(client)


async def test_silero_in_place_of_the_codes_own(loud_is_speech: None) -> None:
    handler = ReplyOnPause(Answers(), model=Model("raises"), model_options={"hum": True})
    client = await connected(handler.with_turn_taking({"voice_detector": "silero"}))
    await client.speak(silence(0.6), voice(1), silence(2))
    assert (client.logs, client.errors) == (TURN, [])
    await gone(client)
