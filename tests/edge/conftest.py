"""One service of two workers for the tests of a file; each test uses its own people and processings."""

import pytest

from bench.stale.fleet import KEY
from sceau_client import Edge
from tests.edge.deployments import served
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Two workers, of which the first serves edges."""
    with new_database() as database, served(database, tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture
def edge(service):
    """An edge in this process, leased."""
    with Edge(service.socket, KEY) as made:
        assert made.leased
        yield made


@pytest.fixture
def consented(service):
    """A processing that alice consents to."""
    return service.consented()
