"""Nothing is recorded ahead of the database's clock, beyond what the owner tolerates."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from tests.support.api import TestClock, running, subject
from tests.support.databases import APP_ROLE

TABLES = (
    "consent_event",
    "processing_version",
    "processing_invalidation",
    "controller_version",
    "staff_acknowledgement",
)
TOLERANCE = timedelta(seconds=10)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def tolerance(owner):
    """Put back what a deployment begins with; the tests' own databases tolerate any clock."""
    owner.execute("UPDATE owner_limit SET clock_tolerance = %s", [TOLERANCE])
    owner.commit()


def answer_to(connection, table, ahead):
    """What an insert of nothing but `recorded_at` fails with: triggers look at a row before its constraints do."""
    statement = sql.SQL("INSERT INTO {} (recorded_at) VALUES (clock_timestamp() + %s)").format(sql.Identifier(table))
    with pytest.raises(psycopg.IntegrityError) as caught, connection.transaction():
        connection.execute(statement, [ahead])
    return caught.value


@pytest.mark.parametrize("table", TABLES)
def test_a_time_ahead_is_refused(application, owner, table):
    """An hour ahead is refused by the clock, to the service and to the owner; within the tolerance it is not."""
    for connection in (application, owner):
        refused = answer_to(connection, table, HOUR)
        assert isinstance(refused, psycopg.errors.CheckViolation)
        assert "ahead of the clock" in str(refused)
        assert isinstance(answer_to(connection, table, TOLERANCE / 2), psycopg.errors.NotNullViolation)
        assert isinstance(answer_to(connection, table, -HOUR), psycopg.errors.NotNullViolation)


@pytest.mark.parametrize("table", TABLES)
def test_without_the_trigger_it_is_not(owner, table):
    """The control: the trigger alone refuses it, no other constraint; in a transaction that is not committed."""
    owner.execute(sql.SQL("DROP TRIGGER not_ahead ON {}").format(sql.Identifier(table)))
    owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(APP_ROLE)))
    assert isinstance(answer_to(owner, table, HOUR), psycopg.errors.NotNullViolation)
    owner.rollback()


def test_every_table_that_says_when_it_was_recorded_is_looked_at(owner):
    """A table with `recorded_at` that this file forgets would fail here."""
    tables = owner.execute("SELECT table_name FROM information_schema.columns WHERE column_name = 'recorded_at'")
    assert {name for (name,) in tables} == set(TABLES)


def test_a_tolerance_is_the_owner_s(application, owner):
    """The owner may tolerate more, as tests do that set a clock; the service may not."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), application.transaction():
        application.execute("UPDATE owner_limit SET clock_tolerance = '1 year'")
    owner.execute("UPDATE owner_limit SET clock_tolerance = '1 year'")
    owner.commit()
    assert isinstance(answer_to(application, "consent_event", HOUR), psycopg.errors.NotNullViolation)


def _set_back(owner):
    """The clock is set back by an hour: what was recorded in time then lies an hour ahead now."""
    owner.execute("UPDATE owner_limit SET clock_tolerance = %s", [TOLERANCE])
    owner.commit()


@pytest.fixture
def consented(database, owner):
    """Alice's consent, recorded an hour ahead while that was tolerated, and her second name."""
    owner.execute("UPDATE owner_limit SET clock_tolerance = '2 hours'")
    owner.commit()
    clock = TestClock(datetime.now(UTC) + HOUR)
    with running(database, clock=clock) as api:
        api.agreed("ads", "alice")
        api.ok(
            "POST", "/v1/subjects/links", {"from": subject("alicia"), "to": subject("alice"), "basis": "user_proved"}
        )
    _set_back(owner)
    return database


@pytest.mark.parametrize("name", ["alice", "alicia"])
def test_a_clock_that_was_set_back_refuses_no_withdrawal(consented, name):
    """A withdrawal goes just after what it ends, however far ahead that lies, and by either name."""
    with running(consented) as api:
        assert len(api.withdraw(name, "ads")["withdrawn"]) == 1
        assert api.reason("alice", "ads") == "consent_withdrawn"
        assert api.reason("alicia", "ads") == "consent_withdrawn"


def test_a_service_that_keeps_its_time_is_never_refused(api):
    """Grant, refusal, withdrawal, version and controller by the database's own clock all go through."""
    api.agreed("ads", "alice")
    api.decide("bob", "ads", "refused")
    assert api.withdraw("alice", "ads")["withdrawn"]


def test_a_service_whose_clock_is_ahead_records_nothing(database):
    """The control of the last one: with an application clock an hour ahead, a first consent is not recorded."""
    with running(database, clock=TestClock(datetime.now(UTC) + HOUR)) as api:
        assert api.call("PUT", "/v1/controllers/x", {"kind": "other", "legal_name": "X"}).status_code == 500


def test_a_deployment_begins_with_ten_seconds(migrated):
    """What a migration sets: ten seconds for clocks, thirty days for the log."""
    with psycopg.connect(migrated.owner_url) as connection:
        limits = connection.execute("SELECT log_floor_days, clock_tolerance FROM owner_limit").fetchone()
    assert limits == (30, TOLERANCE)
