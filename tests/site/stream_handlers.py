import itertools
from collections.abc import Iterator

import numpy as np

from streams.media import ReplyOnPause
from streams.media.audio import Audio
from streams.registry import register

RATE = 24_000


def tone(seconds: float) -> Audio:
    times = np.arange(round(RATE * seconds)) / RATE
    wave: np.ndarray = 0.25 * np.sin(2 * np.pi * 500 * times)
    return RATE, (wave * 32767).astype(np.int16).reshape(1, -1)


def long_reply(audio: Audio) -> Iterator[Audio]:
    for _ in range(100):
        yield tone(0.1)


calls = itertools.count()


def raises(audio: Audio) -> Iterator[Audio]:
    if next(calls) % 2 == 0:
        raise RuntimeError("on purpose")
    yield tone(0.5)


def answer(audio: Audio) -> Iterator[Audio]:
    yield tone(0.5)


register("long-reply", ReplyOnPause(long_reply))
register("raises", ReplyOnPause(raises))
register("one-at-a-time", ReplyOnPause(answer), concurrency_limit=1)
register("one-place", ReplyOnPause(answer), concurrency_limit=1)
register("members", ReplyOnPause(answer), access="login")
register("short", ReplyOnPause(answer), time_limit=2)
