"""Form fields with which an administrator chooses speech engines, for the `options` form of any registration."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django import forms
from django.utils.functional import lazy
from django.utils.html import escape
from django.utils.text import format_lazy

from streams.media.speech.engines import Kind, engine_names, engine_problem


class EngineField(forms.ChoiceField):
    """The names of the engines of one kind, plug-ins among them. Its value is a name for `load_engine`.

    What keeps an engine from working here is in the help text, with what to do. Such an engine is refused, but for the
    initial one: a stream whose default is not there yet can still be edited.
    """

    kind: ClassVar[Kind]
    imports = True
    """Whether to find out by importing it, which may take long."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=partial(engine_choices, self.kind), **kwargs)

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        bound = super().get_bound_field(form, field_name)
        bound.help_text = format_lazy("{} {}", bound.help_text, lazy(missing_engines, str)(self.kind))
        return bound

    def valid_value(self, value: Any) -> bool:
        return str(value) in engine_names(self.kind)  # without a look at the others, as `choices` would take

    def validate(self, value: Any) -> None:
        super().validate(value)
        if self.imports and value and value != self.initial and (problem := engine_problem(self.kind, value)):
            raise forms.ValidationError(problem, code="unavailable")


class RecogniserField(EngineField):
    """For ``get_stt_model``."""

    kind = "stt"


class VoiceField(EngineField):
    """For ``get_tts_model``."""

    kind = "tts"


class VoiceDetectorField(EngineField):
    """For ``ReplyOnPause(model=…)``."""

    kind = "vad"


def engine_choices(kind: Kind) -> list[tuple[str, str]]:
    """What a select offers: the names, and which of them cannot work here."""
    return [(name, f"{name} (not available)" if engine_problem(kind, name) else name) for name in engine_names(kind)]


def missing_engines(kind: Kind) -> str:
    """Why those cannot, and what to do: HTML, as the admin's help texts are."""
    problems = {name: engine_problem(kind, name) for name in engine_names(kind)}
    told = [f"<b>{escape(name)}</b>: {escape(problem)}" for name, problem in problems.items() if problem]
    return f"<br>Not available: {'<br>'.join(told)}" if told else ""
