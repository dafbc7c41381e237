"""Twilio, by what its documentation and its own library say."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.test import RequestFactory
from twilio.request_validator import RequestValidator

from telephony.providers import BadSignature, get_provider
from tests.telephony.conformance import ProviderConformance
from tests.telephony.conftest import AUTH_TOKEN


class TestTwilio(ProviderConformance):
    name = "twilio"
    secret = "TWILIO_AUTH_TOKEN"

    async def test_its_incoming_is_the_sites(self, async_client: Any) -> None:
        assert (await async_client.post("/telephony/incoming")).status_code == 403

    def test_the_url_is_signed_with_query_and_port(self) -> None:
        form = {"CallSid": "CA1", "From": "+49", "To": "+48"}
        for url in ("https://example.com/telephony/incoming?from=a%20b&x=1", "https://example.com:8443/telephony"):
            signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
            assert is_good(request(form, signature), url)
            assert not is_good(request(form, signature), url.replace("example", "example2"))

    def test_a_field_that_comes_twice_is_signed_with_both_values(self) -> None:
        body = {"CallSid": ["CA1"], "Tag": ["one", "two"]}
        signed = RequestFactory().post("/", body)
        url = "https://example.com/"
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, signed.POST)
        assert is_good(RequestFactory().post("/", body, headers={"X-Twilio-Signature": signature}), url)


def request(form: dict[str, str], signature: str) -> HttpRequest:
    return RequestFactory().post("/", form, headers={"X-Twilio-Signature": signature})


def is_good(request: HttpRequest, url: str) -> bool:
    try:
        get_provider("twilio").verify(request, url)
    except BadSignature:
        return False
    return True
