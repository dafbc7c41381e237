"""A real-time media library: handlers, turn taking, sessions and transports. Knows nothing of Django."""

from streams.media.audio import audio_to_float32, audio_to_int16
from streams.media.audio_files import (
    aggregate_bytes_to_16bit,
    async_aggregate_bytes_to_16bit,
    audio_to_bytes,
    audio_to_file,
)
from streams.media.context import Context, Warning, get_current_context
from streams.media.determine_pause import AppState
from streams.media.errors import WebRTCError
from streams.media.handlers import AsyncStreamHandler, Handler, StreamHandler, StreamHandlerBase, wait_for_item
from streams.media.interruptions import InterruptionOptions
from streams.media.messages import create_message
from streams.media.outputs import AdditionalOutputs, CloseStream, WebRTCData
from streams.media.pauses import AlgoOptions
from streams.media.reply_on_pause import ReplyOnPause
from streams.media.reply_on_stop_words import ReplyOnStopWords, ReplyOnStopWordsState
from streams.media.replying import AudioGenerator
from streams.media.smart_turn import EndOfUtteranceModel, SmartTurn
from streams.media.speech.cartesia import CartesiaTTSOptions
from streams.media.speech.engines import register_engine
from streams.media.speech.espeak import EspeakTTSOptions
from streams.media.speech.kokoro import KokoroTTSOptions
from streams.media.speech.pico import PicoTTSOptions
from streams.media.speech.recognition import SpeechToText, Transcriber, get_stt_model, recognise
from streams.media.speech.synthesis import SynthesisFailed, Synthesizer, TextToSpeech, get_tts_model
from streams.media.stop_words import StopWords
from streams.media.timing import ReplyTiming, get_reply_timing
from streams.media.vad import AudioChunk, PauseDetectionModel, SileroVad, SileroVadOptions, get_silero_model
from streams.media.video import AsyncAudioVideoStreamHandler, AudioVideoStreamHandler, VideoStreamHandler
from streams.media.walkie_talkie import WalkieTalkie

__all__ = [
    "AdditionalOutputs",
    "AlgoOptions",
    "AppState",
    "AsyncAudioVideoStreamHandler",
    "AsyncStreamHandler",
    "AudioChunk",
    "AudioGenerator",
    "AudioVideoStreamHandler",
    "CartesiaTTSOptions",
    "CloseStream",
    "Context",
    "EndOfUtteranceModel",
    "EspeakTTSOptions",
    "Handler",
    "InterruptionOptions",
    "KokoroTTSOptions",
    "PauseDetectionModel",
    "PicoTTSOptions",
    "ReplyOnPause",
    "ReplyOnStopWords",
    "ReplyOnStopWordsState",
    "ReplyTiming",
    "SileroVad",
    "SileroVadOptions",
    "SmartTurn",
    "SpeechToText",
    "StopWords",
    "StreamHandler",
    "StreamHandlerBase",
    "SynthesisFailed",
    "Synthesizer",
    "TextToSpeech",
    "Transcriber",
    "VideoStreamHandler",
    "WalkieTalkie",
    "Warning",
    "WebRTCData",
    "WebRTCError",
    "aggregate_bytes_to_16bit",
    "async_aggregate_bytes_to_16bit",
    "audio_to_bytes",
    "audio_to_file",
    "audio_to_float32",
    "audio_to_int16",
    "create_message",
    "get_current_context",
    "get_reply_timing",
    "get_silero_model",
    "get_stt_model",
    "get_tts_model",
    "recognise",
    "register_engine",
    "wait_for_item",
]
