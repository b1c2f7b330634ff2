"""Registers that tests share, and who proposes and approves where two persons decide."""

import pytest

from tests.support.api import utc


@pytest.fixture
def pap(moving, shared_clock):
    """An application whose register takes one person; its clock stands at noon on 15 June 2026."""
    shared_clock.at = utc("2026-06-15T12:00:00Z")
    return moving


@pytest.fixture
def clock(shared_clock):
    """The clock of a file's deployment, which only goes on."""
    return shared_clock


@pytest.fixture
def ada(place):
    """A person of a file's deployment (`place`), who proposes."""
    return place[1]


@pytest.fixture
def bob(place):
    """Another person, who approves."""
    return place[2]
