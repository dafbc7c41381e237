from __future__ import annotations

import asyncio
import base64
import re
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from streams.media.audio import Samples, resample, to_mono
from streams.media.recordings import UnreadableRecording, read_wav
from streams.media.speech.engines import EngineUnavailable
from streams.media.speech.synthesis import SynthesisFailed, get_tts_model
from telephony.media_streams import RATE
from telephony.simulator import Caller, CallFailed, Happening, Misbehaved, ProviderSide, TelnyxSide, TwilioSide

BREATH = 0.5
"""Seconds between the answer and the caller's first word."""
ANSWERED = 0.2
"""Seconds of sound that are an answer."""
OVER = 1.5
"""Seconds of silence after which an answer is over."""


@dataclass(frozen=True)
class Script:
    """What the caller does. Times in seconds."""

    lines: list[Samples]
    keys: list[tuple[str, float]]
    barge_in: float | None
    seconds: float


class Command(BaseCommand):
    help = (
        "Calls a stream of a running site as a telephone provider does: a signed webhook, its TwiML, the media socket "
        "in real time. Prints what happens, and when. Without SLUG the site's own webhook is called, which goes by "
        "--number."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", nargs="?", metavar="SLUG", help="the stream (default: whom --number belongs to)")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="the site (default: %(default)s)")
        parser.add_argument("--number", default="+4930200200", metavar="+49…", help="the number that is called")
        parser.add_argument("--from", dest="caller", default="+4930100100", metavar="+49…", help="whose call it is")
        words = parser.add_mutually_exclusive_group()
        words.add_argument("--say", action="append", metavar="TEXT", help="say this; again: when that was answered")
        words.add_argument("--wav", action="append", type=Path, metavar="FILE", help="the same with recordings")
        parser.add_argument("--key", action="append", default=[], metavar="5@3.0", help="press 5 after 3 seconds")
        parser.add_argument("--barge-in", type=float, metavar="S", help="speak over an answer after S seconds of it")
        parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="hang up after S seconds at most")
        parser.add_argument("--record", type=Path, metavar="OUT.wav", help="left what was said, right what was heard")
        parser.add_argument("--calls", type=int, default=1, metavar="N", help="that many at the same time")
        parser.add_argument("--provider", choices=["twilio", "telnyx"], default="twilio")
        parser.add_argument("--telnyx-key", metavar="BASE64", help="what to sign with instead of Telnyx")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["slug"] and options["number"] == "+4930200200":
            raise CommandError("Say whom to call: the stream's SLUG, or a --number that the admin knows.")
        if options["calls"] < 1:
            raise CommandError("--calls is 1 or more.")
        side = provider_side(options["provider"], options["telnyx_key"] or "")
        script = Script(lines(options), keys(options["key"]), options["barge_in"], options["seconds"])
        try:
            callers = asyncio.run(self.run(options, side, script))
        except KeyboardInterrupt:
            raise CommandError("Given up.") from None
        if options["record"] and callers:
            record(options["record"], callers[0])
            self.stdout.write(f"Recorded: {options['record']}")

    async def run(self, options: dict[str, Any], side: Callable[[], ProviderSide], script: Script) -> list[Caller]:
        alone = options["calls"] == 1
        provider = options["provider"]
        path = f"/telephony/{provider}/incoming"
        if options["slug"]:
            path = f"/api/streams/{options['slug']}/telephone/{provider}/incoming"
        callers = [
            Caller(
                options["url"],
                path,
                side(),
                number=options["caller"],
                called=options["number"],
                public_url=settings.TELEPHONY_PUBLIC_URL,
                tell=self.tell if alone else lambda happening: None,
            )
            for _ in range(options["calls"])
        ]
        results = await asyncio.gather(*(converse(caller, script) for caller in callers), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, CallFailed | Misbehaved):
                raise failure
        if alone and failures:
            raise CommandError(f"{failures[0]}{hint(failures[0])}")
        self.stdout.write(summary(callers, failures))
        return callers

    def tell(self, happening: Happening) -> None:
        self.stdout.write(str(happening))
        self.stdout.flush()


def provider_side(name: str, telnyx_key: str) -> Callable[[], ProviderSide]:
    """What makes the provider's part for each call. Raises CommandError where the secret is missing."""
    if name == "twilio":
        if not settings.TWILIO_AUTH_TOKEN:
            raise CommandError(
                "TWILIO_AUTH_TOKEN is not set, so the site trusts no call. Set it to the same value for the site and "
                "for this command; to try things out, any value does."
            )
        return lambda: TwilioSide(settings.TWILIO_AUTH_TOKEN)
    if not telnyx_key:
        key = Ed25519PrivateKey.generate()
        private, public = (
            base64.b64encode(raw).decode() for raw in (key.private_bytes_raw(), key.public_key().public_bytes_raw())
        )
        raise CommandError(
            "Telnyx signs with a key that only Telnyx has. To try things out, start the site with "
            f"TELNYX_PUBLIC_KEY={public} and call again with --telnyx-key {private}"
        )
    try:
        TelnyxSide(telnyx_key)
    except ValueError as error:
        raise CommandError(f"--telnyx-key: {error}") from None
    return lambda: TelnyxSide(telnyx_key)


def keys(given: list[str]) -> list[tuple[str, float]]:
    pressed = []
    for text in given:
        match = re.fullmatch(r"([0-9*#A-D])@(\d+(?:\.\d+)?)", text)
        if match is None:
            raise CommandError(f"--key {text}: write the key and the second, as 5@3.0; keys are 0-9, *, #, A-D.")
        pressed.append((match[1], float(match[2])))
    return sorted(pressed, key=lambda each: each[1])


def lines(options: dict[str, Any]) -> list[Samples]:
    """What is to be said, at 8 kHz."""
    if options["say"]:
        return [spoken(text) for text in options["say"]]
    try:
        return [resample(samples, rate, RATE) for rate, samples in map(read_wav, options["wav"] or [])]
    except UnreadableRecording as error:
        raise CommandError(str(error)) from error


def spoken(text: str) -> Samples:
    """At 8 kHz."""
    try:
        parts = list(get_tts_model("pico").stream_tts_sync(text))
    except (EngineUnavailable, SynthesisFailed) as error:
        raise CommandError(f"This cannot be said: {error} Use --wav FILE instead.") from error
    if not parts:
        raise CommandError(f"There is nothing to say in {text!r}.")
    return resample(np.concatenate([to_mono(samples) for _, samples in parts]), parts[0][0], RATE)


async def converse(caller: Caller, script: Script) -> None:
    """Call and follow the script. Raises what the call raises."""
    call = asyncio.create_task(caller.call())
    acting = [asyncio.create_task(each) for each in (speak(caller, script), press(caller, script.keys))]
    try:
        await asyncio.wait({call}, timeout=script.seconds)
        caller.hang_up()
        await call
    finally:
        for task in [call, *acting]:
            task.cancel()
        await asyncio.gather(*acting, return_exceptions=True)


async def speak(caller: Caller, script: Script) -> None:
    """Say each line when the one before has been answered, and hang up after the last answer."""
    await caller.until(lambda: caller.answered, None)
    await caller.until(lambda: caller.line_seconds >= BREATH, None)
    for line in script.lines:
        began = caller.say(line)
        await caller.until(lambda: not caller.talking, None)
        await answer(caller, began + line.size / RATE, script.barge_in if line is not script.lines[-1] else None)
    if script.lines:
        caller.hang_up()


async def answer(caller: Caller, since: float, barge_in: float | None) -> None:
    """Wait for the answer to what was said until then: its end, or so many seconds of it."""
    await caller.until(lambda: caller.loud_seconds(since) >= (barge_in or ANSWERED), None)
    if barge_in is None:
        await caller.until(lambda: caller.line_seconds - caller.last_sound >= OVER, None)


async def press(caller: Caller, keys: list[tuple[str, float]]) -> None:
    for key, second in keys:
        await caller.until(lambda second=second: caller.line_seconds >= second, None)  # type: ignore[misc]
        caller.press(key)


def hint(failure: BaseException) -> str:
    if isinstance(failure, CallFailed) and failure.status == 403:
        return " Does the site run with the same secret as this command, and the same TELEPHONY_PUBLIC_URL?"
    if isinstance(failure, CallFailed) and failure.status == 404:
        return " Is there such a stream?"
    return ""


def summary(callers: list[Caller], failures: list[BaseException]) -> str:
    late = np.array([second for caller in callers for second in caller.lateness.seconds])
    lines = []
    if len(callers) > 1:
        answered = sum(caller.answered for caller in callers)
        lines.append(f"{len(callers)} calls, {answered} answered, {len(failures)} failed")
        lines += sorted({str(failure) for failure in failures})
    if late.size:
        p50, p99, most = np.percentile(late, [50, 99, 100]) * 1000
        lines.append(f"{late.size} frames came, late by {p50:.0f} ms (p50), {p99:.0f} ms (p99), {most:.0f} ms (most)")
    return "\n".join(lines)


def record(path: Path, caller: Caller) -> None:
    said, heard = caller.said, caller.heard
    length = max(said.size, heard.size)
    both = np.stack([np.pad(each, (0, length - each.size)) for each in (said, heard)], axis=1)
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(both.astype("<i2").tobytes())
    except OSError as error:
        raise CommandError(f"The recording cannot be written to {path}: {error.strerror}.") from error
