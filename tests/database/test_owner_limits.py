"""What the owner of the database alone sets: the floor of the decision log, and how far ahead clocks may be."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from tests.support.acts import trail
from tests.support.api import running
from tests.support.decision_rows import insert, logged, segment_of

FLOOR = 30
_LOWER = "UPDATE owner_limit SET log_floor_days = 1"
_DROP = "SELECT sceau_drop_log_before(%s)"


def today():
    """The day (UTC) that the functions go by."""
    return datetime.now(UTC).date()


@pytest.fixture
def days(owner):
    """The names of two days of the log with decisions in them: one of the floor's last day, one a day older."""
    made = {}
    for age in (FLOOR, FLOOR + 1):
        day = today() - timedelta(days=age)
        made[age] = f"decision_segment_{day:%Y%m%d}"
        owner.execute(
            f"CREATE TABLE {made[age]} PARTITION OF decision_segment"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
        noon = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
        insert(owner, segment_of(logged(noon + timedelta(seconds=number)) for number in range(3)))
    owner.commit()
    return made


def kept(owner, days):
    """The ages of the days that are still there."""
    owner.rollback()
    return {age for age, name in days.items() if owner.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,)}


def refused(connection, statement, *values):
    """The server's words for refusing a statement."""
    with pytest.raises(psycopg.Error) as caught, connection.transaction():
        connection.execute(statement, values)
    return str(caught.value)


# --- the floor -------------------------------------------------------------------------------------------------------


def test_the_service_drops_no_day_younger_than_the_floor(owner, application, days):
    """At the floor a day may go, one day younger it is refused, and the day stays."""
    assert "last 30 days is not dropped" in refused(application, _DROP, today() - timedelta(days=FLOOR - 1))
    assert kept(owner, days) == {FLOOR, FLOOR + 1}
    assert application.execute(_DROP, [today() - timedelta(days=FLOOR)]).fetchone() == (1,)
    application.commit()
    assert kept(owner, days) == {FLOOR}


def test_without_the_floor_it_would(owner, application, days):
    """The control: once the owner lowered the floor, the same call by the same role drops the younger day."""
    owner.execute(_LOWER)
    owner.commit()
    assert application.execute(_DROP, [today() - timedelta(days=FLOOR - 1)]).fetchone() == (2,)
    application.commit()
    assert kept(owner, days) == set()


@pytest.mark.parametrize(
    "statement",
    [
        _LOWER,
        "DELETE FROM owner_limit",
        "TRUNCATE owner_limit",
        "INSERT INTO owner_limit VALUES (false, 1, '0')",
        "ALTER TABLE owner_limit DISABLE TRIGGER ALL",
        "DROP TABLE owner_limit",
        "SELECT sceau_record_act('x', 'service', '{}')",
        "CREATE OR REPLACE FUNCTION sceau_drop_log_before(day date) RETURNS integer LANGUAGE sql AS 'SELECT 0'",
    ],
)
def test_the_service_cannot_lower_it(passing_application, statement):
    """Nor the tolerance, nor the functions that go by them, nor forge what they leave in the trail."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        passing_application.execute(statement)


def test_a_temporary_table_stands_for_none_of_the_owner_s(owner, application, days):
    """A table of the service's own session that bears the name of the floor's changes nothing."""
    application.execute("CREATE TEMP TABLE owner_limit AS SELECT true AS is_here, 1 AS log_floor_days")
    assert application.execute("SELECT log_floor_days FROM owner_limit").fetchone() == (1,)  # what the session sees
    assert "last 30 days" in refused(application, _DROP, today() - timedelta(days=FLOOR - 1))
    application.rollback()
    assert kept(owner, days) == {FLOOR, FLOOR + 1}


def test_with_another_search_path_it_would(owner, application, days):
    """The control: under a path that does not put temporary tables last, the temporary table sets the floor."""
    owner.execute("ALTER FUNCTION sceau_drop_log_before(date) SET search_path = public")
    owner.commit()
    application.execute("CREATE TEMP TABLE owner_limit AS SELECT true AS is_here, 1 AS log_floor_days")
    application.execute("GRANT SELECT ON owner_limit TO PUBLIC")
    assert application.execute(_DROP, [today() - timedelta(days=FLOOR - 1)]).fetchone() == (2,)


@pytest.mark.parametrize(("role", "way"), [("application", "service"), ("owner", "command")])
def test_each_day_dropped_leaves_an_entry(request, database, days, role, way):
    """Which day, how many rows, in whose role and when; nothing that names anybody."""
    before = datetime.now(UTC)
    connection = request.getfixturevalue(role)
    connection.execute(_DROP, [today() - timedelta(days=FLOOR)])
    connection.commit()
    [entry] = [each for each in trail(database) if each["act"] == "decision_log.dropped"]
    old = today() - timedelta(days=FLOOR + 1)
    assert entry["detail"] == {"day": old.isoformat(), "rows": 3, "role": role}
    assert (entry["way"], entry["caller"], entry["id"].version) == (way, None, 7)
    assert before - timedelta(minutes=1) < entry["at"] < datetime.now(UTC) + timedelta(minutes=1)
    assert abs((entry["id"].int >> 80) / 1000 - entry["at"].timestamp()) < 1


def test_what_is_not_dropped_leaves_none(database, application, days):
    """A drop that is rolled back, or refused, is not in the trail: both happen together or not at all."""
    application.execute(_DROP, [today() - timedelta(days=FLOOR)])
    application.rollback()
    refused(application, _DROP, today() - timedelta(days=FLOOR - 1))
    assert [each for each in trail(database) if each["act"] == "decision_log.dropped"] == []


def test_a_shorter_retention_waits_for_the_floor(database, owner, days):
    """The service starts with a retention below the floor, keeps the days that the owner wants, and drops the rest."""
    with running(database, decision_log_retention=timedelta(days=2)) as api:
        assert api.call("GET", "/readyz").status_code == 200
    assert kept(owner, days) == {FLOOR}


def test_a_change_of_the_owner_s_is_in_the_trail(database, owner):
    """Before and after, whichever way the owner changed it."""
    owner.execute("UPDATE owner_limit SET log_floor_days = 365")
    owner.commit()
    [entry] = [each for each in trail(database) if each["act"] == "owner_limits.changed"][-1:]
    assert (entry["detail"]["log_floor_days_before"], entry["detail"]["log_floor_days"]) == (FLOOR, 365)
    assert (entry["way"], entry["caller"]) == ("command", None)


def test_the_row_stays(passing_owner):
    """Not even the owner takes the row away, or adds a second one: without it nothing would be dropped or timed."""
    for statement in ("DELETE FROM owner_limit", "TRUNCATE owner_limit"):
        assert "refused" in refused(passing_owner, statement)
    for more in (True, False):
        refused(passing_owner, sql.SQL("INSERT INTO owner_limit VALUES ({}, 1, '0')").format(sql.Literal(more)))
