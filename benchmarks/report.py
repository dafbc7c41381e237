"""The table and the JSON file."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.loads import Plan, Values
from benchmarks.processes import CLIENT_CORE, SERVER_CORE

Results = Mapping[str, Values]


@dataclass(frozen=True)
class Row:
    run: str
    key: str
    title: str
    target: str = ""
    limit: Callable[[Results], float | None] = lambda results: None
    more_is_better: bool = False
    decimals: int = 1


def fixed(limit: float) -> Callable[[Results], float | None]:
    return lambda results: limit


def share_of_aiortc(share: float, key: str) -> Callable[[Results], float | None]:
    def limit(results: Results) -> float | None:
        plain = results.get("aiortc", {}).get(key)
        return None if plain is None else share * plain

    return limit


def ours(key: str, share: float = 1) -> Callable[[Results], float | None]:
    def limit(results: Results) -> float | None:
        value = results.get("ours", {}).get(key)
        return None if value is None else share * value

    return limit


ECHO_ROWS = (
    Row("idle", "idle_cpu_ms", "CPU, idle session (ms/s)", "≤ 30", fixed(30)),
    Row("live", "live_cpu_ms", "CPU, live echo (ms/s)", "≤ 0.7 × aiortc", share_of_aiortc(0.7, "live_cpu_ms")),
    Row("live", "answer_ms", "offer → answer, median (ms)", "≤ 20", fixed(20)),
    Row("delay", "delay_p50", "echo delay p50 (ms)", "≤ 0.9 × aiortc", share_of_aiortc(0.9, "delay_p50")),
    Row("delay", "delay_p95", "echo delay p95 (ms)"),
    Row(
        "delay",
        "burst_delay_p50",
        "… first second in a burst, p50",
        "≤ 0.9 × aiortc's plain",
        share_of_aiortc(0.9, "delay_p50"),
    ),
    Row("delay", "burst_delay_p95", "… first second in a burst, p95"),
    Row("delay", "one_loss_growth", "delay 5 s after one lost packet", "within 40 of before", fixed(40)),
    Row("delay", "random_loss_growth", "delay after 5 s of 2 % loss", "within 40 of before", fixed(40)),
    Row("socket", "socket_delay_p50", "WebSocket echo delay p50 (ms)", "≤ 30", fixed(30)),
    Row("socket", "socket_delay_p95", "WebSocket echo delay p95 (ms)"),
    Row("socket", "socket_cpu_ms", "WebSocket echo, CPU (ms/s)", "≤ 5", fixed(5)),
    Row("socket-large", "socket_large_delay_p50", "… in chunks of 2048, delay p50 (ms)", "≤ 30", fixed(30)),
    Row("socket-large", "socket_large_delay_p95", "… in chunks of 2048, delay p95 (ms)"),
    Row("socket-large", "socket_large_cpu_ms", "… in chunks of 2048, CPU (ms/s)", "≤ 5", fixed(5)),
    Row("socket-binary", "socket_binary_delay_p50", "… in binary PCM16, delay p50 (ms)", "≤ 30", fixed(30)),
    Row("socket-binary", "socket_binary_delay_p95", "… in binary PCM16, delay p95 (ms)"),
    Row("socket-binary", "socket_binary_cpu_ms", "… in binary PCM16, CPU (ms/s)", "≤ 5", fixed(5)),
    Row("socket-idle", "socket_quiet_cpu_ms", "WebSocket, quiet room, CPU (ms/s)"),
    Row("socket-idle", "socket_decoding_ms", "… decoding its packets alone (ms/s)"),
    Row(
        "socket-idle",
        "socket_nothing_cpu_ms",
        "WebSocket, nothing sent, CPU (ms/s)",
        "≤ decoding",
        ours("socket_decoding_ms"),
        decimals=2,
    ),
    Row("socket-idle", "socket_quiet_memory", "… quiet room, growth (MB/min)", decimals=2),
    Row("socket-idle", "socket_quiet_pong_ms", "… quiet room, ping → pong (ms)"),
    Row("telephone", "telephone_delay_p50", "telephone echo delay p50 (ms)"),
    Row("telephone", "telephone_delay_p95", "telephone echo delay p95 (ms)"),
    Row("telephone", "telephone_cpu_ms", "telephone echo, CPU (ms/s)", "≤ 6", fixed(6)),
    Row("telephone-line", "telephone_line_cpu_ms", "… by a handler at 8 kHz, CPU (ms/s)"),
    Row("telephone-quiet", "telephone_quiet_cpu_ms", "telephone, quiet line, CPU (ms/s)"),
    Row("telephone-many", "telephone_many_late_p50", "100 calls, one core: frames late, p50 (ms)"),
    Row("telephone-many", "telephone_many_late_p99", "… p99 (ms)", "≤ 20", fixed(20)),
    Row("telephone-many", "telephone_many_lost", "… frames that did not come back (%)", "0", fixed(0.05), decimals=2),
    Row("telephone-many", "telephone_many_core", "… of the core (%)", decimals=0),
    Row("video", "video_frames", "video echo, frames per core-second", more_is_better=True),
    Row("fairness", "fair_alone", "audio echo alone (frames/s)", decimals=2),
    Row(
        "fairness",
        "fair_slow_video",
        "… beside a 100 ms video function",
        "≥ 49.5",
        fixed(49.5),
        more_is_better=True,
        decimals=2,
    ),
    Row(
        "fairness",
        "fair_blocked",
        "… beside six blocked handlers",
        "within 1 % of alone",
        ours("fair_alone", 0.99),
        more_is_better=True,
        decimals=2,
    ),
)

CONVERSATION_ROWS = (
    Row("turns", "turn_p50", "speech end → reply heard, median (ms)", "≤ 330", fixed(330), decimals=0),
    Row("turns", "turn_p95", "… 95th percentile (ms)", "≤ 1000", fixed(1000), decimals=0),
    Row("turns", "turn_cut_ins", "… cut-ins per pass", "≤ 7", fixed(7)),
    Row("turns", "turn_unanswered", "… unanswered per pass", "0", fixed(0)),
    Row("turns", "turn_to_nothing", "… replies to nothing per pass"),
    Row("turns", "turn_missed_words", "… missed words of 250 ms, of 10", "0", fixed(0)),
    Row("turns", "turn_lost_onsets", "… lost onsets per pass", "0", fixed(0)),
    Row("barge-in", "barge_in_p50", "speaking over a reply → silent, median (ms)", "≤ 250", fixed(250), decimals=0),
    Row("barge-in", "barge_in_worst", "… the worst (ms)", decimals=0),
    Row("barge-in-socket", "barge_in_socket_p50", "… over a WebSocket, median (ms)", "≤ 250", fixed(250), decimals=0),
    Row("barge-in-socket", "barge_in_socket_worst", "… over a WebSocket, the worst (ms)", decimals=0),
    Row(
        "assistant",
        "assistant_p50",
        "assistant: speech end → heard, median (ms)",
        "≤ 700",
        fixed(700),
        decimals=0,
    ),
    Row("assistant", "assistant_p95", "… 95th percentile (ms)", decimals=0),
    Row("assistant", "assistant_pause", "… of it: that the speaker has finished", decimals=0),
    Row("assistant", "assistant_recognition", "… recognition", decimals=0),
    Row("assistant", "assistant_text", "… text, by rules", decimals=0),
    Row("assistant", "assistant_synthesis", "… synthesis", decimals=0),
    Row("assistant", "assistant_rest", "… codecs, the way, the voice's own onset", decimals=0),
    Row(
        "recognising",
        "recognising_slowest",
        "ten sessions recognising, the slowest echo (frames/s)",
        "≥ 49.5",
        fixed(49.5),
        more_is_better=True,
        decimals=2,
    ),
    Row("recognising", "recognising_texts", "… texts per second in all"),
    Row("vad", "vad_1_ms", "voice detector, 1 listener (ms/s)", "≤ 3", fixed(3), decimals=2),
    Row("vad", "vad_20_ms", "… 20 listeners, each (ms/s)", "≤ 3", fixed(3), decimals=2),
    Row("vad", "vad_100_ms", "… 100 listeners, each (ms/s)", "≤ 3", fixed(3), decimals=2),
)
ROWS = (*ECHO_ROWS, *CONVERSATION_ROWS)


def shown(row: Row, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:+.0f}" if row.key.endswith("growth") else f"{value:.{row.decimals}f}"


def ratio(row: Row, results: Results, other: str) -> str:
    mine, theirs = (results.get(name, {}).get(row.key) for name in ("ours", other))
    if mine is None or not theirs or row.key.endswith("growth"):
        return "–"
    return f"{mine / theirs:.2f}"


def verdict(row: Row, results: Results) -> str:
    value, limit = results.get("ours", {}).get(row.key), row.limit(results)
    if value is None or limit is None:
        return "–" if row.target else ""
    return "ok" if (value >= limit if row.more_is_better else abs(value) <= limit) else "miss"


def table(results: Results, rows: Sequence[Row], names: Sequence[str]) -> str:
    others = [name for name in names if name != "ours"]
    head = ["", *names, *(f"ours/{name}" for name in others), "target", ""]
    lines = [head]
    for row in rows:
        numbers = [shown(row, results.get(name, {}).get(row.key)) for name in names]
        ratios = [ratio(row, results, name) for name in others]
        lines.append([row.title, *numbers, *ratios, row.target, verdict(row, results)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = []
    for line in lines:
        cells = [
            cell.ljust(width) if column == 0 or column >= len(head) - 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
    text.insert(1, "─" * max(map(len, text)))
    return "\n".join(text)


def conditions(plan: Plan) -> str:
    cores = (
        f"server on core {SERVER_CORE}, clients on core {CLIENT_CORE}"
        if SERVER_CORE != CLIENT_CORE
        else "ONE core for server and clients: figures are worse than on two"
    )
    spoken = f"conversations: {plan.passes} × the recordings to {plan.recordings}"
    return f"{plan.sessions} sessions; {spoken}; loopback; {cores}; Python {platform.python_version()}"


def save(file: Path, results: Results, details: Mapping[str, Any], notes: Sequence[str], plan: Plan) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    verdicts = {row.key: verdict(row, results) for row in ROWS if row.target}
    content = {
        "conditions": conditions(plan),
        "results": results,
        "targets": {row.key: row.target for row in ROWS if row.target},
        "verdicts": verdicts,
        "notes": notes,
        "details": details,
    }
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
