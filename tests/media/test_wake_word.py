"""The real models: what a synthetic voice says to them, and people who say something else."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recordings.synthetic import Phrase, synthesis
from streams.media.audio import Audio, Samples, resample
from streams.media.outputs import Emitted
from streams.media.reply_on_stop_words import ReplyOnStopWords
from streams.media.session import Reason
from streams.media.vad import SileroVad
from streams.media.wake_word import WakeWord
from tests import speech
from tests.media.client import RATE, Client, silence

OTHERS = resample(speech.recording(), speech.RATE, RATE)


def said(text: str) -> Samples:
    spoken = synthesis(Phrase("text", "rms", (text,)), text)
    return resample(spoken.samples, spoken.rate, RATE)


def moments(model: str, samples: Samples) -> list[float]:
    """Seconds at which the wake word was heard."""
    listener = WakeWord(model, RATE)
    found = [at / RATE for at in range(0, samples.size, 960) if listener.push(samples[at : at + 960])]
    listener.close()
    return found


@pytest.mark.parametrize(("model", "text"), [("hey_jarvis", "Hey Jarvis."), ("okay_nabu", "Okay Nabu.")])
def test_a_model_knows_its_phrase_and_no_other(model: str, text: str) -> None:
    phrase = said(text)
    found = moments(model, np.concatenate([OTHERS, phrase, silence(1)]))
    assert found
    assert OTHERS.size / RATE < found[0] < (OTHERS.size + phrase.size) / RATE + 0.3


@pytest.mark.parametrize("model", ["hey_computer", str(Path("nowhere.json"))])
def test_a_model_that_is_not_there_is_refused_in_words(model: str) -> None:
    with pytest.raises(ValueError, match="There are: okay_nabu, hey_jarvis"):
        WakeWord(model, RATE)


@pytest.mark.parametrize("pause", [0.1, 2.0])
async def test_it_is_a_stop_word_and_needs_no_recogniser(pause: float, silero: SileroVad) -> None:
    requests: list[Samples] = []

    async def answer(audio: Audio) -> AsyncIterator[Emitted]:
        requests.append(audio[1][0])
        return
        yield

    client = await Client(ReplyOnStopWords(answer, [], wake_word="hey_jarvis").copy()).connect()
    question = said("What time is it?")
    await client.speak(silence(1), question, silence(1.5))
    assert requests == []
    await client.speak(said("Hey Jarvis."), silence(pause), question, silence(2))
    assert client.transport.texts("stopword") == [""]
    assert [request.size / RATE for request in requests] == [pytest.approx(question.size / RATE + 0.5, abs=0.4)]
    assert client.errors == []
    await client.session.close(Reason.CLIENT_CLOSED)
