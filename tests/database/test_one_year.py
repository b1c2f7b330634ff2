from datetime import UTC, date, datetime, time, timedelta

import psycopg
import pytest

from app.core.article import PARIS
from app.core.period import ONE_YEAR, Counting, PeriodPolicy
from tests.support.api import utc

ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Marquesas", "America/New_York", "Asia/Kathmandu", "Europe/Paris")
FULL_YEARS = (
    # collected, and the last instant that is within one civil year in Paris
    ("2026-03-10T09:00:00+00:00", "2027-03-10T09:00:00+00:00"),
    ("2028-02-29T11:00:00+00:00", "2029-02-28T11:00:00+00:00"),
    ("2027-03-01T11:00:00+00:00", "2028-03-01T11:00:00+00:00"),
    ("2026-03-29T00:30:00+00:00", "2027-03-29T00:30:00+01:00"),  # before the change of hour; summer time a year later
    ("2026-10-25T00:30:00+00:00", "2027-10-25T00:30:00+00:00"),  # the first of two half past two
    ("2026-12-31T23:30:00+00:00", "2027-12-31T23:30:00+00:00"),  # already 2027 in Paris
)


@pytest.fixture(params=ZONES)
def ledger(passing_owner, request):
    """A table with the ledger's checks and nothing else of it, in a session with an odd time zone."""
    passing_owner.execute(f"SET timezone = '{request.param}'")
    passing_owner.execute("CREATE TEMP TABLE scratch (LIKE consent_event INCLUDING CONSTRAINTS)")
    return passing_owner


def _accepts(connection: psycopg.Connection, collected: datetime, expires: datetime) -> bool:
    row = {"seq": 1, "kind": "granted", "processing": "ads", "version": 1, "text_known": True, "imported": True}
    values = [b"\0" * 32, "0" * 32, collected, collected, expires, "{}", "0" * 32, *row.values()]
    columns = "subject_ref, id, collected_at, recorded_at, expires_at, evidence, recorded_by, " + ", ".join(row)
    marks = ", ".join(["%s"] * len(values))
    try:
        with connection.transaction():
            connection.execute(f"INSERT INTO scratch ({columns}) VALUES ({marks})", values)
    except psycopg.errors.CheckViolation as error:
        refused_by = error.diag.constraint_name
    else:
        return True
    assert refused_by == "ck_consent_event_one_year"
    return False


@pytest.mark.parametrize(("collected", "last"), FULL_YEARS)
def test_a_year_is_accepted_and_a_microsecond_more_is_not(ledger, collected, last):
    """The longest expiry is the same local time in Paris one civil year later, whatever the session's time zone."""
    assert _accepts(ledger, utc(collected), utc(last))
    assert not _accepts(ledger, utc(collected), utc(last) + timedelta(microseconds=1))


def test_an_expiry_before_its_collection_is_refused(ledger):
    """A consent that would have expired when it was given is refused."""
    assert not _accepts(ledger, utc("2026-03-10T09:00:00Z"), utc("2026-03-10T09:00:00Z"))


def _moments() -> list[datetime]:
    """Half-hours around every change of hour, leap day and turn of a year, for eight years."""
    days = [date(2024, 1, 1) + timedelta(days=each) for each in range(8 * 366)]
    near = [
        day
        for day in days
        if (day.month, day.day) in {(1, 1), (12, 31), (2, 28), (2, 29), (3, 1)}
        or (day.month in {3, 10} and day.day > 23)
    ]
    clock = [time(hour, minute) for hour in (0, 1, 2, 3, 23) for minute in (0, 30)]
    local = [datetime.combine(day, at, PARIS).replace(fold=fold) for day in near for at in clock for fold in (0, 1)]
    return sorted({moment.astimezone(UTC) for moment in local})


@pytest.mark.parametrize("counting", Counting)
def test_the_database_accepts_every_year_that_the_core_counts(passing_owner, counting):
    """No grant that the rules allow is refused by the check, around each change of hour and leap day."""
    policy = PeriodPolicy(counting, ONE_YEAR)
    rows = passing_owner.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_consent_event_one_year'"
    )
    check = rows.fetchone()[0].removeprefix("CHECK ")
    passing_owner.execute("CREATE TEMP TABLE counted (collected_at timestamptz, expires_at timestamptz)")
    with passing_owner.cursor() as cursor:
        pairs = [(moment, policy.expiry(moment, ONE_YEAR)) for moment in _moments()]
        cursor.executemany("INSERT INTO counted VALUES (%s, %s)", pairs)
    assert len(pairs) > 1_000
    assert passing_owner.execute(f"SELECT * FROM counted WHERE NOT ({check})").fetchall() == []
