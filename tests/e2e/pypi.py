"""Packages from PyPI in environments of their own, by uv: for programs that cannot share the environment of Sceau."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.debian import Unavailable


def make_environment(place: Path, interpreter: str, lock: Path) -> Path:
    """An environment with what a file of hashed requirements lists, and nothing else: its Python.

    Raises Unavailable with what the installer said when the packages cannot be had.
    """
    python = place / "bin" / "python"
    uv("venv", "--clear", "--python", interpreter, place)
    uv("pip", "sync", "--python", python, "--require-hashes", lock)
    return python


def uv(*words: str | Path) -> None:
    """Run uv. Raises Unavailable with what it said when it fails."""
    install_by(Path(sys.executable).with_name("uv"), *words, "--no-config", "--quiet")


def install_by(*line: str | Path) -> None:
    """Run an installer. Raises Unavailable with what it said when it fails."""
    done = subprocess.run(
        line, env={**os.environ, **_index()}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(
            f"Packages could not be installed. With a network that reaches PyPI, run ./dev e2e:\n{done.stdout[-2000:]}"
        )


def _index() -> dict[str, str]:
    """The package index that pip is set to here, which uv does not read, and the system's certificates."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    index = os.environ.get("PIP_INDEX_URL") or configured
    return {"UV_SYSTEM_CERTS": "true", **({"UV_DEFAULT_INDEX": index} if index else {})}
