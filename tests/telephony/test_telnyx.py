"""Telnyx, by what its documentation says."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pytest

from telephony.models import Call, PhoneNumber
from telephony.providers import Connection, get_provider
from telephony.simulator import TelnyxSide
from tests.telephony.conformance import ProviderConformance
from tests.telephony.conftest import PRIVATE_KEY


class TestTelnyx(ProviderConformance):
    name = "telnyx"
    secret = "TELNYX_PUBLIC_KEY"

    @pytest.mark.parametrize("minutes", [-10, 10])
    async def test_an_old_webhook_is_refused(self, number: PhoneNumber, minutes: int) -> None:
        status, _ = await self.dial(number, TelnyxSide(PRIVATE_KEY, clock=lambda: time.time() + 60 * minutes))
        assert status == 403
        assert not await Call.objects.aexists()

    @pytest.mark.parametrize("key", ["not base64!", "AAAA", "ä"])
    async def test_a_key_that_is_no_key_trusts_nobody(self, number: PhoneNumber, settings: Any, key: str) -> None:
        settings.TELNYX_PUBLIC_KEY = key
        assert (await self.dial(number))[0] == 403

    def test_audio_goes_both_ways_as_raw_mulaw(self) -> None:
        """Its default for what comes back is MP3 files, one a second."""
        answer = get_provider("telnyx").connect(Connection("wss://x/media", "https://x/after", "t"))
        stream = ElementTree.fromstring(answer.content).find("Connect/Stream")
        assert stream is not None
        wanted = {"codec": "PCMU", "bidirectionalMode": "rtp", "bidirectionalCodec": "PCMU"}
        assert wanted.items() <= stream.attrib.items()
