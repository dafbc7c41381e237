from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from streams.media import AlgoOptions, ReplyOnPause
from streams.models import Stream
from streams.registry import Registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(handlers: Registry, client: Client) -> Client:
    Stream.objects.all().delete()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


def change_url(stream: Stream) -> str:
    return reverse("admin:streams_stream_change", args=[stream.pk])


def form_data(**fields: Any) -> dict[str, Any]:
    data = {"slug": "s", "title": "S", "handler": "parrot", "enabled": "on", "access": "public"}
    return {**data, "concurrency_limit": "10", "time_limit": "", "description": "", **fields}


GREETER = {"handler": "greeter", "option-greeting": "Hi", "option-pace": "1.5", "option-title": "Sir"}


def errors(response: Any) -> dict[str, list[str]]:
    return response.context["adminform"].form.errors


def test_adding_offers_registered_handlers_only(admin: Client) -> None:
    response = admin.get(reverse("admin:streams_stream_add"))
    offered = [value for value, _ in response.context["adminform"].form.fields["handler"].choices]
    assert offered == ["parrot", "greeter"]

    refused = admin.post(reverse("admin:streams_stream_add"), form_data(handler="os.system"))
    assert "handler" in errors(refused)
    admin.post(reverse("admin:streams_stream_add"), form_data())
    assert Stream.objects.get().handler == "parrot"


def test_options_are_typed_fields_with_their_current_values(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter", options={"greeting": "Hey"})
    page = admin.get(change_url(stream)).content.decode()
    assert 'name="option-greeting" value="Hey"' in page
    assert 'name="option-pace" value="1.0"' in page
    assert 'type="checkbox" name="option-polite"' in page
    assert "Options of the handler" in page


def test_options_are_saved_beside_fields_of_the_same_name(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter")
    response = admin.post(change_url(stream), form_data(title="New", **GREETER))
    assert response.status_code == 302
    stream.refresh_from_db()
    assert stream.title == "New"
    assert stream.options == {"greeting": "Hi", "pace": "1.5", "polite": False, "title": "Sir"}


def test_bad_options_are_refused_on_their_fields(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter", options={"greeting": "Hey"})
    response = admin.post(change_url(stream), form_data(**{**GREETER, "option-pace": "-1", "option-greeting": ""}))
    assert set(errors(response)) == {"option-pace", "option-greeting"}
    assert [len(messages) for messages in errors(response).values()] == [1, 1]
    stream.refresh_from_db()
    assert stream.options == {"greeting": "Hey"}


def test_rules_of_the_options_form_itself_are_asked(admin: Client, handlers: Registry) -> None:
    class Strict(handlers.get("greeter").options):  # type: ignore[misc]
        def clean_greeting(self) -> str:
            raise ValidationError("Too loud.")

    handlers.register("strict", print, modality="video", options=Strict)
    stream = Stream.objects.create(slug="s", title="S", handler="strict")
    response = admin.post(change_url(stream), form_data(**{**GREETER, "handler": "strict"}))
    assert errors(response) == {"option-greeting": ["Too loud."]}


def test_another_handler_starts_with_its_own_options(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter", options={"greeting": "Hey"})
    admin.post(change_url(stream), form_data(**{**GREETER, "handler": "parrot"}))
    stream.refresh_from_db()
    assert (stream.handler, stream.options) == ("parrot", {})


def test_a_handler_gone_from_the_code_is_shown_and_kept(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="gone", options={"greeting": "Hey"})
    assert "gone (not in code any more)" in admin.get(change_url(stream)).content.decode()
    assert "gone – missing" in admin.get(reverse("admin:streams_stream_changelist")).content.decode()

    admin.post(change_url(stream), form_data(handler="gone", title="Renamed"))
    stream.refresh_from_db()
    assert (stream.title, stream.handler, stream.options) == ("Renamed", "gone", {"greeting": "Hey"})


def test_the_list_filters_searches_and_links_to_the_page(admin: Client) -> None:
    Stream.objects.create(slug="one", title="First", handler="parrot")
    Stream.objects.create(slug="two", title="Second", handler="greeter", enabled=False)
    changelist = reverse("admin:streams_stream_changelist")
    assert 'href="/streams/one/"' in admin.get(changelist).content.decode()
    for query in ({"q": "sec"}, {"enabled__exact": "0"}, {"handler": "greeter"}):
        found = admin.get(changelist, query).context["cl"].queryset
        assert [stream.slug for stream in found] == ["two"]


def test_actions_switch_streams_off_and_on(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="parrot")
    for action, enabled in (("disable", False), ("enable", True)):
        admin.post(reverse("admin:streams_stream_changelist"), {"action": action, "_selected_action": [stream.pk]})
        stream.refresh_from_db()
        assert stream.enabled is enabled


def test_a_group_stream_that_lets_nobody_in_is_pointed_out(admin: Client) -> None:
    group = Group.objects.create(name="singers")
    stream = Stream.objects.create(slug="s", title="S", handler="parrot")
    data = form_data(access="group", groups=[group.pk])
    assert "Nobody but superusers" in admin.post(change_url(stream), data, follow=True).content.decode()

    group.permissions.add(Permission.objects.get(codename="use_stream"))
    assert "Nobody but superusers" not in admin.post(change_url(stream), data, follow=True).content.decode()


def test_view_permission_alone_can_look_but_not_change(handlers: Registry, client: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter")
    viewer = User.objects.create(username="viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_stream"))
    client.force_login(viewer)
    assert client.get(change_url(stream)).status_code == 200
    assert client.post(change_url(stream), form_data(**GREETER)).status_code == 403


def test_options_are_labelled_as_their_form_says(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter")
    page = admin.get(change_url(stream)).content.decode()
    assert "Greeting:" in page and "Option-greeting" not in page


def test_the_list_shows_limits_and_leads_to_the_page(admin: Client) -> None:
    Stream.objects.create(slug="s", title="S", handler="greeter", concurrency_limit=3, time_limit=90)
    page = admin.get("/admin/streams/stream/").content.decode()
    assert "3 at once, 90 s" in page and 'href="/streams/s/"' in page


# -- turn taking --------------------------------------------------------------------------------------------------


def turn_taking_fieldset(response: Any) -> Any:
    found = [fieldset for fieldset in response.context["adminform"] if fieldset.name == "Turn taking"]
    return found[0] if found else None


def test_turn_taking_is_for_handlers_that_take_turns(admin: Client, handlers: Registry) -> None:
    handlers.register("flat", lambda picture: picture, modality="video")
    for handler, shown in (("parrot", True), ("flat", False), ("gone", False)):
        stream = Stream.objects.create(slug=handler, title="S", handler=handler)
        assert (turn_taking_fieldset(admin.get(change_url(stream))) is not None) is shown
    assert turn_taking_fieldset(admin.get(reverse("admin:streams_stream_add"))) is None


def test_turn_taking_is_saved_shown_and_emptied_again(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="parrot")
    page = admin.get(change_url(stream))
    assert turn_taking_fieldset(page).is_collapsible
    assert 'name="turn-longest_wait"' in page.content.decode()
    assert f'placeholder="{AlgoOptions().longest_wait}"' in page.content.decode()

    values = {"turn-longest_wait": "1.5", "turn-min_words": "2", "turn-can_interrupt": "False", "turn-threshold": ""}
    assert admin.post(change_url(stream), form_data(**values)).status_code == 302
    stream.refresh_from_db()
    assert stream.turn_taking == {"longest_wait": 1.5, "min_words": 2, "can_interrupt": False}

    page = admin.get(change_url(stream))
    assert not turn_taking_fieldset(page).is_collapsible
    assert 'name="turn-longest_wait" value="1.5"' in page.content.decode()
    assert '<option value="False" selected>No</option>' in page.content.decode()

    admin.post(change_url(stream), form_data(**dict.fromkeys(values, "")))
    stream.refresh_from_db()
    assert stream.turn_taking == {}


def test_bad_turn_taking_is_refused_in_words_beside_good_options(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter", turn_taking={"pre_roll": 0.5})
    given = {"turn-shortest_wait": "2.5", "turn-threshold": "7", "turn-end_of_utterance": "dice"}
    response = admin.post(change_url(stream), form_data(**GREETER, **given))
    assert set(errors(response)) == set(given)
    assert [len(messages) for messages in errors(response).values()] == [1, 1, 1]
    page = response.content.decode()
    assert "The shortest wait, 2.5 s, must not be longer than the longest wait, " in page
    assert "Between 0.05 and 0.95." in page
    assert not turn_taking_fieldset(response).is_collapsible
    stream.refresh_from_db()
    assert (stream.turn_taking, stream.options) == ({"pre_roll": 0.5}, {})


def test_another_handler_starts_with_its_own_turn_taking(admin: Client) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="greeter", turn_taking={"pre_roll": 0.5})
    admin.post(change_url(stream), form_data(**{**GREETER, "handler": "parrot", "turn-pre_roll": "0.5"}))
    stream.refresh_from_db()
    assert (stream.handler, stream.turn_taking) == ("parrot", {})


@pytest.mark.parametrize("stored", [["nonsense"], {"pre_roll": "much", "unknown": 1}])
def test_bad_turn_taking_that_is_stored_can_be_mended(admin: Client, stored: Any) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="parrot", turn_taking=stored)
    assert admin.get(change_url(stream)).status_code == 200
    admin.post(change_url(stream), form_data(**{"turn-pre_roll": "0.4"}))
    stream.refresh_from_db()
    assert stream.turn_taking == {"pre_roll": 0.4}


COTURN = {"BACKEND": "turn.providers.coturn.Coturn", "OPTIONS": {"urls": "turn:a", "secret": "s"}}


def provider_choices(admin: Client, stream: Stream) -> list[tuple[str, str]]:
    return list(admin.get(change_url(stream)).context["adminform"].form.fields["turn_provider"].choices)


def test_the_turn_provider_is_chosen_among_those_of_the_settings(
    admin: Client, handlers: Registry, settings: Settings
) -> None:
    stream = Stream.objects.create(slug="s", title="S", handler="parrot")
    assert provider_choices(admin, stream) == [("", "None")]
    settings.TURN_PROVIDERS = {"office": COTURN, "default": COTURN}
    assert provider_choices(admin, stream) == [("", "The site's default"), ("office", "office")]
    admin.post(change_url(stream), form_data(turn_provider="office"))
    stream.refresh_from_db()
    assert stream.turn_provider == "office"
    refused = admin.post(change_url(stream), form_data(turn_provider="smoke"))
    assert "turn_provider" in errors(refused)

    handlers.register("own", ReplyOnPause(print), rtc_configuration={"iceServers": []})
    own = Stream.objects.create(slug="own", title="Own", handler="own")
    assert provider_choices(admin, own) == [("", "As in the code"), ("default", "default"), ("office", "office")]


def test_a_turn_provider_gone_from_the_settings_is_shown_and_kept(admin: Client, settings: Settings) -> None:
    settings.TURN_PROVIDERS = {"default": COTURN}
    stream = Stream.objects.create(slug="s", title="S", handler="parrot", turn_provider="office")
    assert ("office", "office (not in settings any more)") in provider_choices(admin, stream)
    admin.post(change_url(stream), form_data(turn_provider="office", title="Renamed"))
    stream.refresh_from_db()
    assert (stream.title, stream.turn_provider) == ("Renamed", "office")
