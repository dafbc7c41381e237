"""What every engine must do, as test classes: subclass one in your own tests, with a fixture ``engine`` that returns
your engine, and pytest runs them all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.media.audio import audio_to_float32, audio_to_int16, resample
from streams.media.speech.recognition import SpeechToText
from streams.media.speech.synthesis import TextToSpeech
from streams.media.vad import PauseDetectionModel

Spoken = tuple[int, NDArray[np.int16]]
RATES = (8000, 16000, 22050, 24000, 44100, 48000)


class SpeechToTextContract:
    """Override ``spoken`` and ``words`` too, if your engine knows another language than English."""

    words = ("rain", "tomorrow")
    """Words of ``spoken`` that no recogniser may miss."""

    @pytest.fixture
    def engine(self) -> SpeechToText:
        raise NotImplementedError("Give the test class a fixture called engine that returns your recogniser.")

    @pytest.fixture
    def spoken(self) -> Spoken:
        """(rate, mono int16) of somebody who asks whether it is going to rain tomorrow."""
        from streams.media.speech.synthesis import get_tts_model

        rate, samples = get_tts_model("pico").tts("Is it going to rain tomorrow?")
        return rate, audio_to_int16(samples).reshape(-1)

    def understood(self, text: str) -> bool:
        return set(self.words) <= set(re.findall(r"[\w']+", text.lower()))

    def test_it_understands(self, engine: SpeechToText, spoken: Spoken) -> None:
        text = engine.stt(spoken)
        assert isinstance(text, str)
        assert self.understood(text), text
        assert text == text.strip()

    @pytest.mark.parametrize("rate", RATES)
    def test_any_rate(self, engine: SpeechToText, spoken: Spoken, rate: int) -> None:
        text = engine.stt((rate, resample(spoken[1], spoken[0], rate)))
        assert self.understood(text), text

    @pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
    @pytest.mark.parametrize("channels", [0, 1, 2])
    def test_any_dtype_and_shape(self, engine: SpeechToText, spoken: Spoken, dtype: str, channels: int) -> None:
        rate, samples = spoken
        given: NDArray[Any] = samples if dtype == "int16" else audio_to_float32(samples).astype(dtype)
        if channels:
            given = np.tile(given, (channels, 1))
        assert self.understood(engine.stt((rate, given)))

    def test_what_it_is_given_stays_as_it_was(self, engine: SpeechToText, spoken: Spoken) -> None:
        rate, samples = spoken
        given = samples.copy()
        given.flags.writeable = False
        engine.stt((rate, given))
        assert np.array_equal(given, samples)

    def test_the_same_audio_gives_the_same_text(self, engine: SpeechToText, spoken: Spoken) -> None:
        assert engine.stt(spoken) == engine.stt(spoken)

    @pytest.mark.parametrize("shape", [(0,), (1, 0), (2, 0), (1,), (1, 7)])
    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    def test_nothing_is_said_in_no_audio(self, engine: SpeechToText, shape: tuple[int, ...], dtype: str) -> None:
        assert engine.stt((48000, np.zeros(shape, dtype))) == ""

    @pytest.mark.parametrize("seconds", [0.02, 0.5, 3.0])
    def test_nothing_is_said_in_silence(self, engine: SpeechToText, seconds: float) -> None:
        assert engine.stt((16000, np.zeros(round(16000 * seconds), np.int16))) == ""

    @pytest.mark.parametrize("level", [10, 300, 3000])
    def test_nothing_is_said_in_noise(self, engine: SpeechToText, level: int) -> None:
        noise = level * np.random.default_rng(level).standard_normal(3 * 16000)
        assert engine.stt((16000, noise.astype(np.int16))) == ""

    def test_two_threads_may_ask_at_once(self, engine: SpeechToText, spoken: Spoken) -> None:
        silence = (16000, np.zeros(16000, np.int16))
        alone = engine.stt(spoken)
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(engine.stt, [spoken, silence] * 4)) == [alone, ""] * 4


class TextToSpeechContract:
    """Override ``text``, two sentences of some seconds, if your engine knows another language than English."""

    text = ("The rain in Spain stays mainly in the plain. ", "Tomorrow it will be sunny again.")

    @pytest.fixture
    def engine(self) -> TextToSpeech:
        raise NotImplementedError("Give the test class a fixture called engine that returns your synthesiser.")

    def seconds(self, *audio: tuple[int, NDArray[Any]]) -> float:
        """How long it is; and it is well formed."""
        for rate, samples in audio:
            assert 8000 <= rate <= 48000
            assert samples.dtype in (np.int16, np.float32)
            assert samples.ndim == 1 or (samples.ndim == 2 and samples.shape[0] == 1), samples.shape
            assert samples.dtype == np.int16 or not samples.size or np.abs(samples).max() <= 1.0
        return sum(samples.size / rate for rate, samples in audio)

    def test_it_speaks(self, engine: TextToSpeech) -> None:
        audio = engine.tts(self.text[0])
        assert 1.0 < self.seconds(audio) < 8.0
        assert float(np.sqrt(np.mean(audio_to_float32(audio[1]) ** 2))) > 0.01, "That is silence."

    def test_the_same_in_parts(self, engine: TextToSpeech) -> None:
        text = "".join(self.text)
        parts = list(engine.stream_tts_sync(text))
        assert len(parts) > 1
        assert len({rate for rate, _ in parts}) == 1
        assert self.seconds(*parts) == pytest.approx(self.seconds(engine.tts(text)), rel=0.1)

    def test_the_same_in_the_event_loop(self, engine: TextToSpeech) -> None:
        async def collected() -> list[tuple[int, NDArray[Any]]]:
            return [audio async for audio in engine.stream_tts("".join(self.text))]

        whole = self.seconds(*engine.stream_tts_sync("".join(self.text)))
        assert self.seconds(*asyncio.run(collected())) == pytest.approx(whole, rel=0.1)

    def test_it_speaks_before_the_text_is_complete(self, engine: TextToSpeech) -> None:
        asked: list[str] = []

        def written() -> Iterator[str]:
            for word in re.findall(r"\S+\s*", "".join(self.text) * 2):
                asked.append(word)
                yield word

        speech = engine.stream_tts_sync(written())
        assert self.seconds(next(speech)) > 0
        assert len(asked) < len("".join(self.text).split())
        list(speech)
        assert "".join(asked) == "".join(self.text) * 2

    def test_who_stops_listening_stops_the_text(self, engine: TextToSpeech) -> None:
        async def until_interrupted() -> tuple[int, bool]:
            asked, closed = 0, False

            async def written() -> AsyncIterator[str]:
                nonlocal asked, closed
                try:
                    while asked < 1000:
                        asked += 1
                        yield self.text[0]
                finally:
                    closed = True

            speech = engine.stream_tts(written())
            await anext(speech)
            await speech.aclose()
            return asked, closed

        asked, closed = asyncio.run(until_interrupted())
        assert asked < 10
        assert closed

    @pytest.mark.parametrize("text", ["", "   ", "\n\n", "…", "?!", "🎉🎉", "\u200d\ufe0f"])
    def test_nothing_to_say_is_no_error(self, engine: TextToSpeech, text: str) -> None:
        assert self.seconds(engine.tts(text)) < 0.5
        assert self.seconds(*engine.stream_tts_sync(text)) < 0.5

    @pytest.mark.parametrize(
        "text",
        [
            "Well done 🎉👍🏽!",
            "<b>Bold</b> & <speak>marked</speak> up < and >",
            "**Bold**, `code`, [a link](https://example.org) and # a heading",
            "A zero\x00 byte, a lone \ud800 surrogate, a \ufffd replacement.",
            "Ärger über Größe, naïve café, señor, 東京, Москва, العربية",
            "one two three " * 100,
            "a" * 1000,
        ],
        ids=["emoji", "tags", "markdown", "bytes", "languages", "long", "no spaces"],
    )
    def test_odd_text_is_no_error(self, engine: TextToSpeech, text: str) -> None:
        assert self.seconds(engine.tts(text)) > 0.1

    def test_two_may_speak_at_once(self, engine: TextToSpeech) -> None:
        alone = [self.seconds(engine.tts(text)) for text in self.text]
        with ThreadPoolExecutor(4) as threads:
            together = [self.seconds(audio) for audio in threads.map(engine.tts, [*self.text] * 4)]
        assert together == pytest.approx(alone * 4, rel=0.1)


class VoiceDetectorContract:
    """For what ``ReplyOnPause(model=…)`` takes. Override ``options`` if your detector needs some."""

    options: Any = None

    @pytest.fixture
    def engine(self) -> PauseDetectionModel:
        raise NotImplementedError("Give the test class a fixture called engine that returns your detector.")

    @pytest.fixture
    def speech(self) -> Spoken:
        """(16000, mono int16): half a second of silence, some three seconds of speech, half a second of silence."""
        from streams.media.speech.synthesis import get_tts_model

        rate, samples = get_tts_model("pico").tts("The rain in Spain stays mainly in the plain, they say.")
        return 16000, np.pad(resample(audio_to_int16(samples).reshape(-1), rate, 16000), 8000)

    def found(self, engine: PauseDetectionModel, rate: int, samples: NDArray[Any]) -> float:
        """The seconds of speech; and the places are places."""
        seconds, chunks = engine.vad((rate, samples), self.options)
        assert 0.0 <= seconds <= samples.size / rate + 0.1
        ends = [0, *(edge for chunk in chunks for edge in (chunk["start"], chunk["end"]))]
        assert ends == sorted(ends), "They follow one another."
        return float(seconds)

    def test_a_person_speaking_is_speech(self, engine: PauseDetectionModel, speech: Spoken) -> None:
        engine.warmup()
        rate, samples = speech
        assert self.found(engine, rate, samples) > 0.5 * (samples.size / rate - 1.0)

    @pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
    def test_any_rate(self, engine: PauseDetectionModel, speech: Spoken, rate: int) -> None:
        engine.warmup()
        expected = self.found(engine, *speech)
        assert self.found(engine, rate, resample(speech[1], speech[0], rate)) == pytest.approx(expected, abs=0.5)

    def test_floats_are_heard_too(self, engine: PauseDetectionModel, speech: Spoken) -> None:
        engine.warmup()
        expected = self.found(engine, *speech)
        assert self.found(engine, speech[0], audio_to_float32(speech[1])) == pytest.approx(expected, abs=0.2)

    @pytest.mark.parametrize("level", [0, 5, 300])
    def test_silence_and_noise_are_not(self, engine: PauseDetectionModel, level: int) -> None:
        engine.warmup()
        noise = level * np.random.default_rng(1).standard_normal(3 * 16000)
        assert self.found(engine, 16000, noise.astype(np.int16)) < 0.3

    @pytest.mark.parametrize("size", [0, 1, 160, 511, 9600])
    def test_any_length(self, engine: PauseDetectionModel, size: int) -> None:
        engine.warmup()
        assert self.found(engine, 16000, np.zeros(size, np.int16)) == 0.0

    def test_one_speaker_does_not_change_another(self, engine: PauseDetectionModel, speech: Spoken) -> None:
        engine.warmup()
        alone = self.found(engine, *speech)
        with ThreadPoolExecutor(4) as threads:
            jobs = [threads.submit(self.found, engine, *speech) for _ in range(8)]
        assert [job.result() for job in jobs] == [alone] * 8
