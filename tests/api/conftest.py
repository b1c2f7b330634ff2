"""One application for a whole file of tests that only ask, or that each use names of their own."""

import pytest

from tests.support.api import TestClock, running, utc
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def shared():
    """An application on the database's own clock, shared by the tests of a file."""
    with new_database() as database, running(database) as called:
        yield called


@pytest.fixture(scope="module")
def shared_clock():
    """The clock of `moving`, which each test sets for itself."""
    return TestClock(utc("2026-06-15T12:00:00Z"))


@pytest.fixture(scope="module")
def moving(shared_clock):
    """An application whose clock is `shared_clock`, shared by the tests of a file."""
    with new_database() as database, running(database, clock=shared_clock) as called:
        yield called
