from collections.abc import Iterator

import pytest
from django import forms

from streams.media import ReplyOnPause
from streams.registry import Registry, registry


class GreeterOptions(forms.Form):
    greeting = forms.CharField(initial="Hello", max_length=20)
    pace = forms.DecimalField(initial="1.0", min_value=0, max_digits=3, decimal_places=1)
    polite = forms.BooleanField(required=False, initial=True)
    title = forms.CharField(required=False)  # named like a field of Stream


def say_back(audio: object) -> Iterator[object]:
    yield audio


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The site's registry, emptied for this test but for a plain handler and one with options."""
    monkeypatch.setattr(registry, "_registry", {})
    registry.register("parrot", ReplyOnPause(say_back))
    registry.register("greeter", ReplyOnPause(say_back), title="Greeter", options=GreeterOptions)
    return registry
