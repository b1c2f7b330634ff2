import pytest

from tests.proof.logs import Log
from tests.proof.retained import OLD
from tests.support.api import TestClock, running, utc


@pytest.fixture
def old(database, tmp_path):
    """A deployment with two people who answered years ago and one who answers now, all in the log."""
    with running(database, clock=TestClock(utc(OLD))) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        for name in ("alice", "chloe"):
            api.decide(name, "ads")
        api.withdraw("alice", "ads")
        api.decide("bruno", "stats", "refused")
    with running(database) as api:
        api.decide("chloe", "ads")
    log = Log(database, tmp_path)
    log.append()
    return log
