from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidPeriodError
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from tests.core.builders import utc
from tests.core.properties.registers import INSTANTS, PERIODS, TICK
from tests.core.properties.strategies import ANY_INSTANT, POLICIES
from tests.core.properties.years import PARIS, civil_date, lapse, later_date, midnight

START_OF_DAY = PeriodPolicy()
SAME_INSTANT = PeriodPolicy(counting=Counting.SAME_INSTANT)


def test_same_instant_in_the_hour_that_does_not_exist_is_the_earlier_instant():
    """02:30 on a morning that jumps from 02:00 to 03:00 is read as 00:30 UTC, never as an instant after the jump."""
    assert SAME_INSTANT.expiry(utc("2026-03-28T01:30:00Z"), ConsentPeriod.parse("P1D")) == utc("2026-03-29T00:30:00Z")


def test_same_instant_in_the_hour_that_exists_twice_is_the_earlier_instant():
    """02:30 on a morning that shows 02:30 twice is the first of the two."""
    assert SAME_INSTANT.expiry(utc("2026-10-24T00:30:00Z"), ConsentPeriod.parse("P1D")) == utc("2026-10-25T00:30:00Z")


@pytest.mark.parametrize(
    ("period", "collected", "lapses"),
    [
        ("P1M", "2026-01-31T12:00:00Z", "2026-02-27T23:00:00Z"),
        ("P1M", "2026-12-15T12:00:00Z", "2027-01-14T23:00:00Z"),
        ("P6M", "2026-08-31T10:00:00Z", "2027-02-27T23:00:00Z"),
        ("P11M", "2026-01-05T10:00:00Z", "2026-12-04T23:00:00Z"),
        ("P12M", "2026-01-05T10:00:00Z", "2027-01-04T23:00:00Z"),
        ("P90D", "2026-03-10T09:00:00Z", "2026-06-07T22:00:00Z"),
        ("P2W", "2026-03-10T09:00:00Z", "2026-03-23T23:00:00Z"),
        ("P1D", "2026-03-10T22:59:59Z", "2026-03-10T23:00:00Z"),
    ],
)
def test_a_shorter_period_counts_months_like_years_and_days_as_days(period, collected, lapses):
    """Months end on the same day or on the month's last; days and weeks are civil days in Paris."""
    assert START_OF_DAY.expiry(utc(collected), ConsentPeriod.parse(period)) == utc(lapses)


def test_no_period_and_no_ceiling_exceeds_the_year_of_iv():
    """Even values that no parser lets through are bounded by one year."""
    two_years = ConsentPeriod(months=24, days=0)
    assert PeriodPolicy(ceiling=two_years).expiry(utc("2026-03-10T09:00:00Z"), two_years) == utc("2027-03-09T23:00:00Z")


@given(ANY_INSTANT | INSTANTS, PERIODS, POLICIES)
def test_an_expiry_is_never_later_than_one_civil_year(collected, period, policy):
    """An expiry is after the collection and never after the anniversary in Paris, for any period and counting."""
    expiry = policy.expiry(collected, period)
    anniversary = later_date(civil_date(collected), 12, 0)
    clock = collected.astimezone(PARIS).time()
    wall = expiry.astimezone(PARIS).replace(tzinfo=None)
    assert collected < expiry
    assert wall <= datetime.combine(anniversary, clock)
    if policy.counting is Counting.START_OF_DAY:
        assert expiry <= midnight(anniversary)


@given(ANY_INSTANT | INSTANTS, PERIODS, POLICIES)
def test_an_expiry_is_the_earliest_of_the_period_the_ceiling_and_the_year(collected, period, policy):
    """Counting by hand on civil dates gives the same instant."""
    bounds = [(period.months, period.days), (policy.ceiling.months, policy.ceiling.days), (12, 0)]
    assert policy.expiry(collected, period) == min(lapse(collected, *each, policy.counting) for each in bounds)


@given(ANY_INSTANT | INSTANTS, PERIODS, POLICIES, st.integers(-12, 12))
def test_an_expiry_depends_on_the_instant_and_not_on_how_it_is_written(collected, period, policy, hours):
    """An instant that is written with another offset has the expiry that it has in UTC."""
    elsewhere = collected.astimezone(timezone(timedelta(hours=hours)))
    assert policy.expiry(elsewhere, period) == policy.expiry(collected, period)
    assert policy.expiry(collected, period).utcoffset() == timedelta(0)


@given(INSTANTS, PERIODS)
def test_a_later_collection_never_lapses_earlier(collected, period):
    """A consent collected a moment later never lapses earlier."""
    assert START_OF_DAY.expiry(collected + TICK, period) >= START_OF_DAY.expiry(collected, period)


@pytest.mark.parametrize(
    ("text", "months", "days"),
    [
        ("P1Y", 12, 0),
        ("P12M", 12, 0),
        ("P1M", 1, 0),
        ("P52W", 0, 364),
        ("P1W", 0, 7),
        ("P365D", 0, 365),
        ("P1D", 0, 1),
    ],
)
def test_a_period_of_one_unit_up_to_a_year_is_read(text, months, days):
    """Years and months are kept as months, weeks and days as days."""
    assert ConsentPeriod.parse(text) == ConsentPeriod(months, days)


@pytest.mark.parametrize(
    "text",
    [
        "P2Y",
        "P13M",
        "P53W",
        "P366D",
        "P0D",
        "P0M",
        "P-1M",
        "P1Y6M",
        "PT24H",
        "P01M",
        "p1y",
        "1Y",
        "P",
        "",
        " P1Y",
        "P1Y\n",
        "P\u0661M",
    ],
)
def test_any_other_period_is_refused(text):
    """A period that is longer than a year, empty, of two units or badly written is refused."""
    with pytest.raises(InvalidPeriodError):
        ConsentPeriod.parse(text)


@pytest.mark.parametrize(("text", "written"), [("P1Y", "P1Y"), ("P12M", "P1Y"), ("P6M", "P6M"), ("P2W", "P14D")])
def test_a_period_is_written_in_iso_8601(text, written):
    """A period is written in the shortest of months or days, twelve months as a year."""
    assert str(ConsentPeriod.parse(text)) == written
    assert ConsentPeriod.parse(written) == ConsentPeriod.parse(text)


def test_the_shorter_period_is_the_one_people_are_told():
    """Days are compared with days and months with months; the deployment's ceiling counts when it is shorter."""
    quarter, month, days = (ConsentPeriod.parse(each) for each in ("P3M", "P1M", "P30D"))
    assert PeriodPolicy(ceiling=month).shorter(quarter) == month
    assert PeriodPolicy(ceiling=ConsentPeriod.parse("P90D")).shorter(days) == days
    assert PeriodPolicy(ceiling=days).shorter(ConsentPeriod.parse("P90D")) == days
