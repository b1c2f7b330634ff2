"""Receivers hear of each consent that an invalidation ended, once, whoever holds its subject meanwhile."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.core.period import PeriodPolicy
from app.operations.consents.projections import count_consents
from app.operations.webhooks.effects import tell_invalidations
from tests.faults.service import eventually
from tests.jobs.tasks import tasks_of
from tests.support.consents import hash_of, notice_of
from tests.support.invalidations import invalidate
from tests.support.pools import in_a_pool, in_a_session
from tests.support.sweeping import RENEWAL, sweep
from tests.support.two_persons import add

OUTBOX = "SELECT substr(type, 18), count(*) FROM outbox WHERE type !~ 'granted' GROUP BY 1 ORDER BY 1"


@pytest.fixture
def tell(database, clock):
    """Tell once, at the time of the clock; of how many."""
    return lambda **options: in_a_pool(database, lambda pool: tell_invalidations(pool, RENEWAL, **options), clock=clock)


@pytest.fixture
def rows(database):
    """What a statement finds, as the owner."""

    def read(query):
        with psycopg.connect(database.owner_url) as connection:
            return connection.execute(query).fetchall()

    return read


@pytest.fixture
def ads(clocked):
    """A processing to which three people consented, one of them on the English text."""
    clocked.agreed("ads", "alice", "bob")
    clocked.decide("carol", "ads", evidence={"language": "en"})
    return clocked


def test_each_consent_that_it_ended_is_told_of_once(ads, tell, rows, clock):
    """Those of the version: one flag and one event each; later runs say nothing, and the invalidation is closed."""
    events: list[Any] = []
    for batch in (1, 2, 1_000):
        identifier = f"ads-{batch}"
        ads.agreed(identifier, "alice", "bob", "carol")
        ads.withdraw("bob", identifier)
        invalidate(ads, identifier)
        assert (tell(batch=batch), tell(batch=batch)) == (2, 0)
        assert sorted(rows("SELECT processing, number FROM invalidation_told")) == sorted(events)
        clock.at += timedelta(minutes=2)
        assert tell(batch=batch) == 0
        events.append((identifier, 1))
        assert sorted(rows("SELECT processing, number FROM invalidation_told")) == sorted(events)
        assert rows(OUTBOX) == [("invalidated", 2 * len(events)), ("withdrawn", len(events))]
        assert rows("SELECT kind, count(*) FROM renewal_flag GROUP BY kind") == [("invalidated", 2 * len(events))]


def test_of_a_text_those_who_read_it_are_told_of(ads, tell, rows, clock):
    """Who consented on another text, or anew, is not; nobody is reminded of what was invalidated."""
    assert add(ads, "ads", elements=["content"]).status_code == 201
    clock.at += timedelta(hours=1)
    ads.decide("bob", "ads", version=2, evidence={"language": "en"})
    invalidate(ads, "ads", text=hash_of(notice_of("ads")["fr"]))
    clock.at += timedelta(minutes=2)
    assert (tell(), tell()) == (1, 0)
    assert rows(OUTBOX) == [("invalidated", 1)]
    assert rows("SELECT processing, number FROM invalidation_told") == [("ads", 1)]
    listed = ads.ok("GET", "/v1/renewals")["items"]
    assert [(each["kind"], each["state"]) for each in listed] == [("invalidated", "invalidated")]


def test_the_sweep_says_it_where_it_comes_first(ads, tell, rows, database, clock):
    """A consent whose processing is retired at once is told of as invalidated, once, whichever task comes first."""
    invalidate(ads, "ads")
    ads.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    clock.at += timedelta(minutes=2)
    sweep(database, clock)
    assert tell() == 0
    assert rows(OUTBOX) == [("invalidated", 3)]
    assert rows("SELECT count(*) FROM invalidation_told") == [(1,)]


def test_nobody_is_reminded_of_a_consent_that_was_invalidated(ads, rows, database, clock):
    """When its renewal would be due, and when it would have expired, all that is said is that it was invalidated."""
    invalidate(ads, "ads")
    for days in (340, 366):
        clock.at += timedelta(days=days)
        sweep(database, clock)
    assert rows("SELECT DISTINCT kind FROM renewal_flag") == [("invalidated",)]
    assert rows(OUTBOX) == [("invalidated", 3)]


def test_whose_subject_is_held_is_told_of_later(ads, tell, rows, database, clock):
    """While another transaction holds a subject it is passed over, and the invalidation stays open."""
    invalidate(ads, "ads")
    clock.at += timedelta(minutes=2)
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("SELECT FROM subject ORDER BY subject_ref LIMIT 1 FOR UPDATE")
        assert tell() == 2
        assert rows("SELECT count(*) FROM invalidation_told") == [(0,)]
    assert tell() == 1
    assert rows("SELECT count(*) FROM invalidation_told") == [(1,)]


def test_receivers_are_to_stop_and_to_erase(api, database):
    """The task of the jobs process writes the event; like that of every other end it asks for both effects."""
    api.agreed("ads", "alice")
    invalidate(api, "ads")

    in_a_pool(database, lambda pool: tasks_of(database, pool)["invalidations.tell"].func(timestamp=0))

    def told():
        # A transaction of another test may hold an event back for a moment (app/events/deliveries.py).
        return [each for each in api.ok("GET", "/v1/events")["events"] if each["type"].endswith(".invalidated")]

    event = eventually(told)[0]
    assert (event["data"]["processing"], event["data"]["effects"]) == ("ads", ["stop", "erase_derived_data"])
    effect = {"event": event["id"], "effect": "stopped"}
    assert api.call("POST", "/v1/acknowledgements", effect).status_code == 201


def test_what_was_invalidated_is_counted_so(ads, database, clock):
    """The console's numbers have the state, of a version and of a text."""
    ads.agreed("stats", "alice", "bob", purpose="statistics")
    invalidate(ads, "stats")
    invalidate(ads, "ads", text=hash_of(notice_of("ads")["fr"]))

    in_a_session(database, lambda session: count_consents(session, PeriodPolicy()), writes=True, clock=clock)
    with psycopg.connect(database.owner_url) as connection:
        (numbers,) = connection.execute("SELECT numbers FROM figure WHERE name = 'consents'").fetchone() or ([],)
    states = sorted((each["processing"], each["state"], each["number"]) for each in numbers)
    assert states == [("ads", "in_force", 1), ("ads", "invalidated", 2), ("stats", "invalidated", 2)]
