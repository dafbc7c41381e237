from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.utils import pretty_name

from streams.media.reply_on_pause import ReplyOnPause
from streams.models import Stream
from streams.registry import Registration, registry
from streams.turn_taking import TurnTakingForm
from turn.services import DEFAULT, provider_names

# An option called x is the form field option-x, so it cannot clash with a model field.
OPTIONS_PREFIX = "option"
TURN_TAKING_PREFIX = "turn"


class StreamAdminForm(forms.ModelForm):
    """A Stream with what its handler may be given as real fields, added by `with_handler_fields`."""

    handler = forms.ChoiceField(
        help_text="What answers in this stream. Another handler starts with its own options, shown here after saving."
    )

    turn_provider = forms.ChoiceField(
        label="TURN provider",
        required=False,
        help_text="Gives visitors the relay through which they connect where there is no direct way.",
    )

    class Meta:
        model = Stream
        fields = [
            "title",
            "slug",
            "description",
            "handler",
            "enabled",
            "access",
            "groups",
            "concurrency_limit",
            "time_limit",
            "turn_provider",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(provider := self.fields.get("turn_provider"), forms.ChoiceField):
            provider.choices = turn_provider_choices(self.instance)
        choices = [(registration.name, f"{registration.title} ({registration.name})") for registration in registry]
        current = self.instance.handler
        if current and current not in registry:
            choices.insert(0, (current, f"{current} (not in code any more)"))
        if isinstance(handler := self.fields.get("handler"), forms.ChoiceField):
            handler.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("handler", self.instance.handler) != self.instance.handler:
            self.instance.options, self.instance.turn_taking = {}, {}
        else:
            self._clean_handler_fields()
        return cleaned

    def _clean_handler_fields(self) -> None:
        given = handler_forms(self.instance, self.data, self.files)
        for prefix, form in given.items():
            for name, errors in form.errors.items():
                field = None if name == NON_FIELD_ERRORS else f"{prefix}-{name}"
                if field not in self.errors:
                    self.add_error(field, errors)
        registration, options = self.instance.registration, given.get(OPTIONS_PREFIX)
        if registration and options and options.is_valid():
            self.instance.options = registration.dump_options(options.cleaned_data)
        turn_taking = given.get(TURN_TAKING_PREFIX)
        if isinstance(turn_taking, TurnTakingForm) and turn_taking.is_valid():
            self.instance.turn_taking = turn_taking.values()


def turn_provider_choices(stream: Stream) -> list[tuple[str, str]]:
    """Blank is what the code says, else the site's default; a name that has gone from the settings is still shown."""
    names = provider_names()
    given = stream.registration is not None and stream.registration.rtc_configuration is not None
    unchosen = "As in the code" if given else "The site's default" if DEFAULT in names else "None"
    gone = [stream.turn_provider] if stream.turn_provider and stream.turn_provider not in names else []
    return [
        ("", unchosen),
        *((name, f"{name} (not in settings any more)") for name in gone),
        *((name, name) for name in names if name != DEFAULT or given),
    ]


def handler_forms(stream: Stream | None, data: Any = None, files: Any = None) -> dict[str, forms.BaseForm]:
    """By their prefix, the forms with which an administrator tells the stream's handler how to behave."""
    registration = stream.registration if stream else None
    if stream is None or registration is None:
        return {}
    given: dict[str, forms.BaseForm] = {}
    if registration.options:
        given[OPTIONS_PREFIX] = registration.options(data, files, prefix=OPTIONS_PREFIX)
    if isinstance(registration.prototype, ReplyOnPause):
        given[TURN_TAKING_PREFIX] = TurnTakingForm(registration.prototype, data, prefix=TURN_TAKING_PREFIX)
    return given


def handler_fields(stream: Stream | None) -> dict[str, list[str]]:
    """The names of their fields, by the prefix."""
    given = handler_forms(stream)
    return {prefix: [f"{prefix}-{name}" for name in form.fields] for prefix, form in given.items()}


def with_handler_fields(form: type[forms.ModelForm], stream: Stream) -> type[forms.ModelForm]:
    """The form with the fields of `handler_forms`, showing the values that the stream has now."""
    turn_taking = stream.turn_taking if isinstance(stream.turn_taking, dict) else {}
    values = {OPTIONS_PREFIX: stream.options_for_handler(), TURN_TAKING_PREFIX: turn_taking}
    added: dict[str, forms.Field] = {}
    for prefix, given in handler_forms(stream).items():
        for name, field in given.fields.items():
            field.initial = values[prefix].get(name)
            field.label = field.label or pretty_name(name)  # else Django makes one of the prefixed name
            added[f"{prefix}-{name}"] = field
    return type(form.__name__, (form,), dict(added))


def input_form(registration: Registration) -> forms.BaseForm | None:
    """A stream's inputs for its page, each field described by its help text and by the place of its errors."""
    if registration.inputs is None:
        return None
    form = registration.inputs(auto_id="input-%s", use_required_attribute=False)
    for name, field in form.fields.items():
        place = form[name].auto_id
        described_by = [f"{place}-help"] if field.help_text else []
        field.widget.attrs.setdefault("aria-describedby", " ".join([*described_by, f"{place}-error"]))
    return form
