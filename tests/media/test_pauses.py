import dataclasses
import random
from collections.abc import Callable

import numpy as np
import pytest

from streams.media.audio import Samples
from streams.media.patience import Patience
from streams.media.pauses import (
    AlgoOptions,
    EndOfUtterance,
    Event,
    PauseDetector,
    SpeechHesitated,
    SpeechPaused,
    SpeechStarted,
    SpeechSuspected,
)

RATE = 16000
HOP = 512
SECONDS = HOP / RATE
Probability = float | Callable[[float], float]


class Listener:
    """Pushes hops of numbered samples and keeps what comes out, with the moment at which it came."""

    def __init__(self, options: AlgoOptions | None = None, rate: int = RATE, hop: int = HOP) -> None:
        self.detector = PauseDetector(rate, options)
        self.rate, self.hop = rate, hop
        self.pushed: list[Samples] = []
        self.clock = 0.0
        self.events: list[tuple[float, Event]] = []

    def hear(self, seconds: float, probability: float) -> "Listener":
        for _ in range(round(seconds * self.rate / self.hop)):
            first = len(self.pushed) * self.hop
            samples = (np.arange(first, first + self.hop) % 30011).astype(np.int16)
            self.pushed.append(samples)
            self.clock += self.hop / self.rate
            self.events += [(self.clock, event) for event in self.detector.push(samples, probability)]
        return self

    def names(self) -> list[str]:
        return [type(event).__name__.removeprefix("Speech") for _, event in self.events]

    def only(self, kind: type[Event]) -> tuple[float, Event]:
        (found,) = [(at, event) for at, event in self.events if isinstance(event, kind)]
        return found

    def paused(self) -> tuple[float, SpeechPaused]:
        at, event = self.only(SpeechPaused)
        assert isinstance(event, SpeechPaused)
        return at, event


SPEECH, NOISE = 0.9, 0.1

SCENARIOS: dict[str, tuple[list[tuple[float, float]], list[str]]] = {
    "silence": ([(10, 0.0)], []),
    "noise below the threshold": ([(10, 0.49)], []),
    "one hop of noise": ([(1, 0), (0.032, SPEECH), (2, 0)], []),
    "a short noise": ([(1, 0), (0.16, SPEECH), (2, 0)], ["Suspected", "Dismissed"]),
    "two short noises": (
        [(1, 0), (0.16, SPEECH), (1, 0), (0.16, SPEECH), (1, 0)],
        ["Suspected", "Dismissed", "Suspected", "Dismissed"],
    ),
    "a short word": ([(1, 0), (0.26, SPEECH), (2, 0)], ["Suspected", "Started", "Paused"]),
    "a sentence": ([(1, 0), (3, SPEECH), (2, 0)], ["Suspected", "Started", "Paused"]),
    "speech from the first sample": ([(3, SPEECH), (2, 0)], ["Suspected", "Started", "Paused"]),
    "no end of speech": ([(1, 0), (30, SPEECH)], ["Suspected", "Started"]),
    "a breath": ([(1, 0), (1, SPEECH), (0.4, 0), (1, SPEECH), (2, 0)], ["Suspected", "Started", "Paused"]),
    "two sentences": (
        [(1, 0), (1, SPEECH), (2, 0), (1, SPEECH), (2, 0)],
        ["Suspected", "Started", "Paused"] * 2,
    ),
    "syllables": (
        [(1, 0), *[(0.096, SPEECH), (0.064, 0)] * 10, (2, 0)],
        ["Suspected", "Started", "Paused"],
    ),
    "hysteresis keeps speech alive": ([(1, 0), (0.5, SPEECH), (5, 0.4)], ["Suspected", "Started"]),
    "hysteresis ends": ([(1, 0), (0.5, SPEECH), (5, 0.34)], ["Suspected", "Started", "Paused"]),
    "hysteresis does not start speech": ([(5, 0.4)], []),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_happens(name: str) -> None:
    heard, expected = SCENARIOS[name]
    listener = Listener()
    for seconds, probability in heard:
        listener.hear(seconds, probability)
    assert listener.names() == expected


def test_speech_is_suspected_then_certain() -> None:
    listener = Listener().hear(0.96, 0).hear(2, SPEECH)
    suspected, started = listener.only(SpeechSuspected), listener.only(SpeechStarted)
    assert suspected[0] - 0.96 == pytest.approx(0.09, abs=SECONDS)
    assert started[0] - 0.96 == pytest.approx(0.2, abs=SECONDS)
    assert isinstance(started[1], SpeechStarted)
    assert started[1].at == pytest.approx(0.96)


@pytest.mark.parametrize("talked", [0.5, 0.6, 1.0, 1.01, 2.5])
def test_the_pause_is_decided_half_a_second_after_the_last_word(talked: float) -> None:
    """When less than speech_threshold of the window is speech: 0.6 - 0.1 s after the end."""
    listener = Listener().hear(1, 0).hear(talked, SPEECH)
    ended = listener.clock
    listener.hear(2, 0)
    at, event = listener.paused()
    assert at - ended == pytest.approx(0.5, abs=SECONDS)
    assert event.at == pytest.approx(ended)


@pytest.mark.parametrize(("window", "threshold"), [(0.4, 0.1), (0.6, 0.2), (1.0, 0.1), (2.0, 0.15)])
def test_the_pause_follows_the_options(window: float, threshold: float) -> None:
    options = AlgoOptions(audio_chunk_duration=window, speech_threshold=threshold)
    listener = Listener(options).hear(1, 0).hear(3, SPEECH)
    ended = listener.clock
    listener.hear(4, 0)
    assert listener.paused()[0] - ended == pytest.approx(window - threshold, abs=2 * SECONDS)


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.4])
def test_the_start_follows_the_options(threshold: float) -> None:
    listener = Listener(AlgoOptions(started_talking_threshold=threshold)).hear(0.96, 0).hear(2, 1.0)
    assert listener.only(SpeechStarted)[0] - 0.96 == pytest.approx(threshold, abs=SECONDS)


@pytest.mark.parametrize("quiet_hops", [0, 1, 3, 9, 10, 17, 31, 32, 100, 333])
def test_no_first_syllable_is_lost(quiet_hops: int) -> None:
    """The utterance is what was pushed, sample by sample, from 0.3 s before its first speech."""
    listener = Listener().hear(quiet_hops * SECONDS, 0).hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    everything = np.concatenate(listener.pushed)
    first = round(at * RATE) - event.audio.size
    assert event.audio.tolist() == everything[first : round(at * RATE)].tolist()
    began = quiet_hops * HOP
    assert first <= max(0, began - round(0.3 * RATE) + HOP)
    assert first >= max(0, began - round(0.3 * RATE) - HOP)


def test_the_pre_roll_follows_the_options() -> None:
    listener = Listener(AlgoOptions(pre_roll=1.0)).hear(3.2, 0).hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    assert at - event.audio.size / RATE == pytest.approx(2.2, abs=SECONDS)


def test_noise_before_is_not_part_of_the_utterance() -> None:
    listener = Listener().hear(1, 0).hear(0.16, SPEECH).hear(3.2, 0)
    began = listener.clock
    listener.hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    assert at - event.audio.size / RATE == pytest.approx(began - 0.3, abs=SECONDS)


def test_utterances_do_not_share_samples() -> None:
    listener = Listener().hear(1, 0).hear(1, SPEECH).hear(0.55, 0).hear(1, SPEECH).hear(1, 0)
    ends = [(at, event.audio.size / RATE) for at, event in listener.events if isinstance(event, SpeechPaused)]
    assert len(ends) == 2
    assert ends[1][0] - ends[1][1] >= ends[0][0] - 1e-9


def test_sparse_clicks_do_not_pile_up() -> None:
    """A click every half second is never speech and never a clear end of it; an hour of it is not kept."""
    listener = Listener()
    for _ in range(400):
        listener.hear(0.032, SPEECH).hear(0.48, 0)
    assert listener.detector.captured().size / RATE < 2
    began = listener.clock
    listener.hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    assert at - event.audio.size / RATE > began - 2


@pytest.mark.parametrize("seconds_before", [0.1, 0.5, 0.7])
def test_an_uh_with_half_a_voice_belongs_to_what_follows(seconds_before: float) -> None:
    listener = Listener().hear(3.2, 0)
    began = listener.clock
    listener.hear(0.128, 0.35).hear(seconds_before, 0.05).hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    assert at - event.audio.size / RATE == pytest.approx(began - 0.3, abs=2 * SECONDS)


def test_a_murmur_long_before_is_not_kept() -> None:
    listener = Listener().hear(3.2, 0).hear(0.128, 0.35).hear(1.6, 0.05)
    began = listener.clock
    listener.hear(1, SPEECH).hear(1, 0)
    at, event = listener.paused()
    assert at - event.audio.size / RATE == pytest.approx(began - 0.3, abs=SECONDS)


def test_a_long_speech_is_answered() -> None:
    listener = Listener(AlgoOptions(max_continuous_speech_s=5)).hear(1, 0).hear(4, SPEECH)
    assert listener.names() == ["Suspected", "Started"]
    listener.hear(2, SPEECH)
    _, event = listener.paused()
    assert event.audio.size / RATE == pytest.approx(5, abs=2 * SECONDS)


def test_long_speech_comes_in_whole_pieces() -> None:
    listener = Listener(AlgoOptions(max_continuous_speech_s=3)).hear(20, SPEECH)
    pieces = [event.audio for _, event in listener.events if isinstance(event, SpeechPaused)]
    assert len(pieces) == 6
    everything = np.concatenate(listener.pushed)
    together = np.concatenate(pieces)
    assert together.tolist() == everything[: together.size].tolist()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("hop_seconds", [0.01, 0.02, 0.032])
def test_any_rate_and_hop(rate: int, hop_seconds: float) -> None:
    hop = round(rate * hop_seconds)
    listener = Listener(rate=rate, hop=hop).hear(1, 0).hear(2, SPEECH)
    ended = listener.clock
    listener.hear(1.5, 0)
    assert listener.names() == ["Suspected", "Started", "Paused"]
    at, event = listener.paused()
    assert at - ended == pytest.approx(0.5, abs=1.5 * hop_seconds)
    assert event.audio.size / rate == pytest.approx(0.3 + 2 + 0.5, abs=3 * hop_seconds)


def test_hops_of_uneven_length() -> None:
    detector, chance, clock, events = PauseDetector(RATE), random.Random(1), 0.0, []
    while clock < 5:
        hop = chance.randrange(1, 1200)
        clock += hop / RATE
        events += [(clock, event) for event in detector.push(np.zeros(hop, np.int16), SPEECH if 1 < clock < 3 else 0.0)]
    assert [type(event) for _, event in events] == [SpeechSuspected, SpeechStarted, SpeechPaused]
    assert events[2][0] == pytest.approx(3.5, abs=0.15)


def test_reset_forgets_the_utterance() -> None:
    listener = Listener().hear(1, 0).hear(1, SPEECH)
    assert listener.detector.talking
    listener.detector.reset()
    assert not listener.detector.talking
    assert listener.detector.captured().size == 0
    listener.hear(2, 0)
    assert listener.names() == ["Suspected", "Started"]
    listener.hear(1, SPEECH).hear(1, 0)
    assert listener.names() == ["Suspected", "Started"] * 2 + ["Paused"]
    assert listener.paused()[1].audio.size / RATE < 1 + 0.3 + 0.5 + 0.1


def test_reset_keeps_the_time() -> None:
    listener = Listener().hear(3.2, 0)
    listener.detector.reset()
    listener.hear(1.6, 0).hear(1, SPEECH)
    event = listener.only(SpeechStarted)[1]
    assert isinstance(event, SpeechStarted) and event.at == pytest.approx(4.8)


def test_what_has_been_said_so_far() -> None:
    listener = Listener().hear(3.2, 0)
    assert listener.detector.captured().size / RATE == pytest.approx(0.3, abs=SECONDS)
    listener.hear(1, SPEECH)
    assert listener.detector.captured().size / RATE == pytest.approx(1.3, abs=2 * SECONDS)


def test_hours_of_silence_and_speech_do_not_wear_it_out() -> None:
    listener = Listener(hop=RATE // 10)
    for _ in range(600):
        listener.hear(3, 0).hear(3, SPEECH)
    listener.hear(3, 0)
    assert listener.names() == ["Suspected", "Started", "Paused"] * 600


def test_the_defaults_of_fastrtc() -> None:
    options = dataclasses.asdict(AlgoOptions())
    assert {name: options[name] for name in list(options)[:4]} == {
        "audio_chunk_duration": 0.6,
        "started_talking_threshold": 0.2,
        "speech_threshold": 0.1,
        "max_continuous_speech_s": float("inf"),
    }


# -- asking whether the speaker has finished


class Judged(Listener):
    """Answers each question after ``delay`` seconds with ``says``; None does not answer."""

    def __init__(self, says: float | None, delay: float = 0.0, options: AlgoOptions | None = None) -> None:
        super().__init__(options, hop=160)
        options = self.detector.options
        self.detector.patience = Patience(options.shortest_wait, options.longest_wait)
        self.says, self.delay = says, delay
        self.questions: list[tuple[float, SpeechHesitated]] = []
        self.taken = 0

    def hear(self, seconds: float, probability: float) -> "Judged":
        for _ in range(round(seconds * self.rate / self.hop)):
            super().hear(self.hop / self.rate, probability)
            found = [(at, event) for at, event in self.events[self.taken :] if isinstance(event, SpeechHesitated)]
            self.questions += found
            self.taken = len(self.events)
            if self.says is not None:
                for at, question in self.questions:
                    if self.clock - at == pytest.approx(self.delay, abs=self.hop / self.rate / 2):
                        self.answer(question.number, self.says)
        return self

    def answer(self, number: int, completeness: float) -> None:
        self.events += [(self.clock, event) for event in self.detector.answer(number, completeness)]
        self.taken = len(self.events)

    def waited(self) -> float:
        """Seconds from the last word to the only pause."""
        at, paused = self.paused()
        assert paused.decided == pytest.approx(at)
        return at - paused.at


def test_it_asks_at_each_silence_and_again_the_longer_it_lasts() -> None:
    listener = Judged(None).hear(1, 0).hear(1, SPEECH)
    ended = listener.clock
    listener.hear(2, 0)
    asked = [at - ended for at, _ in listener.questions]
    assert asked == pytest.approx(list(PauseDetector.ASK_AT), abs=0.01)
    numbers = [question.number for _, question in listener.questions]
    assert numbers == sorted(set(numbers))


def test_it_asks_with_the_utterance_up_to_now() -> None:
    listener = Judged(None).hear(1, 0).hear(1, SPEECH).hear(0.3, 0)
    everything = np.concatenate(listener.pushed)
    for at, question in listener.questions:
        now = round(at * RATE)
        assert question.audio.tolist() == everything[now - question.audio.size : now].tolist()
        assert question.audio.size / RATE == pytest.approx(0.3 + at - 1, abs=0.02)


def test_it_asks_with_the_end_of_a_long_utterance() -> None:
    listener = Judged(None).hear(1, 0).hear(20, SPEECH).hear(0.3, 0)
    assert listener.questions[0][1].audio.size / RATE == pytest.approx(PauseDetector.HEARD, abs=0.02)


def test_without_patience_nothing_is_asked() -> None:
    listener = Listener().hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.names() == ["Suspected", "Started", "Paused"]


def test_nothing_is_asked_about_a_noise_that_was_no_speech() -> None:
    listener = Judged(1.0).hear(1, 0).hear(0.15, SPEECH).hear(3, 0)
    assert listener.questions == []


def test_a_complete_utterance_is_answered_at_once() -> None:
    listener = Judged(0.999).hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.waited() == pytest.approx(AlgoOptions().shortest_wait, abs=0.02)
    assert listener.paused()[1].completeness == pytest.approx(0.999, abs=0.01)


def test_a_late_yes_ends_the_utterance_when_it_comes() -> None:
    """Though it has asked again meanwhile: the model may be slow, and the silence is the same."""
    listener = Judged(0.999, delay=0.2).hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.waited() == pytest.approx(PauseDetector.ASK_AT[0] + 0.2, abs=0.02)


def test_an_incomplete_utterance_is_given_longer_than_silence_alone_would() -> None:
    listener = Judged(0.001).hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.waited() == pytest.approx(AlgoOptions().longest_wait, abs=0.02)
    listener = Judged(0.001).hear(1, 0).hear(1, SPEECH).hear(0.7, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.names().count("Paused") == 1
    assert listener.paused()[1].audio.size / RATE > 2.7


@pytest.mark.parametrize("longest", [0.3, 1.0, 2.5])
def test_the_longest_wait_is_the_ceiling(longest: float) -> None:
    listener = Judged(0.0, options=AlgoOptions(longest_wait=longest)).hear(1, 0).hear(1, SPEECH).hear(4, 0)
    assert listener.waited() == pytest.approx(longest, abs=0.02)


def test_the_wait_falls_with_completeness() -> None:
    found = [Judged(says).hear(1, 0).hear(1, SPEECH).hear(2, 0).waited() for says in (0.01, 0.2, 0.5, 0.8, 0.99)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) >= 4


def test_without_an_answer_silence_decides() -> None:
    listener = Judged(None).hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.waited() == pytest.approx(0.5, abs=0.02)
    assert listener.paused()[1].completeness is None


@pytest.mark.parametrize("nonsense", [float("nan"), float("-inf"), float("inf"), -3.0, 7.0])
def test_an_answer_that_is_no_probability_does_not_keep_anybody_waiting(nonsense: float) -> None:
    listener = Judged(nonsense).hear(1, 0).hear(1, SPEECH).hear(2, 0)
    assert listener.waited() <= AlgoOptions().longest_wait + 0.02


def test_the_newest_answer_counts() -> None:
    """At first it sounded broken off; the longer silence tells that it was not."""
    listener = Judged(None).hear(1, 0).hear(1, SPEECH).hear(0.1, 0)
    listener.answer(listener.questions[-1][1].number, 0.001)
    listener.hear(0.1, 0)
    assert len(listener.questions) == 2
    listener.answer(listener.questions[-1][1].number, 0.999)
    assert listener.names()[-1] == "Paused"


def test_an_answer_that_comes_too_late_does_not_count() -> None:
    listener = Judged(None).hear(1, 0).hear(1, SPEECH).hear(0.15, 0)
    first = listener.questions[0][1].number
    assert listener.detector.is_open(first)
    listener.hear(0.3, SPEECH)
    assert not listener.detector.is_open(first), "the speaker has gone on"
    assert listener.detector.answer(first, 1.0) == []
    listener.hear(0.25, 0)
    assert listener.questions[-2][1].number > first
    assert listener.detector.answer(first, 1.0) == [], "it was about another silence"
    listener.answer(listener.questions[-1][1].number, 0.001)
    assert listener.detector.answer(listener.questions[-2][1].number, 1.0) == [], "the newer question is answered"
    listener.hear(2, 0)
    assert listener.names().count("Paused") == 1
    assert listener.detector.answer(listener.questions[-1][1].number, 1.0) == [], "it has been decided"


def test_no_answer_counts_after_a_reset() -> None:
    listener = Judged(None).hear(1, 0).hear(1, SPEECH).hear(0.15, 0)
    number = listener.questions[-1][1].number
    listener.detector.reset()
    assert listener.detector.answer(number, 1.0) == []


@pytest.mark.parametrize("at", [0.12, 0.25, 0.45])
def test_a_blip_does_not_end_a_silence(at: float) -> None:
    """A breath, a click of the tongue: the wait goes on as if nothing had been."""
    plain = Judged(0.05).hear(1, 0).hear(1, SPEECH).hear(2, 0).waited()
    blip = Judged(0.05).hear(1, 0).hear(1, SPEECH).hear(at, 0).hear(0.03, SPEECH).hear(2, 0).waited()
    assert blip == pytest.approx(plain, abs=0.02)
    word = Judged(0.05).hear(1, 0).hear(1, SPEECH).hear(at, 0).hear(0.1, SPEECH).hear(2, 0).paused()[0]
    assert word == pytest.approx(2 + at + 0.1 + plain, abs=0.03)


def test_a_speaker_who_pauses_is_given_time_from_then_on() -> None:
    """Cut off once at a pause that sounded complete, and not again."""
    listener = Judged(0.97).hear(1, 0)
    for _ in range(4):
        listener.hear(1, SPEECH).hear(0.45, 0)
    listener.hear(2, 0)
    assert listener.names().count("Paused") == 2


def test_a_speaker_who_was_done_is_answered_as_soon_the_next_time() -> None:
    listener = Judged(0.97).hear(1, 0)
    for _ in range(3):
        listener.hear(1, SPEECH).hear(5, 0)
    waits = [paused.decided - paused.at for _, paused in listener.events if isinstance(paused, SpeechPaused)]
    assert waits == pytest.approx([waits[0]] * 3, abs=0.011)


def test_a_very_long_speech_says_nothing_about_its_completeness() -> None:
    listener = Judged(0.001, options=AlgoOptions(max_continuous_speech_s=2))
    listener.hear(1, 0).hear(1, SPEECH).hear(0.3, 0).hear(1.2, SPEECH)
    assert listener.paused()[1].completeness is None


@pytest.mark.parametrize(
    ("mode", "window", "threshold", "expected"),
    [
        ("auto", 0.6, 0.1, True),
        ("auto", 0.9, 0.1, False),
        ("auto", 0.6, 0.2, False),
        ("semantic", 0.6, 0.1, True),
        ("semantic", 0.9, 0.2, True),
        ("silence", 0.6, 0.1, False),
        ("silence", 0.9, 0.2, False),
    ],
)
def test_words_decide_unless_a_length_of_silence_is_asked_for(
    mode: EndOfUtterance, window: float, threshold: float, expected: bool
) -> None:
    options = AlgoOptions(audio_chunk_duration=window, speech_threshold=threshold, end_of_utterance=mode)
    assert options.wants_semantic is expected


@pytest.mark.parametrize(
    ("probability", "seconds", "begins"), [(0.95, 0.23, True), (0.7, 0.4, False), (0.7, 0.6, True)]
)
def test_a_beginning_is_certain_or_lasting(probability: float, seconds: float, begins: bool) -> None:
    listener = Listener().hear(0.96, 0).hear(seconds, probability).hear(1, 0)
    assert ("Started" in listener.names()) is begins
