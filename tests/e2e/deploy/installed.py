"""Sceau from its wheel, in an environment of its own: no checkout on any path, another working directory."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.e2e.programs import program
from tests.e2e.pypi import install_by
from tests.faults.service import HANGS, eventually, free_port
from tests.packaging.wheels import ROOT
from tests.support.databases import TestDatabase


@dataclass(frozen=True)
class Environment:
    """A virtual environment that pip filled."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *line: str, cwd: Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its programs to its end."""
        return subprocess.run(
            [self.folder / "bin" / line[0], *line[1:]],
            cwd=cwd, env=bare(settings or {}), capture_output=True, text=True, check=False, timeout=HANGS,
        )  # fmt: skip


def bare(settings: Mapping[str, str]) -> dict[str, str]:
    """This machine's environment without what points into the checkout, and with settings."""
    ours = ("SCEAU_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(settings)


def environment_of(folder: Path, wheel: Path, *more: str | Path) -> Environment:
    """An environment with one wheel, by pip alone.

    `more`: what pip installs first, such as the lock. Raises Unavailable when the packages cannot be had.
    """
    subprocess.run([sys.executable, "-m", "venv", folder], env=bare({}), check=True)
    made = Environment(folder)
    pip = (made.python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install")
    if more:
        install_by(*pip, *more)
        install_by(*pip, "--no-deps", wheel)
    else:
        install_by(*pip, wheel)
    return made


def sceau_of(folder: Path, wheel: Path) -> Environment:
    """The service as docs/install.md installs it: the locked packages by their hashes, then the wheel."""
    return environment_of(folder, wheel, "--require-hashes", "--requirement", ROOT / "requirements.txt")


def settings_on(database: TestDatabase) -> dict[str, str]:
    """What an administrator sets."""
    return {
        "SCEAU_DATABASE_URL": database.app_url,
        "SCEAU_DATABASE_OWNER_URL": database.owner_url,
        "SCEAU_BOOTSTRAP_KEY": secrets.token_hex(32),
        "SCEAU_PSEUDONYM_KEY": secrets.token_hex(32),
        "SCEAU_MASTER_KEY": f"1:{secrets.token_hex(32)}",
        "SCEAU_REGISTER_APPROVAL": "one",
        "SCEAU_DURABILITY": "local",
    }


@contextmanager
def serving(installed: Environment, cwd: Path, settings: Mapping[str, str]) -> Iterator[httpx2.Client]:
    """`sceau serve` on loopback as long as the block lasts: a client that holds every scope."""
    port = free_port()
    line = [installed.folder / "bin" / "sceau", "serve", "--port", port]
    with program(line, cwd / "serve.log", port=port, cwd=cwd, env=bare(settings)) as process:
        authorization = {"Authorization": f"Bearer {settings['SCEAU_BOOTSTRAP_KEY']}"}
        address = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=address, headers=authorization, trust_env=False, timeout=HANGS) as client:
            eventually(lambda: client.get("/readyz").status_code == 200)
            yield client
        process.send_signal(signal.SIGTERM)
