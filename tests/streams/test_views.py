import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from streams.models import Stream
from streams.registry import Registry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _only_these(handlers: Registry) -> None:
    Stream.objects.all().delete()
    for access in ("public", "login", "staff"):
        Stream.objects.create(slug=access, title=f"A {access} stream", handler="parrot", access=access)


def test_home_lists_what_the_visitor_may_open(client: Client) -> None:
    assert [stream.slug for stream in client.get("/").context["streams"]] == ["public"]
    client.force_login(User.objects.create(username="user"))
    assert [stream.slug for stream in client.get("/").context["streams"]] == ["login", "public"]


def test_a_public_page_works_signed_out_with_a_stored_session_and_a_csrf_cookie(client: Client) -> None:
    response = client.get("/streams/public/")
    assert response.status_code == 200
    assert "A public stream" in response.content.decode()
    assert Session.objects.filter(pk=client.cookies["sessionid"].value).exists()
    assert client.cookies["csrftoken"].value

    again = client.get("/streams/public/")
    assert "sessionid" not in again.cookies, "the session stays the same one"


def test_a_stale_session_cookie_is_replaced(client: Client) -> None:
    client.cookies["sessionid"] = "expired"
    client.get("/streams/public/")
    assert Session.objects.filter(pk=client.cookies["sessionid"].value).exists()


def test_signed_out_visitors_are_sent_to_sign_in_and_back(client: Client) -> None:
    for slug in ("login", "staff"):
        response = client.get(f"/streams/{slug}/")
        assert response.status_code == 302
        assert response["Location"] == f"/accounts/login/?next=/streams/{slug}/"


def test_a_user_without_access_is_told(client: Client) -> None:
    client.force_login(User.objects.create(username="user"))
    assert client.get("/streams/login/").status_code == 200
    refused = client.get("/streams/staff/")
    assert refused.status_code == 403
    assert "You have no access to this stream" in refused.content.decode()


def test_a_stream_whose_handler_is_gone_says_so(client: Client) -> None:
    Stream.objects.filter(slug="public").update(handler="gone")
    response = client.get("/streams/public/")
    assert response.status_code == 503
    assert "out of order" in response.content.decode()
    assert "gone" not in [stream.handler for stream in client.get("/").context["streams"]]


def test_a_stream_switched_off_says_so(client: Client) -> None:
    Stream.objects.filter(slug="public").update(enabled=False)
    response = client.get("/streams/public/")
    assert response.status_code == 403
    assert "switched off" in response.content.decode()


def test_unknown_streams_are_not_found(client: Client) -> None:
    assert client.get("/streams/nowhere/").status_code == 404


def test_signing_in_and_out(client: Client) -> None:
    User.objects.create_user("user", password="a good long phrase")
    page = client.get("/accounts/login/?next=/streams/login/")
    assert page.status_code == 200
    credentials = {"username": "user", "password": "a good long phrase", "next": "/streams/login/"}
    assert client.post("/accounts/login/", credentials)["Location"] == "/streams/login/"
    assert client.post("/accounts/logout/")["Location"] == "/"
