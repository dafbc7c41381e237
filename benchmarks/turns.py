"""From the end of what somebody says to the first sound of the reply, over WebRTC, with recordings of people.

How a reply, a cut-in and an unanswered utterance are told apart: benchmarks/README.md.
"""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import chirps
from benchmarks.environments import BENCH_DIR, UTTERANCES
from benchmarks.loads import Details, Plan, Values, run_client
from benchmarks.processes import Failed, cpu_seconds
from benchmarks.recordings import Recording, load
from benchmarks.systems import Server, System
from benchmarks.tones import Samples

RATE = 48000
FRAME = 960
LEAD_SECONDS = 2.0  # servers that load a model for each session have it then
BLOCK_SECONDS = 0.6  # FastRTC judges separate blocks this long: each pass begins elsewhere in one
TAIL_SECONDS = 5.0  # after the last word; the slowest answer that is known comes after 3.4
SESSION_SECONDS = 60  # at most, on average
HELD_UP_MS = 100
WORD_SECONDS = 0.25
SHORT_SECONDS = 1.0  # an utterance that is one word, from which WORD_SECONDS are cut
WORD_COUNT = 10
WORDS = "words"  # the recording that they make up
WORD_PAUSE_SECONDS, WORD_STEP_SECONDS = 4.0, 0.07  # each word begins elsewhere in a block
ONSET_SECONDS = 0.2
ONSET_CORRELATION = 0.9


@dataclass(frozen=True)
class Reply:
    start: float
    end: float


@dataclass
class Verdict:
    """What replies made of utterances. Delays are in seconds, None for an utterance without one."""

    delays: list[float | None] = field(default_factory=list)
    cut_ins: int = 0
    unanswered: int = 0
    to_nothing: int = 0


def judge(utterances: Sequence[tuple[float, float]], replies: Sequence[Reply]) -> Verdict:
    """Give each utterance (start, end) the replies that were heard from its start to the start of the next."""
    verdict = Verdict()
    starts = [start for start, _ in utterances]
    verdict.to_nothing = sum(reply.start < starts[0] for reply in replies)
    for (start, end), following in zip(utterances, [*starts[1:], float("inf")], strict=True):
        early = [reply for reply in replies if start <= reply.start < end]
        after = [reply for reply in replies if end <= reply.start < following]
        verdict.cut_ins += len(early)
        verdict.delays.append(after[0].start - end if after else None)
        verdict.to_nothing += len(after[1:])
        verdict.unanswered += not after and not any(reply.end >= end for reply in early)
    return verdict


def at_rate(samples: Samples, rate: int) -> Samples:
    """Resample a whole recording to RATE, by its spectrum."""
    size = round(samples.size * RATE / rate)
    wave = np.fft.irfft(np.fft.rfft(samples.astype(np.float64)), size) * size / samples.size
    return np.round(wave).clip(-32768, 32767).astype(np.int16)


def words(recordings: Sequence[Recording]) -> Recording:
    """WORD_SECONDS of the loudest of each short utterance, one after the other, as a recording at RATE."""
    parts: list[Samples] = []
    labels = []
    place = 0
    for recording, start, end in short_utterances(recordings):
        first, last = (round(second * recording.rate) for second in (start, end))
        word = loudest(at_rate(recording.samples[first:last], recording.rate), round(WORD_SECONDS * RATE))
        labels.append((place / RATE, (place + word.size) / RATE, recording.name))
        pause = chirps.quiet_room(WORD_PAUSE_SECONDS + len(labels) * WORD_STEP_SECONDS).astype(np.int16)
        parts += [word, pause]
        place += word.size + pause.size
    return Recording(WORDS, "person", recordings[0].split, RATE, np.concatenate(parts), labels)


def short_utterances(recordings: Sequence[Recording]) -> list[tuple[Recording, float, float]]:
    short = [
        (recording, start, end)
        for recording in recordings
        for start, end, _ in recording.utterances
        if WORD_SECONDS <= end - start <= SHORT_SECONDS
    ]
    return (short * WORD_COUNT)[:WORD_COUNT]


def loudest(samples: Samples, size: int) -> Samples:
    """The part with the most energy, faded in and out over 10 ms."""
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    place = int(np.argmax(energy[size:] - energy[:-size]))
    fade = np.clip(np.minimum(np.arange(size), np.arange(size)[::-1]) / (RATE / 100), 0, 1)
    return (samples[place : place + size] * fade).astype(np.int16)


async def measure_turns(system: System, plan: Plan) -> tuple[Values, Details]:
    recordings = (await asyncio.to_thread(load, plan.recordings))[: plan.most_recordings]
    if short_utterances(recordings):
        recordings.append(words(recordings))
    folder = BENCH_DIR / "heard" / system.name / "turns"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sessions = plan_sessions(recordings, folder, plan.passes)
    async with system.serve("turns") as server:
        used = await speak(system, server, folder, sessions)
    outcomes = [
        outcome(recording, number, read_notes(folder / name(recording, number)))
        for number in range(plan.passes)
        for recording in recordings
    ]
    values = summary(outcomes, plan.passes)
    details: Details = {"notes": list(held_up(outcomes)), "outcomes": outcomes, **used}
    if system.keeps_utterances:
        by_name = {recording.name: recording for recording in recordings}
        lost = [text for found in outcomes for text in lost_onsets(by_name[found["recording"]], found, folder)]
        details["lost_onsets"], values["turn_lost_onsets"] = lost, len(lost) / plan.passes
    return values, details


def held_up(outcomes: Sequence[Details]) -> Iterator[str]:
    for found in outcomes:
        if (late := found["worst_send_lateness_ms"]) > HELD_UP_MS:
            yield f"turns: {found['recording']}: the machine held the client up for {late:.0f} ms: do not trust it"


def name(recording: Recording, number: int) -> str:
    return f"{recording.name}-{number}"


def read_notes(out: Path) -> Details:
    notes: Details = json.loads(out.with_name(f"{out.name}.json").read_text())
    return notes


def plan_sessions(recordings: Sequence[Recording], folder: Path, passes: int) -> list[dict[str, Any]]:
    sessions = []
    for number in range(passes):
        for recording in recordings:
            file = folder / f"{recording.name}.s16"
            if not number:
                at_rate(recording.samples, recording.rate).tofile(file)
            quiet = recording.samples.size / recording.rate - recording.utterances[-1][1]
            sessions.append(
                {
                    "samples": str(file),
                    "lead": LEAD_SECONDS + BLOCK_SECONDS * number / passes,
                    "tail": max(0.0, TAIL_SECONDS - quiet),
                    "id": name(recording, number),
                    "out": str(folder / name(recording, number)),
                }
            )
    return sessions


async def speak(system: System, server: Server, folder: Path, sessions: list[dict[str, Any]]) -> dict[str, float]:
    """Run the client; which share of their cores server and client used."""
    file = folder / "plan.json"
    url = server.url + system.paths["turns"]
    file.write_text(json.dumps({"url": url, "at_once": system.at_once, "sessions": sessions}))
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.clients.turn_client", file]
    loop = asyncio.get_running_loop()
    started, before = loop.time(), cpu_seconds(server.pid)
    client = await run_client(f"{system.name}-turns-client", command, SESSION_SECONDS * len(sessions))
    elapsed = loop.time() - started
    return {
        "server_core_used": (cpu_seconds(server.pid) - before) / elapsed,
        "client_core_used": client / elapsed,
    }


def sent_time(notes: Details, seconds: float) -> float:
    """When the sample that ends so many seconds of the recording was handed to the socket."""
    place = notes["began"] + round(seconds * RATE) - 1 + notes["delayed"]
    return float(notes["sent_at"][place // FRAME])


def outcome(recording: Recording, number: int, notes: Details) -> Details:
    """Times are in seconds of the recording, as it was sent."""
    zero = sent_time(notes, 1 / RATE)
    utterances = [(sent_time(notes, start), sent_time(notes, end)) for start, end, _ in recording.utterances]
    replies = [Reply(reply["start"], reply["end"]) for reply in notes["replies"]]
    verdict = judge(utterances, replies)
    return {
        "recording": recording.name,
        "kind": recording.kind,
        "pass": number,
        "utterances": [(round(start, 3), round(end, 3)) for start, end, _ in recording.utterances],
        "replies": [(round(reply.start - zero, 3), round(reply.end - zero, 3)) for reply in replies],
        "delays_ms": [None if delay is None else round(delay * 1000, 1) for delay in verdict.delays],
        "cut_ins": verdict.cut_ins,
        "unanswered": verdict.unanswered,
        "to_nothing": verdict.to_nothing,
        "worst_send_lateness_ms": notes["worst_send_lateness_ms"],
    }


def summary(outcomes: Sequence[Details], passes: int) -> Values:
    recorded = [found for found in outcomes if found["recording"] != WORDS]
    delays = [delay for found in recorded for delay in found["delays_ms"] if delay is not None]
    if not delays:
        raise Failed("no utterance was answered")
    values = {"turn_p50": float(np.percentile(delays, 50)), "turn_p95": float(np.percentile(delays, 95))}
    for key in ("cut_ins", "unanswered", "to_nothing"):
        values[f"turn_{key}"] = sum(found[key] for found in recorded) / passes
    if missed := [found["unanswered"] for found in outcomes if found["recording"] == WORDS]:
        values["turn_missed_words"] = sum(missed) / passes
    return values


def lost_onsets(recording: Recording, found: Details, folder: Path) -> list[str]:
    """The answered utterances of which the handler did not get the first 200 ms, as its decoder had them."""
    out = folder / name(recording, found["pass"])
    notes = read_notes(out)
    sent = np.fromfile(out.with_name(f"{out.name}-sent.s16"), np.int16)
    got = [np.fromfile(file, np.int16) for file in UTTERANCES.glob(f"{out.name}-*.s16")]
    lost = []
    for (start, _, text), delay in zip(recording.utterances, found["delays_ms"], strict=True):
        place = notes["began"] + round(start * RATE) + notes["delayed"]
        onset = sent[place : place + round(ONSET_SECONDS * RATE)]
        best = max((correlation(onset, samples) for samples in got), default=0.0)
        if delay is not None and best <= ONSET_CORRELATION:
            lost.append(f"{out.name} at {start:.2f} s ({text}): {best:.2f}")
    return lost


def correlation(part: Samples, whole: Samples) -> float:
    """The best normalised cross-correlation of `part` anywhere in `whole`."""
    if whole.size < part.size:
        return 0.0
    pattern, wave = part.astype(np.float64), whole.astype(np.float64)
    size = 1 << int(np.ceil(np.log2(wave.size + pattern.size)))
    products = np.fft.irfft(np.fft.rfft(wave, size) * np.conj(np.fft.rfft(pattern, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(wave**2)])
    energies = energy[pattern.size :] - energy[: -pattern.size]
    norm = np.sqrt(np.maximum(energies, 1) * np.sum(pattern**2))
    return float(np.max(products[: energies.size] / np.maximum(norm, 1)))
