"""How often a person may be asked: three times in a half-year, once after a no, once at their own request."""

from datetime import UTC, date, datetime

import pytest

from app.core.renewal import Solicited, half_year, next_half_year
from tests.support.api import utc

JANUARY, MARCH, MAY = utc("2026-01-10T10:00:00Z"), utc("2026-03-10T10:00:00Z"), utc("2026-05-10T10:00:00Z")


@pytest.mark.parametrize(
    ("at", "begins", "ends"),
    [
        ("2026-06-30T21:59:59Z", date(2026, 1, 1), datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-06-30T22:00:00Z", date(2026, 7, 1), datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026-12-31T22:59:59Z", date(2026, 7, 1), datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026-12-31T23:00:00Z", date(2027, 1, 1), datetime(2027, 6, 30, 22, tzinfo=UTC)),
    ],
)
def test_half_years_are_civil_ones_of_paris(at, begins, ends):
    """Half-years begin at midnight in Paris, on 1 January and 1 July."""
    assert (half_year(utc(at)), next_half_year(utc(at))) == (begins, ends)


@pytest.mark.parametrize(
    ("solicitations", "no", "by_person", "enough"),
    [
        (Solicited(), None, False, False),
        (Solicited((JANUARY, MARCH)), None, False, False),
        (Solicited((JANUARY, MARCH, MAY)), None, False, True),
        (Solicited((JANUARY, MARCH, MAY)), None, True, True),
        (Solicited((JANUARY,)), MARCH, False, False),
        (Solicited((JANUARY, MAY)), MARCH, False, True),
        (Solicited((JANUARY, MAY)), MARCH, True, False),
        (Solicited((JANUARY,), by_person=True), None, True, True),
        (Solicited((JANUARY,), by_person=True), None, False, False),
    ],
)
def test_what_is_enough(solicitations, no, by_person, enough):
    """A person is asked three times at most, once after a no, and once at their own request."""
    assert solicitations.is_enough(no, by_person=by_person) is enough
