"""The handlers that this site ships."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
from django import forms

from streams.media import AsyncStreamHandler, ReplyOnPause, audio_to_float32, audio_to_int16, get_current_context
from streams.media.audio import Audio
from streams.registry import register


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


register(
    "echo",
    ReplyOnPause(echo),
    title="Echo",
    description="Say something and pause: it is said back to you.",
    options=EchoOptions,
)
register(
    "echo-live",
    LiveEcho(),
    title="Live echo",
    description="Hear yourself at once, as late as the network and no later. Use headphones.",
)
