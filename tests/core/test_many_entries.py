"""A person of many entries: what is asked of them costs in proportion to what they said.

One person who presses a button again and again must not make the others wait. Counted are calls, not seconds.
"""

import sys
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from uuid import UUID

import pytest

from app.core.consent import AgeBand, AgeWeight, Collection, ConsentEvent, EventKind, GivenBy, State
from app.core.evaluate import evaluate
from app.core.fold import fold, project
from app.core.period import PeriodPolicy
from app.core.processing import Invalidation, Status, StatusChange
from app.core.renewal import NEVER_FLAGGED, Renewal, examine
from tests.core.builders import ADS, ALICE, asked, processing, utc, version

AT = utc("2026-06-01")
FEW, MANY = 100, 400
CHILD = AgeBand.UNDER_15
SIDES = (GivenBy.SELF, GivenBy.PARENT)


REGISTERED = processing(version(), version(2, material=True, effective_from="2027-01-01"))
"""Version 2 is not in force yet."""


def entry(kind, number, processing=ADS, to=1, **collection):
    """The entry of that number, one a minute, to a version."""
    at = utc("2026-01-01") + timedelta(minutes=number)
    return ConsentEvent(UUID(int=number), kind, processing, at, number, to, None, Collection(**collection))


def age(number, band, **facts):
    """A statement of age."""
    return entry(EventKind.AGE_STATED, number, None, age_band=band, **facts)


def turns_15(number):
    """The statement that a child turns 15 on a day, another one for each number."""
    return age(number, CHILD, under_15_until=date(2030, 1, 1) + timedelta(days=number), age_weight=AgeWeight.OPERATOR)


PEOPLE = {
    "consents": lambda number: entry(EventKind.GRANTED, number),
    "changes their mind": lambda number: entry((EventKind.GRANTED, EventKind.WITHDRAWN)[number % 2], number),
    "a child alone": lambda number: entry(EventKind.GRANTED, number, age_band=CHILD),
    "a child alone, of a stated age": lambda number: age(1, CHILD) if number == 1 else entry(EventKind.GRANTED, number),
    "child and parent": lambda number: entry(EventKind.GRANTED, number, given_by=SIDES[number % 2], age_band=CHILD),
    "two ages": lambda number: age(number, (CHILD, AgeBand.ADULT)[number % 2]),
    "many birthdays": turns_15,
    "closes again and again": lambda number: (
        entry(EventKind.GRANTED, number, age_band=CHILD) if number % 2 else entry(EventKind.CLOSED, number, None)
    ),
    "consents ahead": lambda number: entry(EventKind.GRANTED, number, to=2),
    "consents to now and to what comes": lambda number: entry(EventKind.GRANTED, number, to=1 + number % 2),
    "consents ahead, of many ages": lambda number: (
        entry(EventKind.GRANTED, number, to=2) if number % 2 else age(number, AgeBand.ADULT)
    ),
    "consents to everything": lambda number: entry(EventKind.GRANTED, number, f"{ADS}-{number}" if number > 1 else ADS),
}


def judged(events):
    """A decision about the person."""
    evaluate(asked(), REGISTERED, {ALICE: events}, AT)


def projected(events):
    """The rows of all consents, as a write makes them."""
    project(events, {each.processing: replace(REGISTERED, id=each.processing) for each in events if each.processing})


def listed(events):
    """The states of all consents, as a list shows them, and when they end."""
    standing = fold(events, REGISTERED, AT, PeriodPolicy())
    for each in events:
        if each.kind is EventKind.GRANTED and each.processing == ADS:
            assert standing.state_of(each) in State
            assert standing.expiry_of(each) > each.collected_at


def swept(events):
    """What the sweep finds of all consents when they are over: a year later, or once the processing is retired."""
    over = replace(REGISTERED, invalidations=(Invalidation(AT, 1),), status_changes=(StatusChange(AT, Status.RETIRED),))
    later, retired = fold(events, REGISTERED, utc("2027-06-01"), PeriodPolicy()), fold(events, over, AT, PeriodPolicy())
    for standing, each in product((later, retired), events):
        if each.kind is EventKind.GRANTED and each.processing == ADS:
            assert examine(each, standing, NEVER_FLAGGED, Renewal(PeriodPolicy())).stage is not None


def calls(work, events):
    """How many calls of the interpreter some work takes."""
    count = 0

    def note(_frame, kind, _what):
        nonlocal count
        count += kind in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work(events)
    finally:
        sys.setprofile(None)
    return count


def is_in_proportion(work, person):
    """Whether four times the entries take no more than six times the calls; the square of it would be sixteen."""
    few, many = ([person(number) for number in range(1, size + 1)] for size in (FEW, MANY))
    return calls(work, many) <= 6 * calls(work, few)


@pytest.mark.parametrize("work", [judged, projected, listed, swept])
@pytest.mark.parametrize("person", PEOPLE.values(), ids=PEOPLE)
def test_what_a_person_says_often_costs_in_proportion(person, work):
    """Four times as many entries do not take sixteen times the work, whoever gives them and whatever is asked."""
    assert is_in_proportion(work, person)


def test_the_count_can_tell():
    """Control: work that compares each entry with all others is found."""

    def square(events):
        for one in events:
            assert max(other.order for other in events) >= one.order

    assert not is_in_proportion(square, PEOPLE["consents"])
