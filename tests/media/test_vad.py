from itertools import pairwise

import numpy as np
import pytest

from streams.media import weights
from streams.media.audio import Samples, resample
from streams.media.pauses import PauseDetector, SpeechPaused, SpeechStarted
from streams.media.vad import SileroVad, SpeechProbability, get_silero_model
from tests import speech


def hops(model: SileroVad, rate: int, samples: Samples, chunk: float = 0.02) -> list[tuple[Samples, float]]:
    listener, found = SpeechProbability(model, rate), []
    cuts = range(0, samples.size + 1, round(rate * chunk))
    for first, last in pairwise(cuts):
        found += list(listener.push(samples[first:last]))
    return found


def at_rate(rate: int, seconds: float = 4.0) -> Samples:
    return resample(speech.speech(seconds)[1], speech.RATE, rate)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_a_person_speaking_is_speech(silero: SileroVad, rate: int) -> None:
    probabilities = [probability for _, probability in hops(silero, rate, at_rate(rate))]
    assert len(probabilities) > 115
    assert np.mean(np.array(probabilities) > 0.5) > 0.8


@pytest.mark.parametrize("rate", [8000, 48000])
def test_silence_and_noise_are_not(silero: SileroVad, rate: int) -> None:
    noise = np.random.default_rng(1).normal(0, 300, 4 * rate).astype(np.int16)
    for quiet in (np.zeros(4 * rate, np.int16), noise):
        assert max(probability for _, probability in hops(silero, rate, quiet)) < 0.5


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("chunk", [0.01, 0.02, 0.0501])
def test_the_hops_are_the_callers_own_samples(silero: SileroVad, rate: int, chunk: float) -> None:
    samples = at_rate(rate, 2.0)
    found = [hop for hop, _ in hops(silero, rate, samples, chunk)]
    joined = np.concatenate(found)
    assert joined.tolist() == samples[: joined.size].tolist()
    assert samples.size - joined.size < (0.032 + 0.01 + chunk) * rate + 64
    assert {hop.size for hop in found} <= {512 * rate // 16000, 512 * rate // 16000 + 1}


def test_the_probability_belongs_to_its_hop(silero: SileroVad) -> None:
    """An hour later it is still aligned: the hops add up to exactly 32 ms each."""
    listener, frame = SpeechProbability(silero, 44100), np.zeros(44100, np.int16)
    heard = [hop.size for _ in range(60) for hop, _ in listener.push(frame)]
    assert sum(heard) == pytest.approx(len(heard) * 0.032 * 44100, abs=1)


def test_listeners_do_not_disturb_each_other(silero: SileroVad) -> None:
    samples = at_rate(16000)
    alone = [probability for _, probability in hops(silero, 16000, samples)]
    one, other, beside = SpeechProbability(silero, 16000), SpeechProbability(silero, 16000), []
    for first in range(0, samples.size - 319, 320):
        beside += [probability for _, probability in one.push(samples[first : first + 320])]
        list(other.push(np.zeros(320, np.int16)))
    assert beside == alone


def test_the_state_is_carried_over(silero: SileroVad) -> None:
    """The chunks in which audio comes do not matter."""
    samples = at_rate(16000)
    assert [p for _, p in hops(silero, 16000, samples, 0.02)] == [p for _, p in hops(silero, 16000, samples, 1.0)]


@pytest.mark.parametrize("offset", [0.0, 0.003, 0.007, 0.011, 0.016, 0.02, 0.023, 0.027, 0.029, 0.031])
@pytest.mark.parametrize("number", [1, 4])
def test_real_sentences_are_heard_whole(silero: SileroVad, number: int, offset: float) -> None:
    sentence = speech.sentence(number)[1]
    quiet = 1.0 + offset
    samples = np.concatenate([speech.silence(quiet), sentence, speech.silence(1.5)])
    detector, events = PauseDetector(speech.RATE), []
    for hop, probability in hops(silero, speech.RATE, samples):
        events += detector.push(hop, probability)
    started, paused = events[-2], events[-1]
    assert isinstance(started, SpeechStarted) and abs(started.at - quiet) < 0.25
    assert isinstance(paused, SpeechPaused)
    # the first 200 ms of the sentence, sample by sample
    onset = sentence[: speech.RATE // 5]
    where = int(np.argmax(np.correlate(paused.audio.astype(float), onset.astype(float), "valid")))
    assert paused.audio[where : where + onset.size].tolist() == onset.tolist()


def test_the_model_is_loaded_once(silero: SileroVad) -> None:
    assert get_silero_model() is silero


def test_missing_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_directory", weights.directory() / "nowhere")
    with pytest.raises(weights.WeightsMissing, match=r"manage\.py fetch_models"):
        weights.path("silero-vad")
