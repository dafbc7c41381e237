from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

pytestmark = pytest.mark.django_db


def ensure_superuser() -> str:
    out = StringIO()
    call_command("ensure_superuser", stdout=out)
    return out.getvalue()


def test_the_first_superuser_can_sign_in_with_the_printed_password(client: Client) -> None:
    printed = ensure_superuser()
    (password,) = [word for word in printed.split() if client.login(username="admin", password=word)]
    assert len(password) >= 16
    assert client.get("/admin/").status_code == 200


def test_the_password_is_printed_once() -> None:
    ensure_superuser()
    assert ensure_superuser() == ""
    assert User.objects.count() == 1


def test_a_site_that_has_a_superuser_gets_no_other() -> None:
    User.objects.create(username="boss", is_superuser=True)
    assert ensure_superuser() == ""


def test_a_user_called_admin_is_never_promoted() -> None:
    User.objects.create(username="admin")
    assert "createsuperuser" in ensure_superuser()
    assert not User.objects.filter(is_superuser=True).exists()
