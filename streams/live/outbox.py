"""What a session's handler has published: numbered, kept for a while, read by as many as like."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from streams.media.outputs import AdditionalOutputs
from streams.media.serialize import to_json

KEPT = 500
"""Outputs that are kept for readers that come, or come back, later."""
KEPT_CHARACTERS = 4_000_000
"""Pictures are large: this much JSON is kept at most."""


@dataclass(frozen=True)
class Output:
    number: int
    json: str
    published: AdditionalOutputs


@dataclass(frozen=True)
class Gap:
    """Outputs that a reader asked for and that are not kept any more."""

    first: int
    last: int


class Outbox:
    def __init__(self, kept: int = KEPT) -> None:
        self._outputs: deque[Output] = deque()
        self._kept = kept
        self._size = 0
        self._number = 0
        self._closed = False
        self._changed = asyncio.Event()

    def publish(self, published: AdditionalOutputs) -> None:
        """Raises NotSerializable."""
        json = to_json(published)
        self._number += 1
        self._outputs.append(Output(self._number, json, published))
        self._size += len(json)
        while len(self._outputs) > self._kept or (self._size > KEPT_CHARACTERS and len(self._outputs) > 1):
            self._size -= len(self._outputs.popleft().json)
        self._wake()

    def close(self) -> None:
        """Nothing more will come; readers end when they have read everything."""
        self._closed = True
        self._wake()

    @property
    def latest(self) -> Output | None:
        return self._outputs[-1] if self._outputs else None

    async def follow(self, after: int = 0, idle: float = 15.0) -> AsyncIterator[Output | Gap | None]:
        """Yield everything after number ``after``, then what comes; None when nothing came for ``idle`` seconds."""
        position = after if 0 <= after <= self._number else 0
        while True:
            changed = self._changed
            oldest = self._outputs[0].number if self._outputs else self._number + 1
            if position + 1 < oldest:
                yield Gap(position + 1, oldest - 1)
                position = oldest - 1
            for output in [output for output in self._outputs if output.number > position]:
                yield output
                position = output.number
            if position < self._number:
                continue
            if self._closed:
                return
            try:
                async with asyncio.timeout(idle):
                    await changed.wait()
            except TimeoutError:
                yield None

    def _wake(self) -> None:
        """Each change has an event of its own, so that no reader can miss one or clear another's."""
        self._changed.set()
        self._changed = asyncio.Event()
