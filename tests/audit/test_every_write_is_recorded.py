"""No route can be forgotten: each one that changes something is tried, or stands on a list that says why it is not."""

import pytest

from app.api.http.security import scopes_by_route
from tests.support.acts import CALLS, OTHERWISE, REQUEST_ID, TOKENS, UNRECORDED, World, trail
from tests.support.api import running
from tests.support.databases import new_database

READING = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def world():
    """One application for every route: each call makes what it needs."""
    with new_database() as database, running(database, **TOKENS) as api:
        yield World(api, database)


def _unaccounted(routes):
    """The routes that change something, by their method, and are neither tried nor explained."""
    return {route for route in routes if route[0] not in READING} - CALLS.keys() - UNRECORDED.keys()


def _recorded(world, route, act, call):
    """The entry that a call left."""
    before = {each["id"] for each in trail(world.database)}
    answer = call(world)
    assert answer.status_code in {200, 201, 202, 204, 303}, (route, answer.status_code, answer.text)
    new = [each for each in trail(world.database) if each["id"] not in before and each["request_id"] == REQUEST_ID]
    assert [each["act"] for each in new] == [act], (
        f"{route} left no {act} in the audit trail: record it, or explain it in tests/support/acts.py"
    )
    return new[0]


def test_every_route_that_writes_is_tried_or_explained(world):
    """A new route needs a call here that leaves an entry, or a reason why it leaves none."""
    routes = set(scopes_by_route(world.api.client.app))
    assert _unaccounted(routes) == set()
    assert (CALLS.keys() | UNRECORDED.keys()) <= routes
    assert not CALLS.keys() & UNRECORDED.keys()


def test_a_route_that_nobody_thought_of_is_seen():
    """Control: a route that is neither tried nor explained is named."""
    assert _unaccounted({("PUT", "/v1/surprise"), ("GET", "/v1/surprise")}) == {("PUT", "/v1/surprise")}


@pytest.mark.parametrize(("route", "act", "call"), [*((route, *told) for route, told in CALLS.items()), *OTHERWISE])
def test_a_write_leaves_its_entry(world, route, act, call):
    """What was done is in the trail with who did it, how it arrived, and the id of its request."""
    entry = _recorded(world, route, act, call)
    assert entry["caller"] is not None
    assert entry["way"] == ("page" if route[1].startswith(("/console", "/staff")) else "api")


def test_a_write_that_leaves_none_is_seen(world):
    """Control: a route that records nothing fails the check."""

    def search(it):
        return it.send("POST", "/v1/consents/search", {})

    with pytest.raises(AssertionError, match="left no"):
        _recorded(world, ("POST", "/v1/consents/search"), "consents.searched", search)
