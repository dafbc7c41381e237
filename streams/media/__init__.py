"""A real-time media library: handlers, turn taking, sessions and transports. Knows nothing of Django."""

from streams.media.audio import audio_to_float32, audio_to_int16
from streams.media.context import Context, get_current_context
from streams.media.errors import WebRTCError
from streams.media.handlers import AsyncStreamHandler, StreamHandler, StreamHandlerBase, wait_for_item
from streams.media.outputs import AdditionalOutputs, CloseStream
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.vad import SileroVadOptions, get_silero_model

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AsyncStreamHandler",
    "CloseStream",
    "Context",
    "ReplyOnPause",
    "SileroVadOptions",
    "StreamHandler",
    "StreamHandlerBase",
    "WebRTCError",
    "audio_to_float32",
    "audio_to_int16",
    "get_current_context",
    "get_silero_model",
    "wait_for_item",
]
