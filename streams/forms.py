from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.utils import pretty_name

from streams.models import Stream
from streams.registry import Registration, registry

OPTIONS_PREFIX = "option"  # an option called x is the form field option-x, so it cannot clash with a model field


class StreamAdminForm(forms.ModelForm):
    """A Stream with its handler's options as real fields, added by `with_options`."""

    handler = forms.ChoiceField(
        help_text="What answers in this stream. Another handler starts with its own options, shown here after saving."
    )
    registration: Registration | None = None

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
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(registration.name, f"{registration.title} ({registration.name})") for registration in registry]
        current = self.instance.handler
        if current and current not in registry:
            choices.insert(0, (current, f"{current} (not in code any more)"))
        if isinstance(handler := self.fields.get("handler"), forms.ChoiceField):
            handler.choices = choices

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("handler", self.instance.handler) != self.instance.handler:
            self.instance.options = {}
        elif self.registration and self.registration.options:
            self._clean_options(self.registration, self.registration.options)
        return cleaned

    def _clean_options(self, registration: Registration, form_class: type[forms.BaseForm]) -> None:
        options = form_class(self.data, self.files, prefix=OPTIONS_PREFIX)
        for name, errors in options.errors.items():
            field = None if name == NON_FIELD_ERRORS else f"{OPTIONS_PREFIX}-{name}"
            if field not in self.errors:
                self.add_error(field, errors)
        if options.is_valid():
            self.instance.options = registration.dump_options(options.cleaned_data)


def option_names(stream: Stream | None) -> list[str]:
    registration = stream.registration if stream else None
    fields = registration.options().fields if registration and registration.options else {}
    return [f"{OPTIONS_PREFIX}-{name}" for name in fields]


def with_options(form: type[forms.ModelForm], stream: Stream) -> type[forms.ModelForm]:
    """The form with one field for each option of the stream's handler, showing the value it has now."""
    registration = stream.registration
    if registration is None or registration.options is None:
        return form
    values, fields = stream.options_for_handler(), registration.options().fields
    for name, field in fields.items():
        field.initial = values[name]
        field.label = field.label or pretty_name(name)  # else Django makes one of the prefixed name
    prefixed = {f"{OPTIONS_PREFIX}-{name}": field for name, field in fields.items()}
    return type(form.__name__, (form,), {**prefixed, "registration": registration})


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
