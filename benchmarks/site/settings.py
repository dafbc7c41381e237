"""The site's settings, with handlers that only a benchmark wants."""

from rtcproject.settings import *  # noqa: F403
from rtcproject.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.site"]
