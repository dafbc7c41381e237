"""A stream's own turn taking: the values of its ReplyOnPause that an administrator may change, as a form."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

from django import forms

from streams.fields import VoiceDetectorField, engine_choices
from streams.media import weights
from streams.media.reply_on_pause import ReplyOnPause

logger = logging.getLogger(__name__)

ENDS = {"auto": "Automatic", "semantic": "Words and melody", "silence": "Silence only"}
YES_NO = {"True": "Yes", "False": "No"}
NO_WEIGHTS = "The model that hears words and melody is not on this server. Run “manage.py fetch_models” there first."
LESS_THAN = [
    ("shortest_wait", "longest_wait", "The shortest wait, {} s, must not be longer than the longest wait, {} s."),
    ("speech_threshold", "audio_chunk_duration", "{} s of speech must be less than the window, {} s."),
    ("started_talking_threshold", "audio_chunk_duration", "{} s of speech must be less than the window, {} s."),
]
"""Pairs of fields, and what is wrong when the first is not the smaller one."""


def _number(label: str, lowest: float, highest: float, help_text: str, unit: str = " seconds") -> forms.FloatField:
    limits = f"Between {lowest:g} and {highest:g}{unit}."
    return forms.FloatField(
        required=False,
        label=label,
        min_value=lowest,
        max_value=highest,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"step": 0.01, "class": "vIntegerField"}),
        error_messages={"min_value": limits, "max_value": limits},
    )


class TurnTakingForm(forms.Form):
    """Everything may stay empty, and is then as in the code. ``values`` is what to store."""

    end_of_utterance = forms.ChoiceField(
        required=False,
        label="Who decides the end",
        help_text="What tells that somebody has finished. Words and melody: a model listens how complete the sentence "
        "sounds, and the answer comes between the shortest and the longest wait. Silence only: the answer comes after "
        "a fixed pause, see the window. Automatic: words and melody, unless the code or this form sets the window or "
        "the speech to go on to something unusual.",
    )
    shortest_wait = _number(
        "Shortest wait", 0, 3, "Seconds of silence before the answer when the sentence sounds complete."
    )
    longest_wait = _number(
        "Longest wait", 0.1, 10, "Seconds of silence before the answer when the sentence sounds broken off."
    )
    voice_detector = VoiceDetectorField(
        required=False,
        label="Voice detector",
        help_text="What tells voices from other sounds. Words and melody decide only with Silero, and only it has a "
        "threshold here.",
    )
    threshold = _number(
        "Voice threshold",
        0.05,
        0.95,
        "From 0.05 to 0.95: how sure the detector must be that a sound is a voice. "
        "More ignores more noise; less hears quieter voices.",
        unit="",
    )
    audio_chunk_duration = _number(
        "Window",
        0.1,
        5,
        "Seconds of audio, up to now, in which speech is counted. Where silence decides, the answer comes one window "
        "less the speech to go on after the last word.",
    )
    started_talking_threshold = _number(
        "Speech to start",
        0,
        2,
        "Seconds of speech within the window with which somebody counts as talking. "
        "More ignores coughs and very short words.",
    )
    speech_threshold = _number(
        "Speech to go on",
        0.01,
        2,
        "Seconds of speech within the window below which somebody has paused. Only where silence decides.",
    )
    max_continuous_speech_s = _number(
        "Longest utterance", 1, 3600, "Seconds after which the answer comes although the visitor is still speaking."
    )
    pre_roll = _number(
        "Kept from before",
        0,
        3,
        "Seconds of audio from before the first speech that the handler is given too, so that no first syllable is "
        "lost.",
    )
    can_interrupt = forms.TypedChoiceField(
        required=False,
        label="May be interrupted",
        coerce=lambda text: text == "True",
        empty_value=None,
        help_text="Whether speaking over an answer ends it. If not, nobody is listened to until it has been played.",
    )
    interruption_threshold = _number(
        "Speech to hold",
        0,
        2,
        "Seconds of speech over an answer that silence it. It goes on where it stopped if that was no interruption.",
    )
    min_speech = _number("Speech to end", 0, 10, "Seconds of speech over an answer that end it for good.")
    min_words = forms.IntegerField(
        required=False,
        label="Words to end",
        min_value=0,
        max_value=50,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text="Number of words, besides “yes”, “uh-huh” and the like, that end an answer; 0 does not look at "
        "words. Only where the code gives the handler a recogniser.",
        error_messages=dict.fromkeys(["min_value", "max_value"], "Between 0 and 50 words."),
    )
    rejoin = forms.TypedChoiceField(
        required=False,
        label="Join what was cut in two",
        coerce=lambda text: text == "True",
        empty_value=None,
        help_text="Whether somebody who goes on over the answer, soon after their last word, is answered anew to all "
        "they have said. For handlers that remember the conversation, only if they can take the first part back.",
    )

    def __init__(self, handler: ReplyOnPause, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handler = handler
        self.in_code = values_in_code(handler)
        if "threshold" not in self.in_code:
            del self.fields["threshold"]
        self._choices("end_of_utterance", ENDS)
        self._choices("can_interrupt", YES_NO)
        self._choices("rejoin", YES_NO)
        as_in_code = [("", f"As in the code ({self.in_code['voice_detector']})")]
        # Asked for when the form is shown, not for each session: it imports the plug-ins.
        self.fields["voice_detector"].choices = lambda: as_in_code + engine_choices("vad")  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            if not isinstance(field, forms.ChoiceField):
                field.widget.attrs["placeholder"] = "∞" if self.in_code[name] == math.inf else self.in_code[name]

    def _choices(self, name: str, words: dict[str, str]) -> None:
        as_in_code = words[str(self.in_code[name])]
        self.fields[name].choices = [("", f"As in the code ({as_in_code.lower()})"), *words.items()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = self.values()
        for small, large, words in LESS_THAN:
            given = [name for name in (small, large) if name in values]
            if not given or self.errors.keys() & {small, large}:
                continue
            least, most = ((self.in_code | values)[name] for name in (small, large))
            if least > most or (least == most and large != "longest_wait"):
                self.add_error(given[0], words.format(f"{least:g}", f"{most:g}"))
        if values.get("end_of_utterance") == "semantic" and not self._hears_words():
            self.add_error("end_of_utterance", NO_WEIGHTS)
        return self.cleaned_data

    def _hears_words(self) -> bool:
        try:
            return bool(self.handler.end_of_utterance or weights.path("smart-turn"))
        except weights.WeightsMissing:
            return False

    def values(self) -> dict[str, Any]:
        """What differs from the code, as JSON can hold it."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


def values_in_code(handler: ReplyOnPause) -> dict[str, Any]:
    detector = handler.model_name if handler.model is None else type(handler.model).__name__
    values: dict[str, Any] = {"can_interrupt": handler.can_interrupt, "voice_detector": detector}
    for options in (handler.algo_options, handler.interruption):
        values |= {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    # Another model's options may be anything.
    if dataclasses.is_dataclass(handler.model_options) and hasattr(handler.model_options, "threshold"):
        values["threshold"] = handler.model_options.threshold
    return values


def usable(stored: Any, handler: ReplyOnPause) -> dict[str, Any]:
    """Return the stored values that this handler can work with. The others are logged, and then as in the code."""
    if not isinstance(stored, dict):
        logger.warning("Turn taking: %.100r is no object; everything is as in the code", stored)
        return {}
    form = TurnTakingForm(handler, stored)
    # A session begins, in the event loop: it loads its detector by itself, in a thread.
    form.fields["voice_detector"].imports = False  # type: ignore[attr-defined]
    if form.is_valid():
        return form.values()
    for name, problems in form.errors.items():
        logger.warning("Turn taking: %s is as in the code, not %.50r: %s", name, stored.get(name), problems[0])
    return usable({name: value for name, value in stored.items() if name not in form.errors}, handler)
