import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.replication.nodes import Node, dsn, give_away
from tests.faults.service import COMMAND, Service


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the servers may write below."""
    made = Path(tempfile.mkdtemp(prefix="sceau-replication-"))
    give_away(made)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def nodes(place) -> Iterator[tuple[Node, Node]]:
    """A primary, and a standby that copies it."""
    primary, standby = Node(place, "one"), Node(place, "two")
    try:
        primary.make()
        standby.copy(primary)
        yield primary, standby
    finally:
        for node in (primary, standby):
            node.stop()


@pytest.fixture
def serve(place, nodes) -> Iterator[Callable[..., Service]]:
    """Start services that know both servers; one may go `without` a mechanism (tests/e2e/replication/unproven.py)."""
    started: list[Service] = []

    def start(*, without: str | None = None, **settings: str) -> Service:
        variables = {
            "SCEAU_DATABASE_URL": dsn("sceau_app", nodes),
            "SCEAU_DATABASE_OWNER_URL": dsn("sceau_owner", nodes),
            "SCEAU_DATABASE_TIMEOUT": "PT1S",
            "SCEAU_POOL_SIZE": "2",
            "SCEAU_JOBS": "false",
            **settings,
        }
        command = COMMAND
        if without is not None:
            variables["UNPROVEN"] = without
            command = (sys.executable, "-m", "tests.e2e.replication.unproven")
        service = Service(place / f"service{len(started)}.log", variables, command=command).wait_until_it_listens()
        started.append(service)
        return service

    yield start
    for service in started:
        service.end()
