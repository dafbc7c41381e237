"""The handlers that this site ships."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import numpy as np
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from streams.assistant import GREETING, MOONSHINE, PICO, SYSTEM_PROMPT, Assistant
from streams.fields import RecogniserField, VoiceField
from streams.media import (
    AdditionalOutputs,
    AsyncAudioVideoStreamHandler,
    AsyncStreamHandler,
    ReplyOnPause,
    VideoStreamHandler,
    audio_to_float32,
    audio_to_int16,
    get_current_context,
)
from streams.media.audio import Audio
from streams.media.outputs import Picture
from streams.media.speech.pico import LANGUAGES
from streams.pictures import digits, edges
from streams.registry import register
from streams.responders import OpenAIResponder, Responder, RuleResponder
from streams.spoken_commands import RadioCommands, StopWordCommands, obey, phrases_in

# -- echo ---------------------------------------------------------------------------------------------------------


class EchoOptions(forms.Form):
    gain = forms.FloatField(
        initial=1.0, min_value=0.1, max_value=8.0, help_text="How much louder the answer is than what was said."
    )


def echo(audio: Audio) -> Iterator[Audio]:
    """Say back what was said."""
    rate, samples = audio
    gain = get_current_context().options["gain"]
    yield rate, audio_to_int16(audio_to_float32(samples) * np.float32(gain))


class LiveEcho(AsyncStreamHandler):
    """Send each frame straight back."""

    def __init__(self) -> None:
        super().__init__(output_sample_rate=48000)
        self._frames: asyncio.Queue[Audio] = asyncio.Queue(maxsize=5)

    def copy(self) -> LiveEcho:
        return LiveEcho()

    async def receive(self, frame: Audio) -> None:
        await self._frames.put(frame)

    async def emit(self) -> Audio:
        return await self._frames.get()


# -- assistant ----------------------------------------------------------------------------------------------------


class AssistantOptions(forms.Form):
    recogniser = RecogniserField(initial=MOONSHINE, help_text="What makes text of what is said.")
    voice = VoiceField(initial=PICO, help_text="What says the answers.")
    language = forms.ChoiceField(
        choices=[(language, language) for language in LANGUAGES],
        initial="en-US",
        help_text="Of the voice Pico. The shipped recognisers understand English.",
    )
    greeting = forms.CharField(
        required=False,
        initial=GREETING,
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="What a visitor hears first. May be empty.",
    )
    system_prompt = forms.CharField(
        initial=SYSTEM_PROMPT,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField"}),
        help_text="What a language model is told before the conversation. Without ASSISTANT_URL simple rules answer.",
    )


def responder() -> Responder:
    """What says the answers: the endpoint of the settings, or else rules. Raises ImproperlyConfigured."""
    if not settings.ASSISTANT_URL:
        return RuleResponder()
    try:
        return OpenAIResponder(settings.ASSISTANT_URL, settings.ASSISTANT_MODEL, settings.ASSISTANT_API_KEY)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None


# -- stop-words and walkie-talkie: streams that words govern -----------------------------------------------------


def phrases_field(initial: str) -> forms.CharField:
    return forms.CharField(
        initial=initial,
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="One or several, separated by commas. Two common words are understood best.",
    )


class CommandOptions(forms.Form):
    phrases: forms.Field
    tolerance = forms.IntegerField(
        initial=0,
        min_value=0,
        max_value=2,
        help_text="Letters of each word that may be misspelt. More finds more, also where it was not said.",
    )
    recogniser = RecogniserField(initial=MOONSHINE, help_text="What makes text of what is said.")
    voice = VoiceField(initial=PICO, help_text="What says the answers.")

    def clean_phrases(self) -> str:
        phrases: str = self.cleaned_data["phrases"]
        try:
            found = phrases_in({"phrases": phrases}).phrases
        except ValueError:
            found = []
        if not found:
            raise forms.ValidationError("Each phrase must have a word in it, and there must be one.")
        return phrases


class StopWordOptions(CommandOptions):
    field_order = ("phrases",)
    phrases = phrases_field("listen computer")


class RadioOptions(CommandOptions):
    field_order = ("phrases",)
    phrases = phrases_field("over")


# -- tone: a client that only listens -----------------------------------------------------------------------------


class ToneInputs(forms.Form):
    pitch = forms.IntegerField(initial=440, min_value=50, max_value=4000, label="Pitch (Hz)")
    seconds = forms.IntegerField(initial=10, min_value=1, max_value=60, label="Length (s)")


def tone(pitch: int, seconds: int) -> Iterator[Audio]:
    """Play a tone, a tenth of a second at a time."""
    rate, size = 24000, 2400
    for start in range(0, seconds * rate, size):
        times = np.arange(start, start + size) / rate
        yield rate, (8000 * np.sin(2 * np.pi * pitch * times)).astype(np.int16)


# -- voice-notes: a client that only sends ------------------------------------------------------------------------


def note(audio: Audio) -> AdditionalOutputs:
    """Say in words what each utterance was like."""
    rate, samples = audio
    loudness = 20 * np.log10(max(float(np.sqrt(np.mean(audio_to_float32(samples) ** 2))), 1e-6))
    return AdditionalOutputs(f"{samples.size / rate:.1f} s, {loudness:.0f} dB, at {datetime.now():%H:%M:%S}")


# -- pictures -----------------------------------------------------------------------------------------------------


def flip(picture: Picture) -> Picture:
    """Turn the picture upside down."""
    return np.flip(picture, axis=0)


class FilterInputs(forms.Form):
    strength = forms.FloatField(
        initial=0.5, min_value=0, max_value=1, widget=forms.NumberInput(attrs={"type": "range", "step": "0.05"})
    )
    effect = forms.ChoiceField(choices=[("edges", "Edges"), ("grey", "Grey"), ("warm", "Warm")], initial="edges")


class CameraFilter(VideoStreamHandler):
    """Apply an effect, and count pictures per second."""

    def __init__(self) -> None:
        super().__init__(self.filter, skip_frames=True)
        self._since = time.monotonic()
        self._count = 0

    def copy(self) -> CameraFilter:
        return CameraFilter()

    def filter(self, picture: Picture, strength: float, effect: str) -> Picture | tuple[Picture, AdditionalOutputs]:
        changed = self.apply(picture, strength, effect)
        self._count += 1
        passed = time.monotonic() - self._since
        if passed < 1:
            return changed
        rate = round(self._count / passed, 1)
        self._since, self._count = time.monotonic(), 0
        return changed, AdditionalOutputs(rate)

    @staticmethod
    def apply(picture: Picture, strength: float, effect: str) -> Picture:
        if effect == "edges":
            target = edges(picture)
        elif effect == "grey":
            target = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
        else:
            target = picture * np.array([1.25, 1.0, 0.7])
        return np.clip(picture * (1 - strength) + target * strength, 0, 255).astype(np.uint8)


def clock() -> Iterator[Picture]:
    """Show the time of day in large digits."""
    while True:
        yield digits(f"{datetime.now():%H:%M:%S}", height=360, width=640)


class TalkingHead(AsyncAudioVideoStreamHandler):
    """Hear yourself, and see yourself with a mouth that opens as loud as you speak."""

    def __init__(self) -> None:
        super().__init__(output_sample_rate=48000)
        self._frames: asyncio.Queue[Audio] = asyncio.Queue(maxsize=5)
        self._pictures: asyncio.Queue[Picture] = asyncio.Queue(maxsize=1)
        self._level = 0.0

    def copy(self) -> TalkingHead:
        return TalkingHead()

    async def receive(self, frame: Audio) -> None:
        level = float(np.sqrt(np.mean(audio_to_float32(frame[1]) ** 2)))
        self._level = max(level, 0.8 * self._level)
        await self._frames.put(frame)

    async def emit(self) -> Audio:
        return await self._frames.get()

    async def video_receive(self, frame: Picture) -> None:
        if self._pictures.full():
            self._pictures.get_nowait()
        self._pictures.put_nowait(frame)

    async def video_emit(self) -> Picture:
        picture = (await self._pictures.get()).copy()
        height, width = picture.shape[:2]
        opening = min(int(self._level * 4 * height), height // 3)
        top, left = height * 2 // 3, width // 3
        picture[top : top + max(opening, 4), left : width - left] = (200, 30, 60)
        return picture


register(
    "echo",
    ReplyOnPause(echo),
    title="Echo",
    description="Say something and pause: it is said back to you.",
    options=EchoOptions,
)
register(
    "assistant",
    Assistant(responder),
    outputs="chat",
    title="Assistant",
    description="Talk with the site: ask it the time, a sum, or what it can do. Speak over it to interrupt.",
    options=AssistantOptions,
)
register(
    "stop-words",
    StopWordCommands(obey, ["listen computer"], output_sample_rate=16000),
    outputs="chat",
    title="Stop words",
    description="It answers only what follows its phrase: “Listen computer, what time is it?”",
    options=StopWordOptions,
)
register(
    "walkie-talkie",
    RadioCommands(obey, output_sample_rate=16000),
    outputs="chat",
    title="Walkie-talkie",
    description="Take your time and pause as you like: it answers when you say “over”.",
    options=RadioOptions,
)
register(
    "echo-live",
    LiveEcho(),
    title="Live echo",
    description="Hear yourself at once, as late as the network and no later. Use headphones.",
)
register(
    "tone",
    tone,
    mode="receive",
    inputs=ToneInputs,
    title="Tone",
    description="Only listen: a tone of the pitch you choose.",
)
register(
    "voice-notes",
    ReplyOnPause(note),
    mode="send",
    outputs="text",
    title="Voice notes",
    description="Only speak: each utterance is noted down, how long and how loud it was.",
)
register("flip", flip, modality="video", title="Flip", description="Your camera, upside down.")
register(
    "camera-filter",
    CameraFilter(),
    modality="video",
    inputs=FilterInputs,
    outputs="number",
    title="Camera filter",
    description="Your camera with an effect, and how many pictures a second it manages.",
)
register(
    "clock",
    VideoStreamHandler(clock, fps=10),
    modality="video",
    mode="receive",
    title="Clock",
    description="Only watch: the time of day.",
)
register(
    "talking-head",
    TalkingHead(),
    modality="audio-video",
    title="Talking head",
    description="Your camera and your voice, sent straight back. Use headphones.",
)
