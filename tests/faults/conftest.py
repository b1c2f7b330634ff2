import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.service import Server, Service
from tests.faults.words import ADS, FILTER, decision, question


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory of this module's own."""
    made = Path(tempfile.mkdtemp(prefix="sceau-faults-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def server(place) -> Iterator[Server]:
    """A PostgreSQL that this module may stop, freeze and start."""
    made = Server(place)
    yield made
    made.embedded.stop()


@pytest.fixture
def serve(place, server):
    """Start services on the server, without their jobs unless asked for; each is ended after the test."""
    started: list[Service] = []

    def start(*, workers: int = 1, **settings: str) -> Service:
        settings = {**server.settings, "SCEAU_DATABASE_TIMEOUT": "PT2S", "SCEAU_JOBS": "false", **settings}
        started.append(Service(place / f"service{len(started)}.log", settings, workers=workers))
        return started[-1].wait_until_it_listens()

    yield start
    for service in started:
        service.end()


@pytest.fixture
def service(serve) -> Service:
    """A service that registered a processing of III and one of IV, consented to by Alice, and has answered on both."""
    made: Service = serve()
    for processing in (FILTER, ADS):
        made.call("POST", "/v1/processings", processing)
    made.ok("POST", "/v1/consents", decision("alice"))
    assert made.ok("POST", "/access/v1/evaluation", question("alice", "ads-mail"))["decision"] is True
    assert made.ok("POST", "/access/v1/evaluation", question("alice", "filter"))["decision"] is True
    return made
