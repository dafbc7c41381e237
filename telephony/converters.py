"""A provider's name in a URL."""

from django.urls import register_converter

from telephony.providers import PROVIDERS


class ProviderConverter:
    regex = "|".join(PROVIDERS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ProviderConverter, "provider")
