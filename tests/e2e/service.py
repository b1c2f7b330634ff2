"""The service as `./dev serve` runs it, for browsers and for mail and chat servers to talk to."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2
from starlette.testclient import TestClient

from tests.demo.runs import ROOT, environment
from tests.e2e.programs import program
from tests.faults.service import eventually, free_port
from tests.support.api import Api
from tests.support.clusters import copy_cluster

SERVE = "import sys; from app.cli import main; sys.argv[0] = 'sceau'; main()"


@contextmanager
def service(data: Path, *, moved: Path | None = None, port: int | None = None, **settings: str):
    """The service on a data directory of its own, as `./dev serve` runs it; its address and its first key.

    Its PostgreSQL is a copy of one that was made and migrated for the whole run.
    `moved`: a file of seconds by which its clock is ahead (tests/e2e/moved.py). `port`: one that was found before.
    """
    port = port or free_port()
    if not data.exists():
        data.mkdir(mode=0o700)
        copy_cluster(data / "postgres")
    clean = {name: value for name, value in environment().items() if not name.startswith("SCEAU_")}
    clean |= {"SCEAU_PUBLIC_URL": f"http://127.0.0.1:{port}", "SCEAU_DRAIN": "PT0S", **settings}
    line = [sys.executable, "-c", SERVE, "serve", "--data", str(data), "--port", str(port)]
    if moved is not None:
        line = [sys.executable, "-m", "tests.e2e.moved", "serve", str(data), str(port), str(moved)]
    address = f"http://127.0.0.1:{port}"
    with program(line, data.parent / "service.log", port=port, cwd=ROOT, env=clean):
        eventually(lambda: httpx2.get(f"{address}/readyz", trust_env=False).status_code == 200)
        yield address, (data / "keys" / "bootstrap").read_text().strip()


@dataclass(frozen=True)
class Sceau:
    """A running service: where it is, and whoever administers it (registers, records, withdraws, makes keys)."""

    address: str
    api: Api


@contextmanager
def administered(data: Path, **settings: str) -> Iterator[Sceau]:
    """The service on a data directory of its own, with an administrator who holds every scope."""
    with (
        service(data, moved=None, port=None, **settings) as (address, key),
        httpx2.Client(base_url=address, trust_env=False, timeout=30) as client,
    ):
        # Of a TestClient, Api's own calls use what any client has.
        yield Sceau(address, Api(cast("TestClient", client), key))
