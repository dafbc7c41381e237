"""A network that is worse than it should be."""

from __future__ import annotations


class Jumble:
    """Of the chunks, each nth is sent twice, after the next one, or not at all. 0: none."""

    def __init__(self, *, twice: int = 0, swap: int = 0, lose: int = 0) -> None:
        self._twice, self._swap, self._lose = twice, swap, lose
        self._kept: list[str] = []

    def __call__(self, chunk: int, message: str) -> list[str]:
        """What is sent in the place of this message."""
        if self._lose and chunk % self._lose == 0:
            return []
        sent = [message, message] if self._twice and chunk % self._twice == 0 else [message]
        if self._swap and chunk % self._swap == 0:
            self._kept += sent
            return []
        sent, self._kept = sent + self._kept, []
        return sent
