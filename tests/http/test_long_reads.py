"""What reads for long takes the connections of its own pool: writes and decisions find theirs, however many search."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from fastapi.routing import iter_route_contexts

from app import main
from app.api.http.security import Needs
from app.api.http.services import PromptDatabaseDep, WriterDep
from app.audit.segments import decisions_in
from app.auth.callers import Counted
from app.db.connections import is_no_standby
from app.db.database import PoolLimits
from tests.faults.service import eventually
from tests.support.api import question, running, subject
from tests.support.consent_page import Person, link
from tests.support.databases import rows
from tests.support.decision_rows import add, logged, segment_of

SEARCHES = 12
THIRD = 3
"""Of the ten connections that a worker has by default."""


class Held:
    """A decoder of segments that waits where it is run until it is released; `most`: how many waited at once."""

    def __init__(self, real):
        self.real, self.released, self.turn = real, threading.Event(), threading.Lock()
        self.now = self.most = 0

    def __call__(self, *args):
        """Wait, then decode; a generator, which is run where its first item is taken."""
        with self.turn:
            self.now += 1
            self.most = max(self.most, self.now)
        self.released.wait(60)
        with self.turn:
            self.now -= 1
        yield from self.real(*args)


@contextmanager
def searching(api, held):
    """As many searches at once as there are connections, and two more, each as far as it comes; then their answers."""
    key = api.new_key("audit:read")
    services = api.client.app.state.services
    pools = (services.database, services.reading)
    answers: list[int] = []

    def search(_):
        return api.with_key(key).call("POST", "/v1/decisions/search", {})

    with ThreadPoolExecutor(SEARCHES) as threads:
        searches = [threads.submit(search, each) for each in range(SEARCHES)]
        try:
            eventually(lambda: held.now > 0 and sum(each.in_use + each.waiting for each in pools) >= SEARCHES)
            yield answers
        finally:
            held.released.set()
        answers += [each.result().status_code for each in searches]


def in_transaction(database):
    """How many connections to a database hold a transaction that waits for its client."""
    states = rows(database, "SELECT state FROM pg_stat_activity WHERE datname = current_database()")
    return sum(state == "idle in transaction" for (state,) in states)


@pytest.mark.parametrize("cache", ["strict", "leased"])
def test_searches_leave_connections_to_whoever_withdraws_and_asks(database, monkeypatch, cache):
    """Twelve searches hold three of ten connections, and one decodes: a withdrawal, a question, a page are answered."""
    add(database, segment_of([logged(datetime.now(UTC) - timedelta(hours=2))]))
    held = Held(decisions_in)
    monkeypatch.setattr("app.audit.log_reading.decisions_in", held)
    with running(database, cache=cache, database_timeout=timedelta(seconds=20)) as api:
        api.agreed("ads", "alice")
        person = Person(api, link(api, "bob", "ads"))
        with searching(api, held) as answers:
            assert api.call("POST", "/v1/withdrawals", {"subject": subject("alice")}).status_code == 200
            assert api.call("POST", "/access/v1/evaluation", question("carol", "ads")).status_code == 200
            assert api.client.get(person.path).status_code == 200
            assert api.client.get("/readyz?need=IV").status_code == 200
            eventually(lambda: in_transaction(database) == THIRD)  # what else reads meanwhile is done soon
            assert held.most == 1
        assert answers == [200] * SEARCHES


def test_whoever_looks_takes_no_connection_of_writes():
    """No route that the quota `searches` counts is given the writer, or the database of decisions."""
    for_writes = [get_args(each)[1].dependency for each in (WriterDep, PromptDatabaseDep)]
    counted = [
        context
        for context in iter_route_contexts(main._ROUTES)
        if any(isinstance(each, Needs) and each.counted is Counted.SEARCHES for each in calls_of(context.dependant))
    ]
    assert len(counted) > 20
    for context in counted:
        assert not [each for each in calls_of(context.dependant) if each in for_writes], context.path


def calls_of(dependant):
    """The functions that a route depends on, itself among them."""
    return [dependant.call, *(call for each in dependant.dependencies for call in calls_of(each))]


@pytest.mark.parametrize(("size", "shared"), [(1, (1, 1)), (2, (1, 1)), (4, (3, 1)), (10, (7, 3))])
def test_a_third_of_the_connections_are_for_those_who_read(size, shared):
    """Two pools share the connections of a worker, and twenty may wait for each; each pool has one at least."""
    pools = PoolLimits(size, 20 * size).shared()
    assert [(each.size, each.waiting) for each in pools] == [(each, 20 * each) for each in shared]


def test_both_pools_know_the_same_primary_and_wait_for_the_same_checks(database):
    """A pool apart drops connections to a server that is the primary no more, and is held back as the first one is."""
    with running(database, cache="leased") as api:
        services = api.client.app.state.services  # type: ignore[attr-defined]
        assert services.reading._accepts == services.database._accepts != is_no_standby
        assert services.reading.admission is services.database.admission
