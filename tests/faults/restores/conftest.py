"""The deployment of these tests."""

import pytest

from tests.faults.restores.restorable import Restorable
from tests.faults.words import ADS, FILTER, decision


@pytest.fixture
def deployment(server, tmp_path):
    """A deployment with consents of some people, and a copy of it as it was then."""
    made = Restorable(tmp_path, server)
    with made.serving() as service:
        service.ok("POST", "/v1/restores", {"lost": "What an earlier test took away."})
        for processing in (FILTER, ADS):
            service.call("POST", "/v1/processings", processing)
        service.ok("PATCH", "/v1/processings/ads-mail", {"status": "active"})  # an earlier test suspends it
        for name in ("alice", "bob", "carol", "dora"):
            service.ok("POST", "/v1/consents", decision(name))
    made.back_up()
    return made
