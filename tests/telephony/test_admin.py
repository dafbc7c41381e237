"""The admin's pages of the telephone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from streams.models import Stream
from telephony.models import Call, PhoneNumber
from tests.telephony.exchange import OWN_NUMBER, PERSON, Exchange
from tests.telephony.test_commands import exchange, running  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def number() -> PhoneNumber:
    return PhoneNumber.objects.create(number=OWN_NUMBER, stream=Stream.objects.get(slug="echo"))


def call_url(number: PhoneNumber) -> str:
    return reverse("admin:telephony_phonenumber_call", args=[number.pk])


def test_somebody_is_called_from_a_number(admin: Client, number: PhoneNumber, exchange: Exchange) -> None:  # noqa: F811
    change = admin.get(reverse("admin:telephony_phonenumber_change", args=[number.pk])).content.decode()
    assert call_url(number) in change
    response = admin.post(call_url(number), {"to": PERSON, "machine": "hang_up"}, follow=True)
    page = response.content.decode()
    assert f"{PERSON} is being called." in page
    call = Call.objects.get()
    assert response.redirect_chain == [(reverse("admin:telephony_call_change", args=[call.pk]), 302)]
    assert (call.caller, call.called, call.machine, call.stream) == (OWN_NUMBER, PERSON, "hang_up", number.stream)


def test_what_is_wrong_is_told_in_the_form(admin: Client, number: PhoneNumber, exchange: Exchange) -> None:  # noqa: F811
    page = admin.post(call_url(number), {"to": "030 5"}).content.decode()
    assert "Write the number as +49301234567" in page
    page = admin.post(call_url(number), {"to": "+4990000000"}).content.decode()
    assert "is not a valid phone number" in page
    assert exchange.orders == []


def test_one_number_calls(admin: Client, number: PhoneNumber) -> None:
    changelist = reverse("admin:telephony_phonenumber_changelist")
    action: dict[str, Any] = {"action": "call_from", "_selected_action": [number.pk]}
    assert admin.post(changelist, action)["Location"] == call_url(number)
    other = PhoneNumber.objects.create(number="+4930111", stream=number.stream)
    page = admin.post(changelist, {**action, "_selected_action": [number.pk, other.pk]}, follow=True)
    assert "Select one number" in page.content.decode()


def test_calling_wants_its_own_permission(client: Client, number: PhoneNumber) -> None:
    user = User.objects.create(username="ben", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_phonenumber", "view_phonenumber"]))
    client.force_login(user)
    page = client.get(reverse("admin:telephony_phonenumber_change", args=[number.pk])).content.decode()
    assert call_url(number) not in page
    assert client.post(call_url(number), {"to": PERSON}).status_code == 403
    client.logout()
    assert client.post(call_url(number), {"to": PERSON}).status_code == 302
    assert not Call.objects.exists()


def test_calls_of_a_server_that_died_do_not_seem_to_talk(admin: Client) -> None:
    before = timezone.now() - timedelta(minutes=5)
    dead, alive = (
        Call.objects.create(provider="twilio", call_id=each, status="talking", answered_at=before, seen_at=seen)
        for each, seen in (("CA1", before), ("CA2", timezone.now()))
    )
    assert admin.get(reverse("admin:telephony_call_changelist")).status_code == 200
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.status, dead.ended_at, dead.seconds) == ("failed", before, 0)
    assert alive.status == "talking"
