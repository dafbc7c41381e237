from django import forms

from telephony.models import E164, Call


class OrderForm(forms.Form):
    """Whom to call."""

    to = forms.CharField(
        label="Number",
        max_length=16,
        validators=[E164],
        widget=forms.TextInput(attrs={"class": "vTextField", "type": "tel", "placeholder": "+49301234567"}),
        help_text="As +49301234567: with the country's code, without spaces.",
    )
    machine = forms.ChoiceField(
        label="Answering machine",
        choices=Call.Machine.choices,
        required=False,
        help_text="Finding out who answers costs money, and whoever answers a few seconds of silence.",
    )
