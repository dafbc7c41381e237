"""Turn taking armed by a phrase: "computer, what time is it?" is answered, and nothing else that is said nearby."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streams.media.audio import Audio, Samples
from streams.media.determine_pause import AppState, PauseDetermined
from streams.media.messages import message
from streams.media.pauses import Event, SpeechPaused, SpeechStarted
from streams.media.reply_on_words import HEARD, ReplyOnWords
from streams.media.stop_words import StopWords
from streams.media.wake_word import WakeWord

LISTEN_EACH = 0.16
"""Seconds of new audio after which the recogniser is asked again, while somebody speaks."""
CONFIRM_AFTER = 0.19
"""The same when it has heard the phrase, and for how long it must hear it: "computer" may yet become "computing"."""
QUIET = 0.1
"""Seconds of silence after a word that show that it is complete."""
WOKEN_AFTER = 0.1
"""Seconds from the end of the phrase until a wake word's model knows it."""
PRECISION = 0.08
"""Seconds to which the end of the phrase is looked for."""
UNSURE = 0.15
"""Seconds that are given rather than lost where it can only be guessed."""
SILENCE_BEFORE, SILENCE_AFTER = 0.1, 0.25
"""Seconds around it in which a silence is where it ends."""
SILENT, SILENT_STEPS = 0.15, 3
"""Less than this share of the mean level, for so many steps of 20 ms, is silence: the closure of a "t" is shorter."""
FOLLOWING = 0.5
"""Seconds of speech after the phrase from which on the words that are heard there are believed at once."""
REQUEST = 0.3
"""Seconds from the end of the phrase to the last speech that make a request, where the words do not tell."""


@dataclass
class ReplyOnStopWordsState(AppState):
    """For a subclass that overrides ``determine_pause``; FastRTC's fields.

    stop_word_detected: whether the stop word has been said in this turn
    post_stop_word_buffer: the last two seconds, in which it is looked for
    started_talking_pre_stop_word: not used
    """

    stop_word_detected: bool = False
    post_stop_word_buffer: Samples | None = None
    started_talking_pre_stop_word: bool = False


@dataclass
class _Search:
    """How far the stop word has been looked for in one utterance. Moments of media time, in seconds."""

    began: float
    """Here speech began."""
    asked: float = field(init=False)
    """Up to here the recogniser has heard."""
    without: float = field(init=False)
    """Up to here the phrase was not complete."""
    found: float | None = None
    """Here it was, first, and has been since, but for its spelling."""
    late: bool = False
    """By then others had followed it."""
    doubted: bool = False
    """Here it was the last time, at the end of what was heard."""
    failed: bool = False

    def __post_init__(self) -> None:
        self.asked = self.without = self.began


class ReplyOnStopWords(ReplyOnWords):
    """Calls ``fn(audio)`` with what the user says after one of ``stop_words``, when they pause.

    What follows the phrase in the same breath is the audio. After the phrase alone, it is the next utterance.
    Speaking over a reply does not end it, but the phrase does. The client is sent ``stopword`` when it has been heard.
    English only.

    stop_words: phrases of one or more words; see StopWords
    tolerance: letters that may be misspelt, see StopWords
    wake_word: a model that knows one phrase, see WakeWord; beside stop_words, or in place of them where they are empty
    All else is ReplyOnWords's.

    ``phrases`` and ``stop_word_detected`` may be overridden, and so may ``determine_pause`` (see DeterminesPause).
    """

    state: ReplyOnStopWordsState
    _wake_word: WakeWord | None = None

    def __init__(
        self,
        fn: Callable[..., Any],
        stop_words: Sequence[str],
        *args: Any,
        tolerance: int = 0,
        wake_word: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fn, *args, words=StopWords(stop_words, tolerance), **kwargs)
        self.stop_words = stop_words
        self.wake_word = wake_word
        self.state = ReplyOnStopWordsState()
        if not stop_words and not wake_word:
            raise ValueError("Name at least one phrase to listen for in stop_words, or a wake_word.")

    def stop_word_detected(self, text: str) -> bool:
        """Tell whether a stop word is in ``text``, what the recogniser has written of the last seconds."""
        return self._phrases.find(text) is not None

    def send_stopword(self) -> None:
        """Tell the client that a stop word has been heard. From any thread."""
        self.send_message_sync(message("stopword"))

    def load(self) -> None:
        if self._phrases.phrases:
            super().load()
        self._wake_word = WakeWord(self.wake_word, self.input_sample_rate) if self.wake_word else None

    async def begin(self) -> None:
        self._armed = self._has_request = False
        self._since = 0.0
        self._search = _Search(0.0)
        await super().begin()
        self._nearly = StopWords(self._phrases.phrases, self._phrases.tolerance + 2)

    async def end(self) -> None:
        await super().end()
        if self._wake_word is not None:
            self._wake_word.close()

    async def handle(self, frame: Audio) -> None:
        await super().handle(frame)
        if self._subclass is not None or (self.replying and not self.can_interrupt):
            return
        if self._wake_word is not None and self._wake_word.push(frame[1][0]) and not self._armed:
            self._arm(self._detector.clock - WOKEN_AFTER)
        if self._detector.talking:
            self._listen()

    # -- before the stop word -----------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if self._subclass is not None:
            if self.state.stop_word_detected or isinstance(event, PauseDetermined):
                super()._on_event(event)
        elif self._armed:
            super()._on_event(event)
        elif isinstance(event, SpeechStarted):
            self._search = _Search(event.at)
            self._watch()
        elif isinstance(event, SpeechPaused):
            self._conclude(event)

    def _listen(self) -> None:
        """Ask the recogniser about the last seconds, if it is time to."""
        search, clock = self._search, self._detector.clock
        if not self._armed:
            self._detector.forget_before(clock - HEARD - LISTEN_EACH)
        if not self._phrases.phrases or (self._armed and self._has_request) or search.failed or self._working:
            return
        if clock - search.asked >= (CONFIRM_AFTER if search.doubted else LISTEN_EACH):
            quiet = clock - self._detector.speech_ended
            self._work = self._in_background(self._look(search, self._detector.captured(HEARD), clock, quiet))

    @property
    def _working(self) -> bool:
        return self._work is not None and not self._work.done()

    async def _look(self, search: _Search, audio: Samples, until: float, quiet: float) -> None:
        """Look for the stop word in ``audio``, which ends at ``until`` with ``quiet`` seconds of silence."""
        text = await self._recognised(search, audio)
        search.asked = until
        match = self._phrases.find(text)
        follows = match is not None and bool(match.rest)
        if self._armed:
            self._has_request = self._has_request or (follows and until - quiet - self._since > FOLLOWING)
            if match is not None and not follows and quiet >= QUIET:  # now it is known where the phrase ended
                self._since = max(self._since, until - quiet)
        elif not self.stop_word_detected(text):
            search.doubted = False
            if search.found is None or self._nearly.find(text) is None:
                search.without, search.found = until, None
        else:
            if search.found is None:
                search.found, search.late = until - max(quiet - QUIET, 0.0), follows
            search.doubted = True
            if quiet >= QUIET or until - search.found >= CONFIRM_AFTER - 1e-9:
                self._arm(search.found)
                if match is not None and search.late:
                    end = self._end_by_length(search, match.end / len(text), audio, until, quiet)
                else:
                    end = await self._end_of_phrase(search, audio, until)
                self._since = end + silence_at(audio, self.input_sample_rate, until - end)

    async def _recognised(self, search: _Search, audio: Samples) -> str:
        try:
            return await self._text(audio)
        except Exception:
            search.failed = True  # once for each utterance is enough
            raise

    def _end_by_length(self, search: _Search, share: float, audio: Samples, until: float, quiet: float) -> float:
        """Where the phrase should end, by its share of the letters: it was not understood before others followed."""
        began = max(search.began, until - audio.size / self.input_sample_rate)
        return max(began + (until - quiet - began) * share - UNSURE, began)

    async def _end_of_phrase(self, search: _Search, audio: Samples, until: float) -> float:
        """The moment from which on the phrase is heard, when it was the last that was heard."""
        assert search.found is not None
        low, high = max(search.without, until - audio.size / self.input_sample_rate), search.found
        while high - low > PRECISION:
            middle = (low + high) / 2
            left_out = round((until - middle) * self.input_sample_rate)
            text = await self._recognised(search, audio[: audio.size - left_out])
            low, high = (low, middle) if self.stop_word_detected(text) else (middle, high)
        return high

    def _conclude(self, paused: SpeechPaused) -> None:
        """The utterance is over: was the stop word in it, and a request after that?"""
        self._work = self._in_background(self._concluded(paused, self._search, self._work))

    async def _concluded(self, paused: SpeechPaused, search: _Search, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        if not self._armed and self._phrases.phrases and not search.failed and search.asked < paused.at + QUIET:
            await self._look(search, paused.audio, paused.decided, paused.decided - paused.at)
        if not self._armed:
            return
        # Whatever comes of it, the next utterance is a request.
        known, self._has_request = self._has_request, True
        if known or await self._is_request(search, paused):
            super()._paused(self._request(paused))

    async def _is_request(self, search: _Search, paused: SpeechPaused) -> bool:
        match = None
        if self._phrases.phrases and not search.failed:
            match = self._phrases.find(await self._recognised(search, paused.audio))
        return paused.at - self._since > REQUEST if match is None else bool(match.rest)

    # -- after it -----------------------------------------------------------------------------------------------

    def _arm(self, since: float) -> None:
        """The stop word has been said, up to ``since``."""
        self._armed, self._since, self._has_request = True, since, False
        if self.replying:
            self.cancel_reply()
        self.send_stopword()

    def _paused(self, paused: SpeechPaused) -> None:
        if self._subclass is not None:
            super()._paused(paused)
        elif self._has_request and not self._working:
            super()._paused(self._request(paused))
        else:
            self._conclude(paused)

    def _request(self, paused: SpeechPaused) -> SpeechPaused:
        audio = self._after_the_phrase(paused.audio, paused.decided)
        return dataclasses.replace(paused, audio=audio, began=max(paused.began, self._since))

    def _after_the_phrase(self, audio: Samples, until: float) -> Samples:
        return audio[max(audio.size - round((until - self._since) * self.input_sample_rate), 0) :]

    def _said_so_far(self) -> Samples:
        said = super()._said_so_far()
        return self._after_the_phrase(said, self._detector.clock) if self._armed else said

    def _reply_to(self, audio: Audio, text: str = "", **times: Any) -> None:
        self._disarm()
        super()._reply_to(audio, text, **times)

    def _disarm(self) -> None:
        self._armed = False
        self._search = _Search(self._detector.clock)

    def _forget(self) -> None:
        super()._forget()
        self._stop_asking()
        self._disarm()

    # -- for subclasses -----------------------------------------------------------------------------------------

    @property
    def determines_pauses(self) -> bool:
        kind, base = type(self), ReplyOnStopWords
        return kind.determine_pause is not base.determine_pause or kind.process_audio is not base.process_audio

    def determine_pause(self, audio: Samples, sampling_rate: int, state: AppState) -> bool:
        """What ``super().determine_pause`` does in a subclass; it is not used unless there is one.

        A chunk at a time as in FastRTC: what is said in the chunks after the one with the stop word is the utterance.
        """
        if not isinstance(state, ReplyOnStopWordsState) or state.stop_word_detected:
            return super().determine_pause(audio, sampling_rate, state)
        if audio.size < self.algo_options.audio_chunk_duration * sampling_rate or self.model is None:
            return False
        before = np.zeros(0, np.int16) if state.post_stop_word_buffer is None else state.post_stop_word_buffer
        heard = state.post_stop_word_buffer = np.concatenate([before, audio])[-2 * sampling_rate :]
        state.buffer = None
        seconds, _ = self.model.vad((sampling_rate, heard), self.model_options)
        if seconds and self.stt_model and self.stop_word_detected(self.stt_model.stt((sampling_rate, heard))):
            state.stop_word_detected = True
            self.send_stopword()
        return False


def silence_at(audio: Samples, rate: int, before_end: float) -> float:
    """Seconds from a moment, ``before_end`` seconds before the end of ``audio``, to the silence that begins near it.

    0 where there is none: a recogniser guesses a word before it has been said to its end.
    """
    step = rate // 50
    first = max(audio.size - round((before_end + SILENCE_BEFORE) * rate), 0)
    heard = audio[first : first + round((SILENCE_BEFORE + SILENCE_AFTER) * rate)]
    levels = np.abs(heard[: heard.size // step * step].reshape(-1, step).astype(np.float32)).mean(axis=1)
    quiet = levels < SILENT * np.abs(audio.astype(np.float32)).mean()
    for number in range(quiet.size - SILENT_STEPS + 1):
        if quiet[number : number + SILENT_STEPS].all():
            return (first + (number + 1) * step - audio.size) / rate + before_end
    return 0.0
