from collections.abc import Iterator

import pytest
from django import forms

from streams.media import ReplyOnPause
from streams.registry import Registry, registry
from tests.certificate import own_certificate
from tests.coturn import Coturn, own_addresses, running_coturn


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


@pytest.fixture(scope="session")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    """A TURN server that shares a secret with the site: credentials expire. It relays to this machine."""
    folder = tmp_path_factory.mktemp("coturn")
    with running_coturn(folder, own_certificate(folder), peers=own_addresses()) as server:
        yield server


@pytest.fixture(scope="session")
def coturn_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    """A TURN server with users and passwords of its own."""
    folder = tmp_path_factory.mktemp("coturn-users")
    with running_coturn(folder, own_certificate(folder), users=True, peers=own_addresses()) as server:
        yield server
