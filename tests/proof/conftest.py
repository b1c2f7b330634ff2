import pytest

from tests.proof.logs import Log, copied
from tests.proof.retained import OLD
from tests.support.api import TestClock, running, utc
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def made_old(tmp_path_factory):
    """A deployment with two people who answered years ago and one who answers now, all in the log."""
    with new_database() as database:
        with running(database, clock=TestClock(utc(OLD))) as api:
            api.register("ads", started_on="2018-01-01")
            api.register("stats", purpose="statistics", started_on="2018-01-01")
            for name in ("alice", "chloe"):
                api.decide(name, "ads")
            api.withdraw("alice", "ads")
            api.decide("bruno", "stats", "refused")
        with running(database) as api:
            api.decide("chloe", "ads")
        log = Log(database, tmp_path_factory.mktemp("old"))
        log.append()
        yield log


@pytest.fixture
def old(made_old, tmp_path):
    """The same, for a test to change."""
    with copied(made_old, tmp_path) as log:
        yield log
