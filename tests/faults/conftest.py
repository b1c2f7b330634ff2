import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.faults.service import Server, Service
from tests.faults.words import ADS, FILTER, decision, question
from tests.support.clusters import PLACE


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory for this module."""
    made = Path(tempfile.mkdtemp(prefix="sceau-faults-", dir=os.environ[PLACE]))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def server(place) -> Iterator[Server]:
    """A PostgreSQL that this module may stop, freeze and start."""
    made = Server(place)
    yield made
    made.embedded.stop()


class Starter:
    """Starts services on a server, without their jobs unless asked for."""

    def __init__(self, place: Path, server: Server) -> None:
        """Start nothing yet."""
        self._place, self._server = place, server
        self._numbers = count(1)
        self.standing: Service | None = None

    def start(self, *, workers: int = 1, **settings: str) -> Service:
        """Start a service and wait until it listens."""
        settings = {**self._server.settings, "SCEAU_DATABASE_TIMEOUT": "PT2S", "SCEAU_JOBS": "false", **settings}
        output = self._place / f"service{next(self._numbers)}.log"
        return Service(output, settings, workers=workers).wait_until_it_listens()

    def standing_one(self) -> Service:
        """The service that stays from test to test, or a new one if a test has ended it."""
        if self.standing is None or self.standing.process.poll() is not None:
            self.end()
            self.standing = self.start()
        return self.standing

    def end(self) -> None:
        """End the service that stays from test to test."""
        if self.standing is not None:
            self.standing.end()


@pytest.fixture(scope="module")
def starter(place, server) -> Iterator[Starter]:
    """What starts this module's services."""
    made = Starter(place, server)
    yield made
    made.end()


@pytest.fixture
def serve(starter):
    """Start services for this test; each is ended after it."""
    with ExitStack() as ending:

        def start(**settings: Any) -> Service:
            service: Service = starter.start(**settings)
            ending.callback(service.end)
            return service

        yield start


@pytest.fixture
def service(starter) -> Service:
    """A service that registered a processing of III and one of IV, consented to by Alice, and has answered on both."""
    made: Service = starter.standing_one()
    for processing in (FILTER, ADS):
        made.call("POST", "/v1/processings", processing)
    made.ok("POST", "/v1/consents", decision("alice"))
    assert made.ok("POST", "/access/v1/evaluation", question("alice", "ads-mail"))["decision"] is True
    assert made.ok("POST", "/access/v1/evaluation", question("alice", "filter"))["decision"] is True
    return made
