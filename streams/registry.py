"""Which handlers this site has. Filled by the `stream_handlers` module of every installed app."""

import dataclasses
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import TextChoices
from django.forms import BaseForm

from streams.media.adapt import as_async, as_handler
from streams.media.handlers import Handler


class Modality(TextChoices):
    AUDIO = "audio"
    VIDEO = "video"
    AUDIO_VIDEO = "audio-video"


class Mode(TextChoices):
    SEND_RECEIVE = "send-receive"
    SEND = "send"
    RECEIVE = "receive"


class Access(TextChoices):
    PUBLIC = "public", "Everybody"
    LOGIN = "login", "Signed-in users"
    STAFF = "staff", "Staff"
    GROUP = "group", "Chosen groups"


RTCConfiguration = Mapping[str, Any] | Callable[[], Any]

OUTPUTS = ("text", "number", "json", "chat", "image")


@dataclasses.dataclass(frozen=True)
class Registration:
    """What the code says about a handler. `access` and the limits are only defaults for its first Stream.

    inputs: a Form; visitors fill it, and its cleaned values reach the handler in field order.
    outputs: how the page shows what the handler publishes, one of OUTPUTS or a list of them, one per value.
    options: a Form that an administrator fills per stream.
    rtc_configuration, server_rtc_configuration: what RTCPeerConnection takes, for visitors and for this server's end:
        a dict, or a function, sync or async, that returns one and is called for each connection. None: the site's.
    track_constraints, rtp_params: what the page gives to getUserMedia and RTCRtpSender.setParameters.
    video_bitrate: lowest and highest bit rate of the video that is sent, in bits per second.
    """

    name: str
    handler: Any  # a prototype with copy(), or a plain function
    modality: str = Modality.AUDIO
    mode: str = Mode.SEND_RECEIVE
    title: str = ""
    description: str = ""
    inputs: type[BaseForm] | None = None
    outputs: str | Sequence[str] | None = None
    options: type[BaseForm] | None = None
    # These two may hold a password.
    rtc_configuration: RTCConfiguration | None = dataclasses.field(default=None, repr=False)
    server_rtc_configuration: RTCConfiguration | None = dataclasses.field(default=None, repr=False)
    track_constraints: dict[str, Any] | None = None
    rtp_params: dict[str, Any] | None = None
    video_bitrate: tuple[int, int] | None = None
    allow_extra_tracks: bool = False
    access: str = Access.PUBLIC
    concurrency_limit: int | None = 10
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ImproperlyConfigured(f"Stream handler {self.name!r}: {problem}")

    def _problems(self) -> Iterator[str]:
        if not re.fullmatch(r"[-\w]{1,50}", self.name, re.ASCII):
            yield "a name is up to 50 letters, digits, hyphens and underscores."
        if isinstance(self.handler, type):
            yield f"register an instance, {self.handler.__name__}(…), not the class."
        for field, choices in (("modality", Modality), ("mode", Mode), ("access", Access)):
            if getattr(self, field) not in choices.values:
                yield f"{field} is {getattr(self, field)!r} but must be one of {', '.join(choices.values)}."
        for field in ("inputs", "options"):
            form = getattr(self, field)
            if form is not None and not (isinstance(form, type) and issubclass(form, BaseForm)):
                yield f"{field} must be a django.forms.Form class."
        try:
            as_handler(self.handler, str(self.modality), str(self.mode))
        except TypeError as error:
            yield str(error)
        for output in self.output_kinds:
            if output not in OUTPUTS:
                yield f"an output is {output!r} but must be one of {', '.join(OUTPUTS)}."
        for field in ("rtc_configuration", "server_rtc_configuration"):
            given = getattr(self, field)
            if given is not None and not isinstance(given, Mapping) and not callable(given):
                yield f"{field} must be a dictionary or a function that returns one, not {type(given).__name__}."
        for field in ("concurrency_limit", "time_limit"):
            limit = getattr(self, field)
            if limit is not None and limit <= 0:
                yield f"{field} must be greater than zero, or None for no limit."

    @cached_property
    def prototype(self) -> Handler:
        """What is copied for each session."""
        return as_handler(self.handler, str(self.modality), str(self.mode))

    @cached_property
    def client_ice(self) -> Mapping[str, Any] | Callable[[], Awaitable[Any]] | None:
        """``rtc_configuration``, fit for the event loop."""
        return as_async(self.rtc_configuration) if callable(self.rtc_configuration) else self.rtc_configuration

    @cached_property
    def server_ice(self) -> Mapping[str, Any] | Callable[[], Awaitable[Any]] | None:
        """``server_rtc_configuration``, fit for the event loop."""
        given = self.server_rtc_configuration
        return as_async(given) if callable(given) else given

    @property
    def output_kinds(self) -> list[str]:
        return [self.outputs] if isinstance(self.outputs, str) else list(self.outputs or ())

    def initial_inputs(self) -> list[Any] | None:
        """The handler's arguments until the visitor sends others; None where it takes no inputs."""
        if self.inputs is None:
            return None
        form = self.inputs()
        return [field.to_python(form.get_initial_for_field(field, name)) for name, field in form.fields.items()]

    def stream_defaults(self) -> dict[str, Any]:
        """Field values of the Stream that migrate creates for this handler."""
        return {
            "title": self.title,
            "description": self.description,
            "access": self.access,
            "concurrency_limit": self.concurrency_limit,
            "time_limit": self.time_limit,
        }

    def dump_options(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Cleaned option values as JSON can hold them."""
        fields = self.options().fields if self.options else {}
        return {name: field.prepare_value(cleaned[name]) for name, field in fields.items() if name in cleaned}

    def load_options(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Python values: the form's initial ones, and over them the stored ones that its fields still accept."""
        form = self.options() if self.options else None
        fields = form.fields if form else {}
        values = {name: form.get_initial_for_field(field, name) for name, field in fields.items()} if form else {}
        for name in fields.keys() & stored.keys():
            try:
                values[name] = fields[name].to_python(stored[name])
            except ValidationError:
                continue
        return values


class Registry:
    # The attribute's name, and that no __len__ makes the registry falsy, is what autodiscover_modules wants.
    _registry: dict[str, Registration]

    def __init__(self) -> None:
        self._registry = {}

    def register(self, name: str, handler: Any, **settings: Any) -> None:
        """Offer a handler to the site's streams; the keyword arguments are Registration's fields."""
        if name in self._registry:
            raise ImproperlyConfigured(f"Two stream handlers are registered as {name!r}. Give one another name.")
        self._registry[name] = Registration(name, handler, **{"title": default_title(name), **settings})

    def get(self, name: str) -> Registration | None:
        return self._registry.get(name)

    def all(self) -> list[Registration]:
        return list(self._registry.values())

    def __iter__(self) -> Iterator[Registration]:
        return iter(self.all())

    def __contains__(self, name: str) -> bool:
        return name in self._registry


def default_title(name: str) -> str:
    return re.sub(r"[-_]+", " ", name).strip().capitalize() or name


registry = Registry()
register = registry.register
