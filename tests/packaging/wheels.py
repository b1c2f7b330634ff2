"""Wheels as a publisher builds them: with uv's own backend, without a network."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients/python"
SOURCES = ("app", "migrations", "pyproject.toml", "LICENSE")
"""What the wheel of the service is made of."""


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project into a folder that holds no other."""
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [
        uv,
        "build",
        "--wheel",
        "--offline",
        "--no-config",
        "--quiet",
        "--out-dir",
        folder,
        project,
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel
