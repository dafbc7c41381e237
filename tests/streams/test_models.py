from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import ValidationError
from django.core.management import call_command

from streams.models import Stream, Visitor
from streams.registry import Registry, register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _only_these(handlers: Registry) -> None:
    Stream.objects.all().delete()


def make_stream(**fields: object) -> Stream:
    return Stream.objects.create(**{"slug": "parrot", "title": "Parrot", "handler": "parrot", **fields})


def allow_use(group: Group) -> None:
    group.permissions.add(Permission.objects.get(codename="use_stream"))


def test_migrate_makes_a_stream_for_each_handler_that_has_none() -> None:
    register("lobby", print, modality="video", access="staff", concurrency_limit=3, description="Wait here.")
    make_stream(slug="renamed", handler="parrot")
    make_stream(slug="greeter", handler="gone")  # holds the slug that the greeter's stream would get

    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)

    rows = set(Stream.objects.values_list("slug", "handler"))
    assert rows == {("renamed", "parrot"), ("greeter", "gone"), ("greeter-2", "greeter"), ("lobby", "lobby")}
    lobby = Stream.objects.get(slug="lobby")
    assert (lobby.title, lobby.access, lobby.concurrency_limit) == ("Lobby", "staff", 3)
    assert lobby.description == "Wait here."


def test_a_handler_gone_from_the_code_makes_a_stream_unavailable() -> None:
    stream = make_stream(handler="gone")
    assert stream.registration is None
    assert not stream.is_available
    assert stream.options_for_handler() == {}


def test_a_disabled_stream_is_unavailable() -> None:
    assert make_stream().is_available
    assert not make_stream(slug="off", enabled=False).is_available


def test_options_are_initial_values_under_stored_ones() -> None:
    stream = make_stream(handler="greeter", options={"greeting": "Hi", "pace": "1.5", "forgotten": 1})
    assert stream.options_for_handler() == {"greeting": "Hi", "pace": Decimal("1.5"), "polite": True, "title": None}


def test_a_stored_option_that_no_longer_fits_falls_back() -> None:
    stream = make_stream(handler="greeter", options={"pace": "quick"})
    assert stream.options_for_handler()["pace"] == "1.0"


def test_access_by_kind_of_visitor() -> None:
    singers = Group.objects.create(name="singers")
    allow_use(singers)
    powerless = Group.objects.create(name="powerless")
    users = {
        "user": User.objects.create(username="user"),
        "singer": User.objects.create(username="singer"),
        "powerless": User.objects.create(username="powerless"),
        "staff": User.objects.create(username="staff", is_staff=True),
        "gone": User.objects.create(username="gone", is_active=False, is_staff=True),
        "superuser": User.objects.create(username="superuser", is_superuser=True),
    }
    users["singer"].groups.add(singers)
    users["powerless"].groups.add(powerless)
    # The permission alone, without the stream's group, opens nothing.
    users["user"].user_permissions.add(Permission.objects.get(codename="use_stream"))
    streams = [make_stream(slug=access, access=access) for access in ("public", "login", "staff", "group")]
    streams[-1].groups.add(singers, powerless)

    visitors: dict[str, Visitor] = {"anonymous": AnonymousUser(), **users}
    allowed = {name: {s.slug for s in streams if s.allows(visitor)} for name, visitor in visitors.items()}

    assert allowed == {
        "anonymous": {"public"},
        "user": {"public", "login"},
        "singer": {"public", "login", "group"},
        "powerless": {"public", "login"},
        "staff": {"public", "login", "staff"},
        "gone": {"public"},
        "superuser": {"public", "login", "staff", "group"},
    }
    for name, visitor in visitors.items():
        assert {stream.slug for stream in Stream.objects.visible_to(visitor)} == allowed[name]


def test_nobody_sees_what_is_not_available() -> None:
    make_stream(slug="off", enabled=False)
    make_stream(slug="lost", handler="gone")
    visitors: list[Visitor] = [AnonymousUser(), User.objects.create(username="superuser", is_superuser=True)]
    for visitor in visitors:
        assert not Stream.objects.visible_to(visitor).exists()


def test_a_stream_in_two_of_my_groups_is_listed_once() -> None:
    user, stream = User.objects.create(username="user"), make_stream(access="group")
    for name in ("singers", "dancers"):
        group = Group.objects.create(name=name)
        allow_use(group)
        user.groups.add(group)
        stream.groups.add(group)
    assert list(Stream.objects.visible_to(user)) == [stream]


@pytest.mark.parametrize("limit", ["concurrency_limit", "time_limit"])
def test_limits_are_positive(limit: str) -> None:
    with pytest.raises(ValidationError):
        Stream(slug="s", title="S", handler="parrot", **{limit: 0}).full_clean()
