"""Who may import whom (ARCHITECTURE.md). A part not named as allowed is an edge that must be argued for."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rtcproject", "streams", "telephony", "turn")

# Every project module belongs to the first part whose pattern fits.
PARTS = {
    "media": ["streams.media", "streams.media.*"],
    "live": ["streams.live", "streams.live.*"],
    "definitions": [
        "streams.models",
        "streams.registry",
        "streams.turn_taking",
        "streams.migrations",
        "streams.migrations.*",
    ],
    "handlers": ["*.stream_handlers", "streams.pictures", "streams.assistant", "streams.responders", "streams.sums"],
    "services": ["streams.services", "streams.porting", "streams.signals"],
    "schemas": ["streams.schemas"],
    "routing": ["streams.routing"],
    "doors": [
        "streams.api",
        "streams.views",
        "streams.urls",
        "streams.admin",
        "streams.forms",
        "streams.callers",
        "streams.consumers",
        "streams.daphne_socket",
        "streams.socket_consumer",
        "streams.checks",
        "streams.apps",
        "streams.templatetags",
        "streams.templatetags.*",
        "streams.management",
        "streams.management.*",
    ],
    "turn": ["turn", "turn.*"],
    "telephony": ["telephony", "telephony.*"],
    "site": ["rtcproject", "rtcproject.*"],
    "root": ["streams"],  # stays empty
}
ALLOWED = {
    "media": set(),
    "live": {"media"},
    "definitions": {"media"},  # a registration is checked against what sessions can run
    "handlers": {"media", "definitions"},
    "services": {"live", "media", "definitions", "turn"},
    "schemas": {"media", "definitions"},
    "routing": {"doors"},
    "doors": {"services", "schemas", "definitions", "media"},
    "turn": set(),
    "telephony": {"services", "media", "definitions"},
    "site": set(),
    "root": set(),
}
# Single edges between parts, where the part as a whole may not.
ALSO_ALLOWED = {
    ("telephony.consumers", "streams.daphne_socket"),
    ("telephony.consumers", "streams.socket_consumer"),
    ("streams.forms", "turn.services"),  # an administrator chooses among the providers
    ("streams.checks", "turn.*"),  # and the streams' choices are checked
    ("rtcproject.api", "streams.*"),
    ("rtcproject.api", "telephony.*"),
    ("rtcproject.api", "turn.*"),
    ("rtcproject.asgi", "streams.routing"),
    ("rtcproject.asgi", "streams.services"),
    ("rtcproject.asgi", "streams.live.lifecycle"),
    ("rtcproject.asgi", "telephony.routing"),
}
# Nobody imports these but what is named: they are entrances.
ENTRANCES = {
    "streams.api": ["rtcproject.api"],
    "streams.views": ["streams.urls"],
    "streams.admin": [],
    "streams.consumers": ["streams.routing"],
}
ONLY_IN = {
    "aioice": ["streams.media.transports.ice", "turn.allocation", "turn.failures"],
    "aiortc": [f"streams.media.transports.{name}" for name in ("webrtc", "tracks", "pictures")],
}
INSIDE_FUNCTIONS_ONLY = {"espeakng_loader", "httpx", "kokoro_onnx", "onnxruntime", "pymicro_wakeword", "ttspico"}


def project_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(project_files())


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """(imported module, whether at module level) for each import in the module's source."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(), str(path))
    nested = {id(node) for function in functions(tree) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in nested
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in MODULES else base, id(node) not in nested


def functions(tree: ast.AST) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def fits(module: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def part_of(module: str) -> str:
    return next((part for part, patterns in PARTS.items() if fits(module, patterns)), "")


def is_allowed(importer: str, imported: str) -> bool:
    source, target = part_of(importer), part_of(imported)
    if source == target or target in ALLOWED.get(source, set()):
        return True
    return any(fnmatchcase(importer, a) and fnmatchcase(imported, b) for a, b in ALSO_ALLOWED)


def test_every_module_belongs_to_a_part() -> None:
    assert [module for module in MODULES if not part_of(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_architecture(module: str) -> None:
    found = {name for name, _ in imports(module) if name.partition(".")[0] in PACKAGES}
    assert sorted(name for name in found if not is_allowed(module, name)) == []


@pytest.mark.parametrize("module", MODULES)
def test_entrances_are_imported_by_nobody_else(module: str) -> None:
    found = {name for name, _ in imports(module) if name in ENTRANCES and name != module}
    assert sorted(name for name in found if not fits(module, ENTRANCES[name])) == []


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_stay_in_their_place(module: str) -> None:
    for name, at_module_level in imports(module):
        library = name.partition(".")[0]
        assert library not in ONLY_IN or module in ONLY_IN[library], f"{module} imports {name}"
        assert library not in INSIDE_FUNCTIONS_ONLY or not at_module_level, f"{module} imports {name} at its top"


def test_an_edge_that_is_not_allowed_is_seen() -> None:
    assert not is_allowed("streams.media.session", "streams.models")
    assert not is_allowed("streams.live.manager", "streams.models")
    assert not is_allowed("streams.api", "streams.live.manager")
    assert not is_allowed("turn.services", "streams.models")
    assert is_allowed("streams.services", "streams.live.manager")


def test_the_media_library_runs_without_django() -> None:
    program = "import sys, streams.media; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"django", "channels", "ninja"} & set(done.stdout.split())
