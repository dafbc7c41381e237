"""What every provider must do, with the site's own routes and a provider's end that follows its documentation."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import numpy as np
import pytest

from streams.media import ReplyOnPause
from streams.models import Stream
from telephony.media_streams import FRAME, Digit, Marked, Media, Started, Stopped
from telephony.models import Call, PhoneNumber
from telephony.providers import get_provider
from telephony.simulator import CallFailed, ProviderSide
from tests.loopback.conftest import MakeStream
from tests.loopback.test_modalities import tone
from tests.telephony.conftest import SIDES, SITE, MakeCaller, post, unique_number

PUBLIC_URL = "https://voice.example.com/site"


def reply(audio: object) -> Any:
    yield tone(0.3)


class Signing:
    """A provider's end whose signatures somebody tampers with."""

    def __init__(self, side: ProviderSide, how: str) -> None:
        self._side, self._how = side, how

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    def headers(self, url: str, form: Mapping[str, str], body: bytes) -> dict[str, str]:
        match self._how:
            case "missing":
                return {}
            case "of another call":
                other = {**form, "CallSid": "CA" + "0" * 32}
                return self._side.headers(url, other, urlencode(other).encode())
            case "not base64":
                return {name: "no" for name in self._side.headers(url, form, body)}
        return {name: value[:-4] + "AAA=" for name, value in self._side.headers(url, form, body).items()}


class Speaking:
    """A provider's end whose audio is of another kind."""

    def __init__(self, side: ProviderSide, **wrong: Any) -> None:
        self._side, self._wrong = side, wrong

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    def start(self, parameters: Mapping[str, str], caller: str, called: str) -> str:
        body = json.loads(self._side.start(parameters, caller, called))
        for name in ("mediaFormat", "media_format"):
            for key, value in body["start"].get(name, {}).items():
                kind = "encoding" if key == "encoding" else "rate" if key.lower().startswith("sample") else ""
                body["start"][name][key] = self._wrong.get(kind, value)
        return json.dumps(body)


class ProviderConformance:
    name = ""
    secret = ""
    """The setting with what makes signatures good."""

    @pytest.fixture
    async def number(self, stream: MakeStream) -> PhoneNumber:
        answering: Stream = await stream(ReplyOnPause(reply), access="login")
        return await PhoneNumber.objects.acreate(
            number=unique_number(), stream=answering, greeting="Good day & welcome.", language="en-GB"
        )

    async def dial(self, number: PhoneNumber, side: ProviderSide | None = None, public_url: str = "") -> Any:
        """The webhook alone. Returns (status, document or text)."""
        side = side or SIDES[self.name]()
        path = f"/telephony/{self.name}/incoming"
        form = {"CallSid": side.call_id, "From": "+4930111", "To": number.number}
        body = urlencode(form).encode()
        headers = side.headers((public_url or SITE) + path, form, body)
        status, text = await post(SITE + path, body, headers)
        return status, ElementTree.fromstring(text) if status == 200 else text

    # -- signatures

    async def test_a_good_signature_is_answered(self, number: PhoneNumber) -> None:
        status, document = await self.dial(number)
        assert status == 200
        say, connect = document[0], document[1]
        assert [say.tag, say.text, say.get("language")] == ["Say", "Good day & welcome.", "en-GB"]
        assert connect.tag == "Connect"
        (socket,) = connect
        assert socket.get("url") == f"ws://testserver/telephony/{self.name}/media"
        parameters = {each.get("name"): each.get("value", "") for each in socket}
        assert list(parameters) == ["token"]
        assert len(parameters["token"]) >= 32
        call = await Call.objects.aget()
        assert (call.provider, call.status, call.caller, call.called) == (
            self.name,
            Call.Status.RINGING,
            "+4930111",
            number.number,
        )
        assert parameters["token"] not in call.token, "only a hash of it is kept"

    @pytest.mark.parametrize("how", ["wrong", "missing", "of another call", "not base64"])
    async def test_a_bad_signature_opens_nothing(
        self, number: PhoneNumber, caller: MakeCaller, caplog: pytest.LogCaptureFixture, how: str
    ) -> None:
        caplog.set_level(logging.WARNING, "telephony")
        calling = caller(provider=self.name, called=number.number, side=Signing(SIDES[self.name](), how))
        with pytest.raises(CallFailed) as refused:
            await calling.call()
        assert refused.value.status == 403
        assert "Traceback" not in str(refused.value)
        assert not await Call.objects.aexists()
        assert len([record for record in caplog.records if record.name.startswith("telephony")]) == 1

    async def test_without_a_secret_nobody_is_trusted(self, number: PhoneNumber, settings: Any) -> None:
        setattr(settings, self.secret, "")
        status, _ = await self.dial(number)
        assert status == 403
        assert not await Call.objects.aexists()

    async def test_the_same_webhook_again_opens_nothing(
        self, number: PhoneNumber, caplog: pytest.LogCaptureFixture
    ) -> None:
        side = SIDES[self.name]()
        assert (await self.dial(number, side))[0] == 200
        caplog.set_level(logging.WARNING, "telephony")
        status, text = await self.dial(number, side)
        assert status == 403
        assert "token" not in text
        assert await Call.objects.acount() == 1
        assert len([record for record in caplog.records if record.name.startswith("telephony")]) == 1

    @pytest.mark.parametrize("how", ["full", "closed"])
    async def test_a_refused_webhook_again_gets_no_words(self, number: PhoneNumber, how: str) -> None:
        changes: dict[str, Any] = {"concurrency_limit": 0} if how == "full" else {"enabled": False}
        await Stream.objects.filter(pk=number.stream_id).aupdate(**changes)
        side = SIDES[self.name]()
        status, document = await self.dial(number, side)
        assert status == 200
        assert document[0].tag == "Say"
        status, text = await self.dial(number, side)
        assert (status, "<" in text) == (403, False)
        assert await Call.objects.acount() == 1

    async def test_behind_a_proxy_the_public_url_counts(self, number: PhoneNumber, settings: Any) -> None:
        settings.TELEPHONY_PUBLIC_URL = PUBLIC_URL + "/"
        status, document = await self.dial(number, public_url=PUBLIC_URL)
        assert status == 200
        (socket,) = document.find("Connect")
        assert socket.get("url") == f"wss://voice.example.com/site/telephony/{self.name}/media"
        assert f"{PUBLIC_URL}/telephony/{self.name}/after/" in ElementTree.tostring(document, "unicode")

    @pytest.mark.parametrize("method", ["get", "put"])
    async def test_webhooks_are_posted(self, async_client: Any, method: str) -> None:
        response = await getattr(async_client, method)(f"/telephony/{self.name}/incoming")
        assert response.status_code == 405

    async def test_what_comes_after_is_signed_too(self, number: PhoneNumber) -> None:
        await self.dial(number)
        call = await Call.objects.aget()
        path = f"/telephony/{self.name}/after/{call.pk}"
        assert (await post(SITE + path, b"CallSid=" + call.call_id.encode(), {}))[0] == 403

    # -- a whole call

    async def test_a_call_is_greeted_answered_and_ended(self, number: PhoneNumber, caller: MakeCaller) -> None:
        calling = caller(provider=self.name, called=number.number)
        assert await calling.call(hang_up_at="started") == "hung up by the caller"
        assert calling.told == ["Good day & welcome."]
        assert calling.answered

    @pytest.mark.parametrize("wrong", [{"encoding": "OPUS"}, {"encoding": "L16"}, {"rate": 16000}])
    async def test_audio_of_another_kind_is_refused_in_words(
        self, number: PhoneNumber, caller: MakeCaller, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
    ) -> None:
        calling = caller(provider=self.name, called=number.number, side=Speaking(SIDES[self.name](), **wrong))
        assert await asyncio.wait_for(calling.call(), 20) == "hung up by the site"
        assert calling.told[-1] == number.words_when_failed
        call = await Call.objects.aget()
        assert call.status == Call.Status.FAILED
        assert str(*wrong.values()) in call.end_reason
        assert call.end_reason in caplog.text

    # -- messages

    def test_what_the_provider_says_is_understood(self) -> None:
        side, codec = SIDES[self.name](), get_provider(self.name).codec()
        assert codec.parse(side.connected()) is None
        started = codec.parse(side.start({"token": "t"}, "+4930111", "+4930222"))
        assert isinstance(started, Started)
        assert (started.stream_id, started.call_id) == (side.stream_id, side.call_id)
        assert started.parameters["token"] == "t"
        audio = base64.b64encode(b"\xff" * FRAME).decode()
        media = {"track": "inbound", "chunk": "7", "timestamp": "120", "payload": audio}
        heard = codec.parse(side.message("media", media=media))
        assert isinstance(heard, Media)
        assert (heard.chunk, heard.samples.size) == (7, FRAME)
        assert codec.parse(side.message("media", media={**media, "track": "outbound"})) is None
        assert codec.parse(side.digit("*")) == Digit("*")
        assert codec.parse(side.message("mark", mark={"name": "1600"})) == Marked("1600")
        assert codec.parse(side.message("error", payload={"code": 100002})) is None
        assert codec.parse(side.stop()) == Stopped()

    def test_what_we_say_is_understood_by_the_provider(self) -> None:
        side, codec = SIDES[self.name](), get_provider(self.name).codec()
        codec.parse(side.start({}, "+4930111", "+4930222"))
        event, samples = side.understand(codec.media(np.full(FRAME, 1000, np.int16)))
        assert event == "media"
        assert samples.size == FRAME
        assert abs(int(samples[0]) - 1000) < 50
        assert side.understand(codec.mark("5")) == ("mark", "5")
        assert side.understand(codec.clear()) == ("clear", None)

    def test_words_and_a_hang_up(self) -> None:
        document = ElementTree.fromstring(get_provider(self.name).say("Busy <now>", "de-DE").content)
        assert [verb.tag for verb in document] == ["Say", "Hangup"]
        assert (document[0].text, document[0].get("language")) == ("Busy <now>", "de-DE")
        document = ElementTree.fromstring(get_provider(self.name).say("", "de-DE").content)
        assert [verb.tag for verb in document] == ["Hangup"]

    def test_a_transfer(self) -> None:
        response = get_provider(self.name).transfer("+4930333")
        assert response["Content-Type"] == "text/xml"
        (dial,) = ElementTree.fromstring(response.content)
        assert (dial.tag, dial.text) == ("Dial", "+4930333")
