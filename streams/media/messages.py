"""Messages from the server to the client: ``{"type": …, "data": …}``, the same on every transport."""

from __future__ import annotations

import json
from typing import Any, Literal, TypedDict

MessageType = Literal[
    "send_input", "fetch_output", "stopword", "error", "warning", "log", "end_stream", "update_connection", "timing"
]
LogEvent = Literal["started_talking", "pause_detected", "response_starting", "response_finished", "response_resumed"]


class Message(TypedDict):
    type: MessageType
    data: Any


def message(type: MessageType, data: Any = "") -> Message:
    return {"type": type, "data": data}


def log(event: LogEvent) -> Message:
    return message("log", event)


def encode(message: Message) -> str:
    return json.dumps(message, separators=(",", ":"))


def create_message(type: MessageType, data: Any = "") -> str:
    """A message as text, which ``send_message`` takes too (FastRTC's way)."""
    return encode(message(type, data))


def understood(text: Message | str) -> Message:
    """Take a message or its text."""
    return json.loads(text) if isinstance(text, str) else text
