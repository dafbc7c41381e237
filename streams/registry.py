"""Which handlers this site has. Filled by the `stream_handlers` module of every installed app."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import TextChoices
from django.forms import BaseForm


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


@dataclass(frozen=True)
class Registration:
    """What the code says about a handler. `access` and the limits are only defaults for its first Stream."""

    name: str
    handler: Any  # a prototype with copy(), or a plain function
    modality: str = Modality.AUDIO
    mode: str = Mode.SEND_RECEIVE
    title: str = ""
    description: str = ""
    inputs: type[BaseForm] | None = None
    outputs: Any = None
    options: type[BaseForm] | None = None
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
        if not callable(self.handler) and not hasattr(self.handler, "copy"):
            yield f"{self.handler!r} is neither a handler nor a function."
        for field, choices in (("modality", Modality), ("mode", Mode), ("access", Access)):
            if getattr(self, field) not in choices.values:
                yield f"{field} is {getattr(self, field)!r} but must be one of {', '.join(choices.values)}."
        for field in ("inputs", "options"):
            form = getattr(self, field)
            if form is not None and not (isinstance(form, type) and issubclass(form, BaseForm)):
                yield f"{field} must be a django.forms.Form class."
        for field in ("concurrency_limit", "time_limit"):
            limit = getattr(self, field)
            if limit is not None and limit <= 0:
                yield f"{field} must be greater than zero, or None for no limit."

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
