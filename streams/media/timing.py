"""When things happened around one reply, as data: for the page, for the application, and for the handler itself."""

from __future__ import annotations

import dataclasses
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReplyTiming:
    """One reply and the utterance it answers.

    Moments are seconds of the session's *media clock*, which counts the audio that has been received; None has not
    happened. A reply that answers no utterance (start-up, trigger) has no speech times.
    """

    number: int
    decided: float
    """When the pause was decided and the reply begun."""
    speech_began: float | None = None
    speech_ended: float | None = None
    completeness: float | None = None
    """How complete the utterance sounded, 0 to 1; None when silence alone decided."""
    continues: bool = False
    """Whether the utterance begins with the one before, which had been answered too soon."""
    first_item: float | None = None
    """When the reply function yielded its first audio."""
    first_packet: float | None = None
    """When the first of that audio left for the client."""
    heard: float | None = None
    """When it reached the client, by the transport's estimate of the way (the client's jitter buffer is not in it)."""
    ended: float | None = None
    generated_seconds: float = 0.0
    """Audio that the reply has yielded."""
    heard_seconds: float = 0.0
    """Audio of it that the client was given to hear; what was held or dropped is not in it."""
    interrupted: bool = False
    """Whether the user spoke over it, and it was cut short."""
    steps: dict[str, float] = field(default_factory=dict)
    """Moments that the reply function has noted, by names of its own."""
    previous: ReplyTiming | None = field(default=None, repr=False)
    """The reply before, which is over."""

    def as_data(self) -> dict[str, Any]:
        """Everything but ``previous``, in milliseconds' precision, as JSON can hold it."""
        values = {name.name: getattr(self, name.name) for name in dataclasses.fields(self) if name.name != "previous"}
        return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 3) if isinstance(value, float) else value


current_timing: ContextVar[ReplyTiming] = ContextVar("streams.media.timing")


def get_reply_timing() -> ReplyTiming:
    """Return the timing of the running reply. Raises RuntimeError outside one.

    ``get_reply_timing().previous`` tells how much of the last answer the user has heard, and whether they cut it short.
    """
    try:
        return current_timing.get()
    except LookupError:
        raise RuntimeError("No reply is running: get_reply_timing() works only inside a reply function.") from None
