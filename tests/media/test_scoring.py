"""Scoring, on signals where loud is speech, so that every moment is known."""

from typing import Any

import numpy as np
import pytest

from streams.media import scoring
from streams.media.audio import Samples
from streams.media.pauses import AlgoOptions
from streams.media.recordings import Recording, Utterance
from streams.media.scoring import Outcome, Pause, Result, Score, Scorer, Settings, score_pauses
from streams.media.vad import AudioChunk
from tests.media.conftest import LoudIsSpeech

RATE = 16000
HOP = 0.032
SILENCE = Settings(AlgoOptions(end_of_utterance="silence"))


@pytest.fixture(autouse=True)
def _loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "get_silero_model", LoudIsSpeech)


class Judge:
    def __init__(self, *answers: float) -> None:
        self.answers = answers
        self.asked = 0

    def completeness(self, samples: Samples, rate: int) -> float:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def signal(seconds: float, *loud: tuple[float, float], rate: int = RATE) -> Samples:
    """A tone in the given places, and otherwise silence."""
    times = np.arange(round(seconds * rate)) / rate
    tone = 8000 * np.sin(2 * np.pi * 200 * times)
    return (tone * sum((times >= start) & (times < end) for start, end in loud)).astype(np.int16)


def recording(
    seconds: float, loud: list[tuple[float, float]], labels: list[tuple[float, float]] | None = None, rate: int = RATE
) -> Recording:
    utterances = tuple(Utterance(*label) for label in (loud if labels is None else labels))
    return Recording("test", rate, signal(seconds, *loud, rate=rate), utterances)


def score(of: Recording, settings: Settings = SILENCE, **scorer: Any) -> Score:
    return Scorer([of], **scorer).score(settings).total


# -- what counts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_an_utterance_is_answered_so_long_after_its_end(rate: int) -> None:
    scored = score(recording(5, [(1, 3)], rate=rate))
    (latency,) = scored.latencies
    assert latency == pytest.approx(0.5, abs=2 * HOP)  # audio_chunk_duration - speech_threshold
    assert scored.faults == 0


def test_silence_is_added_where_a_recording_ends_with_its_speech() -> None:
    scored = score(recording(3, [(1, 3)]))
    assert scored.missed == 0
    assert scored.latencies == [pytest.approx(0.5, abs=2 * HOP)]


def test_each_pause_within_an_utterance_is_a_cut_in() -> None:
    scored = score(recording(9, [(1, 2), (3, 4), (5, 6)], labels=[(1, 6)]))
    (outcome,) = scored.outcomes
    assert [pause.decided for pause in outcome.cut_ins] == pytest.approx([2.5, 4.5], abs=2 * HOP)
    assert outcome.latency == pytest.approx(0.5, abs=2 * HOP)
    assert (scored.cut_ins, scored.missed, scored.onsets_lost, scored.false_turns) == (2, 0, 0, ())


def test_an_utterance_without_a_pause_before_the_next_is_missed() -> None:
    scored = score(recording(6, [(1, 2), (2.3, 3.5)]))
    assert [outcome.answer is None for outcome in scored.outcomes] == [True, False]
    assert (scored.missed, scored.cut_ins) == (1, 0)


def test_a_word_too_short_for_the_detector_is_missed() -> None:
    assert score(recording(4, [(1, 1.15)])).missed == 1


def test_sound_that_nobody_labelled_is_a_false_turn() -> None:
    scored = score(recording(8, [(1, 2), (5, 6)], labels=[(1, 2)]))
    (pause,) = scored.false_turns
    assert pause.speech_began == pytest.approx(5, abs=HOP)
    assert scored.missed == 0


def test_nothing_said_and_nothing_answered_is_no_fault() -> None:
    scored = score(recording(4, []))
    assert (scored.faults, scored.latencies, scored.latency(50)) == (0, [], None)


def test_an_onset_is_lost_when_it_lies_before_the_pre_roll() -> None:
    quiet_start = recording(5, [(1.4, 3)], labels=[(1, 3)])
    short, long = (Settings(AlgoOptions(end_of_utterance="silence", pre_roll=seconds)) for seconds in (0.3, 0.5))
    assert score(quiet_start, short).onsets_lost == 1
    assert score(quiet_start, long).onsets_lost == 0


def pause(began: float, ended: float, decided: float) -> Pause:
    return Pause(decided, began, ended, captured_from=began - 0.3)


def test_only_a_pause_that_heard_the_utterance_answers_it() -> None:
    # Cut into just before its end; then, much later, a cough.
    scored = score_pauses([Utterance(1, 3)], [pause(1, 2.7, 2.9), pause(5, 5.3, 5.6)])
    assert (scored.cut_ins, scored.missed, len(scored.false_turns)) == (1, 1, 1)


def test_a_late_answer_to_one_utterance_cuts_into_the_next() -> None:
    scored = score_pauses([Utterance(1, 2), Utterance(2.5, 4)], [pause(1, 2, 2.8), pause(2.8, 4, 4.3)])
    first, second = scored.outcomes
    assert first.answer is None
    assert len(second.cut_ins) == 1
    assert second.latency == pytest.approx(0.3)


def test_several_scores_make_one() -> None:
    outcomes = [Outcome(Utterance(0, 1), pause(0, 1, 1 + wait), (), False) for wait in (0.1, 0.2, 0.9)]
    together = Score.add(Score((outcome,), ()) for outcome in outcomes)
    assert together.latency(50) == pytest.approx(0.2)
    assert together.latency(100) == pytest.approx(0.9)


# -- the end-of-utterance model -----------------------------------------------------------------------------------


def judged(judge: Judge, options: AlgoOptions | None = None, delay: float = 0.06) -> Result:
    settings = Settings(options or AlgoOptions())
    return Scorer([recording(5, [(1, 3)])], judge=judge, model_delay=delay).score(settings)


def test_its_answer_comes_late_as_it_does_in_life() -> None:
    sooner, later = (judged(Judge(1.0), AlgoOptions(shortest_wait=0), delay) for delay in (0.02, 0.06))
    difference = later.total.latencies[0] - sooner.total.latencies[0]
    assert difference == pytest.approx(0.04)


def test_a_complete_utterance_is_answered_sooner_than_one_broken_off() -> None:
    complete, broken_off = judged(Judge(0.99)).total, judged(Judge(0.01)).total
    assert complete.latencies[0] < 0.25
    assert broken_off.latencies[0] == pytest.approx(AlgoOptions().longest_wait, abs=2 * HOP)


def test_questions_and_what_became_of_them_are_kept() -> None:
    result = judged(Judge(0.1, 0.99))
    turns = result.scored[0].turns
    assert [question.completeness for question in turns.questions][:2] == [0.1, 0.99]
    assert turns.questions[0].wait > turns.questions[-1].wait
    assert turns.questions[0].answered - turns.questions[0].asked == pytest.approx(scoring.MODEL_DELAY)
    (paused,) = turns.pauses
    assert paused.completeness is not None
    assert paused.waited == pytest.approx(paused.decided - 3, abs=HOP)


def test_an_answer_about_a_speaker_who_has_gone_on_does_not_count() -> None:
    breath = recording(5, [(1, 2), (2.13, 3)], labels=[(1, 3)])
    result = Scorer([breath], judge=Judge(1.0), model_delay=0.3).score()
    assert result.total.cut_ins == 0
    assert all(question.asked > 3 for question in result.scored[0].turns.questions)


def test_the_same_audio_is_judged_once() -> None:
    judge = Judge(0.3)
    scorer = Scorer([recording(5, [(1, 3)])], judge=judge)
    scorer.score()
    asked = judge.asked
    first = scorer.score(Settings(AlgoOptions(longest_wait=1.2)))
    assert judge.asked == asked > 0
    assert first.total.latencies[0] > scorer.score().total.latencies[0]


def test_settings_that_go_by_silence_do_not_ask_it() -> None:
    judge = Judge(1.0)
    score(recording(5, [(1, 3)]), SILENCE, judge=judge)
    assert judge.asked == 0


# -- other models -------------------------------------------------------------------------------------------------


class LoudInChunks:
    """A PauseDetectionModel of somebody else's."""

    def vad(self, audio: tuple[int, np.ndarray[Any, Any]], options: Any) -> tuple[float, list[AudioChunk]]:
        rate, samples = audio
        places = np.flatnonzero(np.abs(samples) > 1000)
        if not places.size:
            return 0.0, []
        found = AudioChunk(start=int(places[0]), end=int(places[-1]) + 1)
        return (found["end"] - found["start"]) / rate, [found]

    def warmup(self) -> None:
        pass


def test_another_model_answers_when_its_chunk_is_full() -> None:
    scored = score(recording(6, [(1, 3)]), model=LoudInChunks())
    (latency,) = scored.latencies
    assert 3 + latency == pytest.approx(3.6, abs=0.021)  # chunks of 0.6 s, in frames of 20 ms
    assert scored.faults == 0
