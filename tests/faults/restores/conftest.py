"""The deployment of these tests."""

from functools import partial

import pytest

from tests.faults.restores.restorable import Restorable
from tests.faults.service import eventually
from tests.faults.words import ADS, FILTER, decision


def _records(service, body):
    return service.call("POST", "/v1/consents", body).status_code == 201


@pytest.fixture
def deployment(server, tmp_path):
    """A deployment with consents of four people, and a copy of its database at that time."""
    made = Restorable(tmp_path, server)
    with made.serving() as service:
        service.ok("POST", "/v1/proposals", {"kind": "restore", "lost": "What an earlier test took away."})
        for processing in (FILTER, ADS):
            service.call("POST", "/v1/processings", processing)
        service.ok("PATCH", "/v1/processings/ads-mail", {"status": "active"})  # an earlier test suspends it
        for name in ("alice", "bob", "carol", "dora"):
            # An earlier test may have left the database set back: it is looked at again within a second.
            eventually(partial(_records, service, decision(name)))
    made.back_up()
    return made


@pytest.fixture
def elsewhere(tmp_path):
    """The journal of another host."""
    (made := tmp_path / "elsewhere").mkdir()
    return made
