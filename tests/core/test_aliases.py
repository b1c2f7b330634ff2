"""What one name of a person says about the others: the latest noes and the younger ages are recorded there too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.aliases import FOLLOWED, ages_to_carry, refusals_to_carry
from app.core.consent import AgeBand, EventKind
from app.core.fold import fold
from app.core.grant import defects
from tests.core.builders import ADS, event, granted, processing, utc

AGE, CLOSED, EXPIRED, GRANTED = EventKind.AGE_STATED, EventKind.CLOSED, EventKind.EXPIRED, EventKind.GRANTED
REFUSED, WITHDRAWN = EventKind.REFUSED, EventKind.WITHDRAWN
MARCH, APRIL, MAY, JUNE = (utc(f"2026-0{month}-01") for month in (3, 4, 5, 6))
YES = granted("2026-03-10", 1)


def no(kind=WITHDRAWN, day="2026-04-01", order=2, processing=ADS):
    """A no, about a processing or about all."""
    return event(kind, day, order, processing=processing, version=None if processing is None else 1)


def closed(day, order, processing=None):
    """A closure of the account, or the sweep's of one processing."""
    return event(CLOSED, day, order, processing=processing, version=None)


def age(band, day, order=1):
    """An age, stated on no processing."""
    return event(AGE, day, order, processing=None, version=None, age_band=band)


@pytest.mark.parametrize("kind", [REFUSED, WITHDRAWN])
@pytest.mark.parametrize(
    ("theirs", "carried"),
    [
        ([], [(ADS, APRIL)]),
        ([YES], [(ADS, APRIL)]),
        ([granted("2026-05-01")], [(ADS, APRIL)]),
        ([no(day="2026-03-01")], [(ADS, APRIL)]),
        ([no(day="2026-04-01")], []),
        ([no(day="2026-04-01"), granted("2026-04-01", 3)], [(ADS, APRIL)]),
        ([no(day="2026-05-01")], []),
        ([no(day="2026-05-01", processing=None)], []),
        ([no(day="2026-05-01", processing="stats")], [(ADS, APRIL)]),
        ([no(day="2026-05-01"), closed("2026-05-02", 3)], [(ADS, APRIL)]),
    ],
)
def test_a_no_stands_under_the_other_name_too(kind, theirs, carried):
    """With its own date, unless a no that is as late, and covers as much, stands there and no yes of that instant."""
    assert refusals_to_carry([no(kind)], theirs) == carried


def test_the_latest_no_of_each_processing_is_carried():
    """Also one before a yes under its own name; of the processings sorted by name, and of all of them at once."""
    assert refusals_to_carry([no(), granted("2026-05-01", 3)], []) == [(ADS, APRIL)]
    mine = [no(day="2026-05-01", order=3), no(order=2), no(day="2026-03-01", order=4, processing=None)]
    assert refusals_to_carry(mine, []) == refusals_to_carry(mine[::-1], []) == [(None, MARCH), (ADS, MAY)]
    assert refusals_to_carry([no(), no(processing=None)], []) == [(None, APRIL)]
    assert refusals_to_carry([no(processing="stats"), no()], []) == [(ADS, APRIL), ("stats", APRIL)]


def test_what_is_no_no_is_not_carried():
    """A yes, a note of the system, a closure of one processing, and what was said before the account was closed."""
    assert refusals_to_carry([YES, event(EXPIRED, "2026-04-02", 3), closed("2026-04-03", 4, "stats")], []) == []
    assert refusals_to_carry([no(), closed("2026-05-01", 3)], []) == []
    assert refusals_to_carry([no(), closed("2026-05-01", 3, "stats")], []) == [(ADS, APRIL)]


def test_a_grant_is_never_followed():
    """Only what narrows follows from name to name."""
    assert frozenset({WITHDRAWN, REFUSED, CLOSED}) == FOLLOWED


CHILD, MINOR, ADULT = AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, AgeBand.ADULT


@pytest.mark.parametrize(
    ("mine", "theirs", "carried"),
    [
        ([], [], []),
        ([age(ADULT, "2026-04-01")], [age(CHILD, "2026-04-01")], []),
        ([age(ADULT, "2026-04-01")], [], []),
        ([age(CHILD, "2026-04-01")], [], [(CHILD, APRIL), (CHILD, JUNE)]),
        ([age(CHILD, "2026-04-01")], [age(ADULT, "2026-03-01")], [(CHILD, APRIL), (CHILD, JUNE)]),
        ([age(CHILD, "2026-04-01")], [age(CHILD, "2026-03-01")], [(CHILD, JUNE)]),
        ([age(MINOR, "2026-04-01")], [age(CHILD, "2026-03-01")], []),
        ([age(CHILD, "2026-04-01")], [age(ADULT, "2026-05-01")], [(CHILD, APRIL), (CHILD, JUNE)]),
        ([age(CHILD, "2026-03-01"), age(ADULT, "2026-05-01", 2)], [], [(CHILD, MARCH)]),
        ([age(MINOR, "2026-03-01"), age(CHILD, "2026-04-01", 2)], [], [(MINOR, MARCH), (CHILD, APRIL), (CHILD, JUNE)]),
        ([age(CHILD, "2026-03-01"), age(CHILD, "2026-04-01", 2)], [], [(CHILD, MARCH), (CHILD, JUNE)]),
        ([age(CHILD, "2026-07-01")], [], []),
        ([age(CHILD, "2026-04-01")], [age(CHILD, "2026-04-01"), age(CHILD, "2026-06-01", 2)], []),
    ],
)
def test_an_age_is_carried_to_where_the_person_would_be_older(mine, theirs, carried):
    """At its date where it makes younger, and at the instant of the link (June) a minor's; nothing that makes older."""
    assert ages_to_carry(mine, theirs, JUNE) == carried


DAYS = st.dates(utc("2026-01-01").date(), utc("2026-06-30").date()).map(str)
SAID = st.lists(st.tuples(st.sampled_from([GRANTED, REFUSED, WITHDRAWN]), st.sampled_from([ADS, None]), DAYS))


def _events(said):
    return [
        event(kind, day, order, processing=ADS if kind is not WITHDRAWN else about, version=1)
        for order, (kind, about, day) in enumerate(said, 1)
    ]


def _in_order(events):
    return [replace(each, order=order) for order, each in enumerate(events, 1)]


@given(mine=SAID, theirs=SAID, late=st.lists(DAYS, max_size=3))
def test_linked_afterwards_is_as_linked_before(mine, theirs, late):
    """With the noes that are carried, a name permits what it would permit with every no of the other, late yeses too.

    Each no that is left out is one that changes nothing; without any carried the property fails.
    """
    mine, theirs = _events(mine), _events(theirs)
    late = [granted(day) for day in late]
    carried = [no(day=str(at), processing=about) for about, at in refusals_to_carry(mine, theirs)]
    every = [each for each in mine if each.kind is not GRANTED]
    now = utc("2026-07-01")
    afterwards = fold(_in_order([*theirs, *carried, *late]), processing(), now)
    before = fold(_in_order([*theirs, *every, *late]), processing(), now)
    assert (afterwards.grant is None) == (before.grant is None)


@given(ages=st.lists(st.tuples(st.sampled_from(AgeBand), DAYS)), days=st.lists(DAYS, min_size=1), link=DAYS.map(utc))
def test_what_a_child_consented_to_alone_counts_under_no_name(ages, days, link):
    """Whom somebody took for under fifteen when they consented, or since, has not consented under the other name."""
    mine = [age(band, day, order) for order, (band, day) in enumerate(ages, 1)]
    theirs = [granted(day, order) for order, day in enumerate(days, 1)]
    carried = [age(band, str(at), 100 + order) for order, (band, at) in enumerate(ages_to_carry(mine, theirs, link))]
    known = [each for each in mine if each.collected_at <= link]
    as_one, linked = (fold([*theirs, *_in_order(other)], processing(), link).grant for other in (known, carried))
    if as_one is not None and defects(as_one, processing(), link):
        assert linked is not None
        assert defects(linked, processing(), link)
