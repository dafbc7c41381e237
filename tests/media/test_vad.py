from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from streams.media import weights
from streams.media.audio import Samples, resample
from streams.media.pauses import PauseDetector, SpeechPaused, SpeechStarted
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.vad import ModelSpeech, SileroVad, SileroVadOptions, SpeechProbability, get_silero_model
from tests import speech
from tests.media.client import Client
from tests.media.test_reply_on_pause import TURN


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


# -- other files with the same interface


def silero_file(ecosystem: Any, package: str, version: str, member: str, sha256: str, size: int) -> weights.Weight:
    return weights.Weight(ecosystem, package, version, member, sha256, size, "MIT")


VAD_WEB = ("npm", "@ricky0123/vad-web", "0.0.31")
FILES = {
    "silero-v4": silero_file(
        *VAD_WEB,
        "package/dist/silero_vad_legacy.onnx",
        "a35ebf52fd3ce5f1469b2a36158dba761bc47b973ea3382b3186ca15b1f5af28",
        1_807_522,
    ),
    "silero-v5": silero_file(
        *VAD_WEB,
        "package/dist/silero_vad_v5.onnx",
        "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f",
        2_327_524,
    ),
    "silero-v6": silero_file(
        "pip",
        "silero-vad",
        "6.2.3",
        "silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        2_327_524,
    ),
    "silero-v6-sequence": silero_file(
        "pip",
        "silero-vad",
        "6.2.3",
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        1_246_165,
    ),
}


@pytest.fixture
def other(silero: SileroVad, request: pytest.FixtureRequest) -> SileroVad:
    """A model of somebody else's, by the path of its file."""
    with mock.patch.dict(weights.WEIGHTS, FILES):
        return SileroVad(str(weights.fetch(request.param)))


@pytest.mark.parametrize("other", FILES, indirect=True)
@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_files_tell_speech_from_silence(other: SileroVad, rate: int) -> None:
    samples = np.concatenate([at_rate(rate), np.zeros(rate, np.int16)])
    probabilities = np.array([probability for _, probability in hops(other, rate, samples)])
    assert np.mean(probabilities[:120] > 0.5) > 0.8
    assert probabilities[-15:].max() < 0.5
    noise = np.random.default_rng(1).normal(0, 300, 4 * rate).astype(np.int16)
    assert np.mean([probability > 0.5 for _, probability in hops(other, rate, noise)]) < 0.05


@pytest.mark.parametrize("other", ["silero-v6", "silero-v6-sequence"], indirect=True)
def test_the_same_model_in_another_file_says_the_same(silero: SileroVad, other: SileroVad) -> None:
    samples = at_rate(16000)
    ours, theirs = ([probability for _, probability in hops(model, 16000, samples)] for model in (silero, other))
    assert np.abs(np.array(ours) - np.array(theirs)).max() < 0.01


@pytest.mark.parametrize("other", ["silero-v4"], indirect=True)
async def test_a_model_given_by_its_file_is_listened_to_as_a_stream(other: SileroVad) -> None:
    """It answers half a second after the last word, and not at the end of some chunk; its threshold is ours."""

    def thanks(audio: Any) -> Any:
        return 24000, np.full((1, 4800), 1000, np.int16)

    rate, sentence = speech.sentence(4)
    words = resample(sentence, rate, 48000)
    for threshold, expected in ((0.5, TURN), (1.1, [])):
        handler = ReplyOnPause(thanks, model=other, model_options=SileroVadOptions(threshold=threshold))
        client = await Client(handler).connect()
        await client.speak(np.zeros(24000, np.int16), words, np.zeros(60000, np.int16))
        assert client.logs == expected


@pytest.mark.parametrize("other", FILES, indirect=True)
def test_other_files_find_speech_in_a_recording(other: SileroVad) -> None:
    """As PauseDetectionModel: what a determine_pause asks of its model."""
    samples = np.concatenate([speech.silence(1), speech.sentence(4)[1], speech.silence(1)])
    seconds, (chunk,) = other.vad((speech.RATE, samples), SileroVadOptions(speech_pad_ms=0))
    assert seconds == pytest.approx(1.2, abs=0.25)
    assert chunk["start"] / speech.RATE == pytest.approx(1.0, abs=0.25)
    assert (chunk["end"] - chunk["start"]) / speech.RATE == pytest.approx(seconds, abs=0.01)


def test_a_file_of_another_shape_is_refused_in_words(silero: SileroVad) -> None:
    with pytest.raises(ValueError, match=r"is no Silero VAD: its inputs are input_features\. .*vad\(\)"):
        SileroVad(str(weights.fetch("smart-turn")))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(Exception, match=r"model\.onnx"):
        SileroVad(str(tmp_path / "model.onnx"))


# -- models that are no stream


class Told:
    """Says what it is told to say."""

    def __init__(self, seconds: float, *chunks: tuple[float, float]) -> None:
        self.answer = seconds, [{"start": start, "end": end} for start, end in chunks]

    def vad(self, audio: Any, options: Any) -> Any:
        return self.answer

    def warmup(self) -> None:
        """There is nothing to load."""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Told(0.0), (0.0, 0.0)),
        (Told(0.3), (0.0, 0.3)),
        (Told(0.6, (0, 28800)), (0.0, 0.6)),
        (Told(0.2, (9600, 19200)), (0.2, 0.4)),
        (Told(0.2, (3200, 6400)), (0.2, 0.4)),  # counted at 16 kHz
        (Told(0.2, (3200.0, 6400.0)), (0.2, 0.4)),
        (Told(0.0, (5, 5)), (0.0, 0.0)),
        (Told(9.0), (0.0, 0.6)),
        (Told(float("inf")), (0.0, 0.6)),
    ],
)
def test_what_such_a_model_says_is_placed_in_the_chunk(model: Told, expected: tuple[float, float]) -> None:
    listener = ModelSpeech(model, None, 48000, 0.6)
    assert listener.push(np.zeros(28799, np.int16)) == []
    found = listener.push(np.zeros(1, np.int16))
    assert sum(hop.size for hop, _ in found) == 28800
    speech_at = [number * 0.032 for number, (_, probability) in enumerate(found) if probability]
    if expected[1] == expected[0]:
        assert speech_at == []
    else:
        assert (speech_at[0], speech_at[-1] + 0.032) == pytest.approx(expected, abs=0.02)
