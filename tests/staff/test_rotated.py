"""An acknowledgement within a week of somebody else's rotation of the key is marked wherever it is told."""

from datetime import timedelta

import pytest

from tests.support.api import running
from tests.support.console import Visitor
from tests.support.staff import acknowledge, covered, person, publish

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def published(moving):
    """An application with a complete notice, on a clock that only goes on; each test has persons of its own."""
    publish(moving)
    return moving


def rotated(by, identifier):
    """The application called with the key that somebody's rotation made, later than the first key."""
    if by.clock is not None:
        by.clock.at += timedelta(seconds=1)
    return by.with_key(by.ok("POST", f"/v1/keys/{identifier}/rotations", {})["key"])


def counted(api):
    """How many acknowledgements the coverage counts as marked."""
    return api.ok("GET", "/v1/staff/coverage")["rotated_by_other"]


def marks(api, identifier):
    """Whether the acknowledgement is marked: at the member, and in the coverage."""
    [acknowledgement] = covered(api, identifier)["acknowledgements"]
    return acknowledgement["rotated_by_other"], covered(api, identifier)["rotated_by_other"]


def test_whoever_rotated_could_have_made_it(published):
    """Within the week after somebody else's rotation, the answer itself, member, coverage and count say so."""
    before = counted(published)
    identifier, _ = person(published)
    assert acknowledge(rotated(published, identifier))["rotated_by_other"] is True
    assert (marks(published, identifier), counted(published)) == ((True, True), before + 1)


def test_after_the_week_nothing_is_marked(published):
    """The control: a week later the person had the key to themselves."""
    before = counted(published)
    identifier, _ = person(published)
    ada = rotated(published, identifier)
    published.clock.at += WEEK
    assert acknowledge(ada)["rotated_by_other"] is False
    assert (marks(published, identifier), counted(published)) == ((False, False), before)


def test_one_s_own_rotation_and_the_first_key_mark_nothing(published):
    """Controls: the person rotated herself; the person was only given her first key."""
    before = counted(published)
    ada, calls = person(published, "keys:manage", "audit:read")
    acknowledge(rotated(calls, ada))
    bob, first = person(published, name="Bob")
    acknowledge(first)
    assert marks(published, ada) == marks(published, bob) == (False, False)
    assert counted(published) == before


def test_a_rotation_afterwards_marks_nothing(published):
    """What was acknowledged before the rotation was acknowledged with the key of before."""
    before = counted(published)
    identifier, ada = person(published)
    acknowledge(ada)
    rotated(published, identifier)
    assert (marks(published, identifier), counted(published)) == ((False, False), before)


def _staff_page(api, ada):
    """The numbers of the page of the staff, as she sees it."""
    visitor = Visitor(api)
    visitor.sign_in(str(ada.key))
    return visitor.get("/console/staff").text()


def test_the_console_counts_them(database):
    """The page of the staff has a number of its own for them, beside the standings."""
    with running(database) as api:
        publish(api)
        identifier, _ = person(api)
        ada = rotated(api, identifier)
        row = "up to date, but within a week after somebody else rotated the key"
        assert row not in _staff_page(api, ada)
        acknowledge(ada)
        assert f"1 {row}" in _staff_page(api, ada)
