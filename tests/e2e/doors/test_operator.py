"""The operator's door: from the wheel and an empty PostgreSQL to decisions, with no checkout on any path."""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.db.embedded.binaries import find_binaries
from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE, SUPERUSER
from app.db.embedded.server import EmbeddedServer
from tests.e2e.doors.followed import START, Follower, terminals, told
from tests.e2e.programs import bare
from tests.e2e.pypi import install_by
from tests.faults.service import HANGS, free_port
from tests.packaging.wheels import CLIENT, ROOT, build_wheel

WHERE = "import app, sys; print(app.__file__, *sys.path, sep='\\n')"
ASKS = """
import os, sys
from sceau_client import Client, HandleMaker, Question
letter = HandleMaker.from_file(sys.argv[3]).correspondence("<one@example.fr>")
with Client(sys.argv[1], os.environ["KEY"]) as sceau:
    decision = sceau.evaluate(Question("alice@example.fr", sys.argv[2], letter), deadline=30)
print(decision.outcome.name, decision.reason)
"""


def run(folder: Path, *line: str | Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, to its end, with nothing of this test's environment that leads into the checkout."""
    how: dict[str, Any] = {"cwd": folder, "env": bare(settings or {}), "timeout": HANGS}
    return subprocess.run(line, capture_output=True, text=True, check=False, **how)


@dataclass(frozen=True)
class Operated:
    """What the page has led to: a folder with an environment and secrets, a service, and what was printed last."""

    folder: Path
    port: int
    printed: str

    @property
    def program(self) -> Path:
        """The folder of the environment's programs."""
        return self.folder / "sceau" / "bin"

    def client(self) -> httpx2.Client:
        """A client that holds every scope."""
        key = (self.folder / "secrets" / "bootstrap-key").read_text().strip()
        address, authorization = f"http://127.0.0.1:{self.port}", {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=address, headers=authorization, trust_env=False, timeout=HANGS)


@pytest.fixture(scope="module")
def operated(tmp_path_factory) -> Iterator[Operated]:
    """Each command of the page, as it stands there; the service runs as long as this module."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "dist").mkdir()
    build_wheel(ROOT, folder / "dist")
    shutil.copy(ROOT / "requirements.txt", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    first, second = terminals((START / "operator.md").read_text())
    with EmbeddedServer(folder / "postgres") as server:
        emptied(server)
        host = str(conninfo_to_dict(server.url(role=SUPERUSER, database="postgres"))["host"])
        port, path = free_port(), f"{find_binaries()}{os.pathsep}{os.environ['PATH']}"
        places = {
            "secrets localhost": f"secrets {quote(host, safe='')}",  # the test's server is on a socket
            "sceau serve": f"sceau serve --port {port}",
            "POSTGRES_USER=postgres": f"POSTGRES_USER={SUPERUSER}",
            "runuser -u postgres -- ": "",  # that server lets its own user in
        }
        follower = Follower(folder, port, places, bare({"PGHOST": host, "PATH": path}))
        since = time.monotonic()
        with follower.serving(first, lambda _: _is_ready(port)):
            printed = follower.type_in(second)
            told("operator.md", since)
            yield Operated(folder, port, printed)


def emptied(server: EmbeddedServer) -> None:
    """Take away what the embedded server makes for itself: the operator makes roles and database."""
    with psycopg.connect(server.url(role=SUPERUSER, database="postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE}")
        connection.execute(f"DROP ROLE {APP_ROLE}")
        connection.execute(f"DROP ROLE {OWNER_ROLE}")


def _is_ready(port: int) -> bool:
    """Whether the service has its lease: on a busy machine it may listen for some seconds before."""
    ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json()
    return bool(ready["status"] == "ready")


def test_an_operator_installs_migrates_serves_and_decides(operated):
    """From a release and an empty PostgreSQL to the first decision."""
    ready, registered, decided = operated.printed.splitlines()
    assert '"ready"' in ready
    assert '"spam-filter"' in registered
    assert '"decision":true' in decided


def test_what_runs_is_the_wheel(operated):
    """Neither package nor path lies in the checkout, the lock has what the wheel asks for, and it says its version."""
    path = run(operated.folder, operated.program / "python", "-c", WHERE)
    assert path.returncode == 0, path.stderr
    assert str(operated.folder / "sceau") in path.stdout.splitlines()[0]
    assert str(ROOT) not in path.stdout
    checked = run(operated.folder, operated.program / "python", "-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run(operated.folder, operated.program / "sceau", "--version").stdout == f"{project['version']}\n"


def test_the_installed_service_shows_its_pages(operated):
    """Templates, styles and the API page are in the wheel."""
    with operated.client() as client:
        for path in ("/docs", "/console", "/metrics"):
            assert client.get(path, follow_redirects=True).status_code == 200, path


def test_the_installed_client_asks_the_installed_service(operated, tmp_path):
    """`sceau-client` is built, installed by pip alone and gets the service's answer."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], env=bare({}), check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install")
    install_by(*pip, build_wheel(CLIENT, tmp_path / "wheel"))
    with operated.client() as client:
        shown = client.get("/openapi.json").json()["components"]["schemas"]["NewProcessing"]["examples"]
        example: dict[str, Any] = {**shown[0], "party_mode": "user_only"}
        assert client.post("/v1/processings", json=example).status_code == 201
        key = client.headers["Authorization"].removeprefix("Bearer ")
        words = ("-c", ASKS, str(client.base_url), example["id"], str(tmp_path / "handles"))
    answer = run(tmp_path, python, *words, settings={"KEY": key})
    assert answer.stdout == "DENY no_consent\n", answer.stderr
