"""Hosts of their own on this machine: Linux network namespaces, joined by virtual cables. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Host:
    role: str

    @property
    def name(self) -> str:
        return f"test-{os.getpid()}-{self.role}"

    @property
    def within(self) -> list[str]:
        """What a command begins with that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def configure(self, *arguments: str) -> None:
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)


@contextmanager
def host(role: str) -> Iterator[Host]:
    made = Host(role)
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.configure("link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], check=True)


def cable(one: Host, its_address: str, other: Host, others_address: str) -> None:
    """Connect two hosts by a network of the two of them. Neither forwards packets to a third."""
    its, others = f"to-{other.role}", f"to-{one.role}"
    one.configure("link", "add", its, "type", "veth", "peer", "name", others, "netns", other.name)
    for each, interface, address in ((one, its, its_address), (other, others, others_address)):
        each.configure("address", "add", f"{address}/24", "dev", interface)
        each.configure("link", "set", interface, "up")


@contextmanager
def hosts(*roles: str) -> Iterator[Sequence[Host]]:
    with ExitStack() as stack:
        yield [stack.enter_context(host(role)) for role in roles]
