"""A browser that reaches the site through a TURN server only: Debian's coturn, with both kinds of credentials."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.browser.visitor import Visitors
from tests.speech import RATE, write_wav

HERTZ = 700
KEEP_CONNECTIONS = """
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
  };
"""
SELECTED_PAIR = """async () => {
  const stats = await window.connections.at(-1).getStats();
  const transport = [...stats.values()].find(({ type }) => type === "transport");
  const local = stats.get(stats.get(transport.selectedCandidatePairId).localCandidateId);
  return [local.candidateType, local.relayProtocol];
}"""


@pytest.fixture
def whistle(tmp_path: Path) -> Path:
    wave = 0.3 * np.sin(2 * np.pi * HERTZ * np.arange(RATE) / RATE)
    return write_wav(tmp_path / "whistle.wav", (wave * 32767).astype(np.int16))


async def test_audio_goes_through_the_relay_and_back(visitors: Visitors, whistle: Path) -> None:
    async def whistles(credentials: str, transport: str) -> None:
        path = f"/streams/through-{credentials}-{transport}/"
        visitor = await visitors.arrive(path, whistle, script=KEEP_CONNECTIONS)
        await visitor.start()
        await visitor.sees_state("listening")
        await visitor.hears(HERTZ)
        assert await visitor.page.evaluate(SELECTED_PAIR) == ["relay", transport]

    ways = [(credentials, transport) for credentials in ("secret", "password") for transport in ("udp", "tcp")]
    await asyncio.gather(*(whistles(*way) for way in ways))
