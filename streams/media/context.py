"""Who is talking: the context of the session in which a handler runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Context:
    """What the running handler may know of its session."""

    webrtc_id: str
    stream: str = ""
    transport: str = ""
    user: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


current_context: ContextVar[Context] = ContextVar("streams.media.context")


def get_current_context() -> Context:
    """Return the context of the running handler. Raises RuntimeError outside one."""
    try:
        return current_context.get()
    except LookupError:
        raise RuntimeError("No context found: get_current_context() works only inside a running handler.") from None
