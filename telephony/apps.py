"""Telephone calls into and out of streams."""

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
