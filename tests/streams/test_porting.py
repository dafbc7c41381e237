"""Code written for FastRTC, with its imports changed."""

import numpy as np
import pytest
from django import forms
from django.core.exceptions import ImproperlyConfigured

from streams.media import ReplyOnPause
from streams.media.errors import UnknownConnection
from streams.porting import Stream
from streams.registry import Registry


def flip_vertically(image: np.ndarray) -> np.ndarray:
    return np.flip(image, axis=0)


class Threshold(forms.Form):
    conf_threshold = forms.FloatField(initial=0.3, min_value=0, max_value=1)


def test_a_stream_registers_its_handler(handlers: Registry) -> None:
    Stream(flip_vertically, modality="video", mode="send-receive", additional_inputs=Threshold, time_limit=60)
    registration = handlers.get("flip_vertically")
    assert registration is not None
    assert (registration.modality, registration.time_limit) == ("video", 60)
    assert registration.initial_inputs() == [0.3]


def test_the_title_names_it(handlers: Registry) -> None:
    Stream(
        ReplyOnPause(print),
        modality="audio",
        ui_args={"title": "Talk to Ada", "subtitle": "She listens", "icon": "a.svg"},
    )
    registration = handlers.get("talk-to-ada")
    assert registration is not None
    assert (registration.title, registration.description) == ("Talk to Ada", "She listens")


def test_the_name_of_what_is_wrapped(handlers: Registry) -> None:
    assert Stream(ReplyOnPause(flip_vertically), modality="audio").name == "flip_vertically"


async def test_unknown_sessions_are_refused(handlers: Registry) -> None:
    stream = Stream(flip_vertically)
    with pytest.raises(UnknownConnection):
        stream.set_input("nobody", 1)
    with pytest.raises(UnknownConnection):
        await stream.fetch_latest_output("nobody")


def test_ice_servers_in_code(handlers: Registry) -> None:
    Stream(flip_vertically, rtc_configuration=dict, server_rtc_configuration={"iceServers": []})
    registration = handlers.get("flip_vertically")
    assert registration is not None
    assert (registration.rtc_configuration, registration.server_rtc_configuration) == (dict, {"iceServers": []})
    with pytest.raises(ImproperlyConfigured, match="rtc_configuration must be a dictionary or a function"):
        Stream(flip_vertically, name="other", rtc_configuration="turn:a")  # type: ignore[arg-type]
