"""Refusals and withdrawals under a name carry over to the person who bears it; grants do not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.consent import AgeBand, EventKind
from app.core.fold import fold
from app.core.names import NOES, carried_over
from app.core.period import PeriodPolicy
from tests.core.builders import ADS, event, granted, processing, utc
from tests.core.properties.registers import INSTANTS
from tests.core.properties.strategies import events

REFUSED, WITHDRAWN, CLOSED = EventKind.REFUSED, EventKind.WITHDRAWN, EventKind.CLOSED
APRIL, MAY = utc("2026-04-01"), utc("2026-05-01")


def no(kind=WITHDRAWN, day="2026-04-01", order=2, about=ADS):
    """A no, about a processing or about all."""
    return event(kind, day, order, processing=about, version=None if about is None else 1)


def closed(day="2026-05-01", order=3):
    """The end of the account."""
    return event(CLOSED, day, order, processing=None, version=None)


@pytest.mark.parametrize("kind", [REFUSED, WITHDRAWN])
@pytest.mark.parametrize(
    ("also", "expected"),
    [
        ([], [(ADS, APRIL)]),
        ([granted("2026-05-01", 3)], [(ADS, APRIL)]),
        ([no(day="2026-05-01", order=3)], [(ADS, APRIL), (ADS, MAY)]),
        ([no(day="2026-05-01", order=3, about=None)], [(ADS, APRIL), (None, MAY)]),
        ([no(day="2026-05-01", order=3, about="stats")], [(ADS, APRIL), ("stats", MAY)]),
        ([event(CLOSED, "2026-05-01", 3, processing=ADS, version=None)], [(ADS, APRIL)]),
        ([closed()], []),
        ([closed(day="2026-04-03"), no(day="2026-05-01", order=4)], [(ADS, MAY)]),
        ([closed(day="2026-04-03"), no(day="2026-04-04", order=4), closed(order=5)], []),
    ],
)
def test_each_no_to_a_processing_and_to_all_is_found(kind, also, expected):
    """Each no carries over with its date, even after a later grant; only a closure of the account wipes it."""
    noes = carried_over([granted("2026-03-10", 1), no(kind), *also])
    assert [(each.processing, each.collected_at) for each in noes] == expected
    assert all(each.kind is kind for each in noes if each.collected_at == APRIL)


def test_each_statement_of_age_is_found():
    """A statement of age carries over even if it came with a grant; a grant without an age does not."""
    young = granted("2026-03-10", 1, age_band=AgeBand.UNDER_15)
    older = event(EventKind.AGE_STATED, "2026-05-01", 2, processing=None, version=None, age_band=AgeBand.ADULT)
    assert carried_over([granted("2026-03-11", 3), older, young]) == [young, older]


@given(st.data(), INSTANTS)
def test_no_consent_outlives_a_no_that_was_said_by_another_name(data, at):
    """After one ledger's noes are carried into another, a grant that is latest there is later than each of them."""
    kinds = (EventKind.GRANTED, REFUSED, WITHDRAWN)
    mine, theirs = (data.draw(st.lists(events(at, 0, kinds), max_size=4)) for _ in range(2))
    noes = [each for each in carried_over(mine) if each.kind in NOES]
    carried = [replace(each, order=100) for each in noes if each.collected_at <= at]
    latest = fold([*theirs, *carried], processing(), at, PeriodPolicy()).latest
    if latest is not None and latest.kind is EventKind.GRANTED:
        assert all(latest.collected_at > each.collected_at for each in carried if each.concerns(ADS))
