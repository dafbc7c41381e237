"""Speech engines by name: recognisers ("stt"), synthesisers ("tts") and voice detectors ("vad").

Built-in ones, those that other packages announce as entry points of the groups ``streams.stt``, ``streams.tts`` and
``streams.vad``, and those registered in code. An engine is imported and loaded when it is first asked for.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Literal

from streams.media.weights import WeightsMissing

logger = logging.getLogger(__name__)

Kind = Literal["stt", "tts", "vad"]
Factory = Callable[..., Any]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "stt": {
        "moonshine/base": "streams.media.speech.moonshine:base",
        "moonshine/tiny": "streams.media.speech.moonshine:tiny",
    },
    "tts": {
        "pico": "streams.media.speech.pico:PicoTTS",
        "espeak": "streams.media.speech.espeak:EspeakTTS",
        "kokoro": "streams.media.speech.kokoro:KokoroTTS",
        "cartesia": "streams.media.speech.cartesia:CartesiaTTS",
    },
    "vad": {"silero": "streams.media.vad:get_silero_model"},
}
"""Where the factories are; written as entry points are, so that nothing is imported to know the names."""


class UnknownEngine(ValueError):
    """There is no engine of this name; the message lists those there are."""


class EngineUnavailable(RuntimeError):
    """The engine is known but cannot work here: a package, a key or a file is missing, or it is broken."""


_registered: dict[Kind, dict[str, Factory]] = {"stt": {}, "tts": {}, "vad": {}}
_loaded: dict[Hashable, Any] = {}
_locks: defaultdict[Hashable, threading.Lock] = defaultdict(threading.Lock)
_guard = threading.Lock()


def register_engine(kind: Kind, name: str, factory: Factory) -> None:
    """Make ``factory()`` the engine of this name, in place of any other. Options of `load_engine` become arguments."""
    with _guard:
        _registered[kind][name] = factory
        for key in [key for key in _loaded if isinstance(key, tuple) and key[:2] == (kind, name)]:
            del _loaded[key]


def engine_names(kind: Kind) -> list[str]:
    """The built-in ones first, then all others by their names. Loads none."""
    others = {*_plugins(kind), *_registered[kind]} - BUILT_IN[kind].keys()
    return [*BUILT_IN[kind], *sorted(others)]


def engine_problem(kind: Kind, name: str) -> str:
    """What keeps the engine from working here, and what to do; "" if nothing does. Imports it, and loads no model.

    A factory that needs more than its import has ``check()``, which raises what loading it would raise.
    """
    try:
        getattr(_factory(kind, name), "check", _nothing)()
    except (UnknownEngine, EngineUnavailable, WeightsMissing) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - of a plug-in; a page that lists it must go on
        return str(_unavailable(kind, name, error))
    return ""


def need_package(module: str, instead: str) -> None:
    """Raise EngineUnavailable, with the sentence ``instead``, where a module cannot be imported."""
    if find_spec(module) is None:
        raise EngineUnavailable(instead)


def _nothing() -> None:
    """There is nothing to check."""


def load_engine(kind: Kind, name: str, **options: Any) -> Any:
    """Return the engine; loaded once per process for the same options, by whichever thread is first.

    Raises UnknownEngine, EngineUnavailable, weights.WeightsMissing. After a failure the next call tries again.
    """
    key = (kind, name, tuple(sorted(options.items())))
    with _guard:
        lock = _locks[key]
    with lock:  # one for each engine: a slow one keeps nobody from another
        if key not in _loaded:
            _loaded[key] = _load(kind, name, options)
        return _loaded[key]


def _load(kind: Kind, name: str, options: dict[str, Any]) -> Any:
    factory = _factory(kind, name)
    try:
        return factory(**options)
    except (EngineUnavailable, WeightsMissing):
        raise
    except Exception as error:
        raise _unavailable(kind, name, error) from error


def _factory(kind: Kind, name: str) -> Factory:
    if name in _registered[kind]:
        return _registered[kind][name]
    if name in BUILT_IN[kind]:
        entry = EntryPoint(name, BUILT_IN[kind][name], f"streams.{kind}")
    elif name in _plugins(kind):
        entry = _plugins(kind)[name]
    else:
        raise UnknownEngine(f"There is no {kind} engine '{name}'. There are: {', '.join(engine_names(kind))}.")
    try:
        factory: Factory = entry.load()
    except Exception as error:
        raise _unavailable(kind, name, error) from error
    return factory


def _unavailable(kind: Kind, name: str, error: Exception) -> EngineUnavailable:
    return EngineUnavailable(f"The {kind} engine '{name}' cannot be loaded. {type(error).__name__}: {error}")


@lru_cache
def _plugins(kind: Kind) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"streams.{kind}"):
        if entry.name in BUILT_IN[kind] or entry.name in found:
            package = entry.dist.name if entry.dist else "a package"
            logger.warning("The %s engine '%s' of %s is left out: the name is taken", kind, entry.name, package)
        else:
            found[entry.name] = entry
    return found
