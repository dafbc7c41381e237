"""The real site, with streams that tests need and no visitor would want."""

import json
import os

from rtcproject.settings import *  # noqa: F403
from rtcproject.settings import BASE_DIR, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.site"]
ROOT_URLCONF = "tests.site.urls"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "insecure.test"]
STREAMS_MODELS_DIR = BASE_DIR / "var" / "models"  # VAR_DIR is a fresh one, but weights need no fetching again
STREAMS_MEDIA_TIMEOUT = 120.0  # so that a place that is free again was freed by a goodbye
TURN_PROVIDERS = json.loads(os.environ.get("TEST_TURN_PROVIDERS", "{}"))  # each has a stream, "through-" and its name
