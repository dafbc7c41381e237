"""Who is talking: the context of the session in which a handler runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.media.messages import Message, message


@dataclass(frozen=True)
class Context:
    """What the running handler may know of its session."""

    webrtc_id: str
    stream: str = ""
    transport: str = ""
    user: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    caller: Mapping[str, str] = field(default_factory=dict)
    """What the transport knows of the caller: of a telephone call its numbers and parameters."""


class Mailer(Protocol):
    """The part of a session that ``Warning`` needs."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    def send_message(self, message: Message) -> None: ...


current_mailer: ContextVar[Mailer] = ContextVar("streams.media.mailer")
current_context: ContextVar[Context] = ContextVar("streams.media.context")


def get_current_context() -> Context:
    """Return the context of the running handler. Raises RuntimeError outside one."""
    try:
        return current_context.get()
    except LookupError:
        raise RuntimeError("No context found: get_current_context() works only inside a running handler.") from None


def Warning(text: str) -> None:
    """Show ``text`` to the client of the running handler. Callable from the handler's threads too."""
    get_current_context()
    mailer = current_mailer.get()
    mailer.loop.call_soon_threadsafe(mailer.send_message, message("warning", text))
