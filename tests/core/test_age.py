from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.consent import (
    AgeAtGrant,
    AgeBand,
    Ages,
    AgeWeight,
    CheckedHow,
    Collection,
    EventKind,
    GivenBy,
    StatedBy,
    age_known,
    age_weight,
    ages_stated,
    makes_older,
    makes_younger,
)
from tests.core.builders import event, granted, utc

AT = utc("2026-06-15T12:00:00")
CLOSED = EventKind.CLOSED
CHILD, TEEN, ADULT = AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, AgeBand.ADULT
OWN, PARENT, OPERATOR, DOCUMENT = AgeWeight


def stated(band, at, order, weight=AgeWeight.OWN_WORD, **more):
    """A statement of age by itself."""
    return event(EventKind.AGE_STATED, at, order, processing=None, age_band=band, age_weight=weight, **more)


@pytest.mark.parametrize(
    ("stated_by", "checked_how", "given_by", "weight"),
    [
        (StatedBy.OPERATOR, CheckedHow.IDENTITY_DOCUMENT, GivenBy.SELF, DOCUMENT),
        (StatedBy.SELF, CheckedHow.IDENTITY_DOCUMENT, GivenBy.SELF, DOCUMENT),
        (StatedBy.OPERATOR, CheckedHow.NOT_CHECKED, GivenBy.SELF, OPERATOR),
        (StatedBy.OPERATOR, CheckedHow.ACCOUNT_DATA, GivenBy.SELF, OPERATOR),
        (StatedBy.PARENT, CheckedHow.PAYMENT_CARD, GivenBy.SELF, PARENT),
        (StatedBy.SELF, CheckedHow.ACCOUNT_DATA, GivenBy.SELF, OWN),
        (None, CheckedHow.NOT_CHECKED, GivenBy.PARENT, PARENT),
        (None, CheckedHow.NOT_CHECKED, GivenBy.BOTH, PARENT),
        (None, CheckedHow.NOT_CHECKED, GivenBy.SELF, OWN),
        (None, CheckedHow.NOT_CHECKED, GivenBy.ADMINISTRATOR, OWN),
    ],
)
def test_a_statement_weighs_by_who_made_it_and_how_it_was_checked(stated_by, checked_how, given_by, weight):
    """A document 4, the operator's own data 3, a parent's word 2, one's own word 1 (law.md, "Age")."""
    assert age_weight(stated_by, checked_how, given_by) is weight


def test_weights_are_stored_as_these_numbers():
    """Each weight keeps its number, because the numbers are stored with ages and their order decides."""
    assert [(each.name, each.value) for each in (OWN, PARENT, OPERATOR, DOCUMENT)] == [
        ("OWN_WORD", 1),
        ("PARENT", 2),
        ("OPERATOR", 3),
        ("IDENTITY_DOCUMENT", 4),
    ]


@pytest.mark.parametrize(
    ("statements", "believed"),
    [
        ([(CHILD, DOCUMENT), (ADULT, OWN)], CHILD),
        ([(CHILD, DOCUMENT), (ADULT, OPERATOR)], CHILD),
        ([(CHILD, DOCUMENT), (ADULT, DOCUMENT)], ADULT),
        ([(CHILD, OWN), (TEEN, OWN)], TEEN),
        ([(CHILD, PARENT), (TEEN, OWN)], CHILD),
        ([(ADULT, DOCUMENT), (CHILD, OWN)], CHILD),
        ([(ADULT, DOCUMENT), (CHILD, OWN), (ADULT, OWN)], ADULT),
        ([(CHILD, DOCUMENT), (CHILD, OWN), (ADULT, OWN)], CHILD),
        ([(CHILD, DOCUMENT), (TEEN, DOCUMENT), (CHILD, OWN), (TEEN, OWN)], CHILD),
    ],
)
def test_who_is_older_is_believed_only_by_a_statement_that_weighs_as_much(statements, believed):
    """A younger age is believed at once; an older one must weigh as much as the heaviest that it contradicts."""
    events = [stated(band, f"2026-01-{order:02}", order, weight) for order, (band, weight) in enumerate(statements, 1)]
    assert age_known(events, AT) is believed


@pytest.mark.parametrize(
    ("first", "second", "believed"),
    [
        (("2026-01-05", DOCUMENT, date(2026, 3, 10)), ("2026-02-01", OWN, None), TEEN),
        (("2026-01-05", DOCUMENT, date(2026, 3, 10)), ("2026-03-11", OWN, None), CHILD),
        (("2026-01-05", PARENT, date(2026, 3, 10)), ("2026-02-01", PARENT, None), TEEN),
        (("2026-01-05", PARENT, date(2026, 3, 10)), ("2026-02-01", OPERATOR, None), CHILD),
        (("2026-01-05", OWN, None), ("2026-02-01", DOCUMENT, date(2026, 3, 10)), TEEN),
        (("2026-01-05", DOCUMENT, None), ("2026-02-01", OWN, date(2026, 3, 10)), CHILD),
        (("2026-01-05", DOCUMENT, date(2026, 3, 10)), ("2026-02-01", OWN, date(2026, 9, 10)), CHILD),
        (("2026-01-05", DOCUMENT, date(2026, 9, 10)), ("2026-02-01", OWN, date(2026, 3, 10)), CHILD),
        (("2026-01-05", OWN, date(2026, 9, 10)), ("2026-02-01", DOCUMENT, date(2026, 3, 10)), TEEN),
    ],
    ids=[
        "said again",
        "said after the day",
        "said again as surely",
        "the day too light",
        "a day added",
        "too light",
        "a later day",
        "too light an earlier",
        "earlier",
    ],
)
def test_a_statement_speaks_of_the_day_on_which_it_is_made(first, second, believed):
    """A child that is called one again turns 15 on its day; another day counts as an older or a younger age does."""
    ages = [stated(CHILD, at, n, weight, under_15_until=day) for n, (at, weight, day) in enumerate((first, second), 1)]
    assert age_known(ages, AT) is believed


OLDEST_FIRST = (ADULT, TEEN, CHILD)
DAYS = st.dates(date(2026, 1, 1), date(2026, 6, 1))


@given(
    st.lists(st.tuples(DAYS, st.sampled_from(OLDEST_FIRST), st.sampled_from(AgeWeight), st.none() | DAYS), max_size=8),
    st.data(),
)
def test_the_age_at_a_grant_is_what_was_known_or_what_is_younger_since(statements, data):
    """For any dates and ledger orders: the age dated and recorded before the grant, or any younger one stated since."""
    orders = data.draw(st.permutations(range(len(statements) + 1)))
    ages = [
        stated(band, str(day), order, weight, under_15_until=until)
        for (day, band, weight, until), order in zip(statements, orders[1:], strict=True)
    ]
    grant = granted(str(data.draw(DAYS)), orders[0])
    at = grant.collected_at
    before = [each for each in ages if each.rank <= grant.rank and each.order <= grant.order]
    since = [Ages([each]).known(at) for each in ages if each not in before]
    stood = ages_stated(before, at).known(at)
    youngest = max([stood or ADULT, *since], key=OLDEST_FIRST.index)
    band = stood if youngest is (stood or ADULT) else youngest
    assert ages_stated(ages, AT).at_grant(grant) == AgeAtGrant(band, stated=bool(before))


@pytest.mark.parametrize(
    ("before", "own", "after", "band", "known_then"),
    [
        (None, None, None, None, False),
        (CHILD, None, None, CHILD, True),
        (CHILD, ADULT, None, ADULT, True),
        (ADULT, None, CHILD, CHILD, True),
        (CHILD, None, ADULT, CHILD, True),
        (None, TEEN, ADULT, TEEN, True),
        (None, None, ADULT, None, False),
        (None, None, TEEN, TEEN, False),
    ],
)
def test_for_a_grant_counts_what_stood_and_whatever_younger_was_stated_since(before, own, after, band, known_then):
    """An age stated later can only make the person younger at the grant, and does not count as stated by then."""
    grant = granted("2026-03-10", 2, age_band=own)
    statements = [
        *([stated(before, "2026-01-10", 1)] if before else []),
        *([grant] if own else []),
        *([stated(after, "2026-05-10", 3)] if after else []),
    ]
    age = ages_stated(statements, AT).at_grant(grant)
    assert (age.band, age.stated) == (band, known_then)


@pytest.mark.parametrize(
    ("statements", "order"),
    [
        ([stated(CHILD, "2026-01-10", 1), stated(ADULT, "2026-02-10", 3)], 2),
        ([stated(CHILD, "2026-01-10", 1), stated(ADULT, "2026-04-10", 2)], 3),
        ([stated(CHILD, "2026-04-10", 1)], 2),
        ([stated(CHILD, "2026-04-10", 2), stated(ADULT, "2026-05-10", 3, DOCUMENT)], 1),
    ],
    ids=["recorded later and dated before", "dated later and recorded before", "younger, dated later", "two since"],
)
def test_neither_a_later_record_nor_a_later_date_makes_a_child_older_at_a_grant(statements, order):
    """Only an age dated and recorded before a grant makes a person older at it; of later ages the youngest counts."""
    assert ages_stated(statements, AT).at_grant(granted("2026-03-10", order)).band is CHILD


def test_what_stood_before_a_grant_is_not_said_since_and_one_minor_since_counts():
    """A late record leaves an age that was outweighed before the grant alone; an adult's age since hides no minor's."""
    outweighed = [stated(CHILD, "2026-01-10", 1), stated(ADULT, "2026-02-10", 2, DOCUMENT)]
    late = stated(ADULT, "2026-02-20", 9)
    assert ages_stated([*outweighed, late], AT).at_grant(granted("2026-03-10", 5)).band is ADULT
    own = granted("2026-03-10", 5, age_band=CHILD)
    assert ages_stated([late, own], AT).at_grant(own).band is CHILD
    since = [stated(ADULT, "2026-04-10", 6), stated(TEEN, "2026-05-10", 7)]
    assert ages_stated(since, AT).at_grant(granted("2026-03-10", 1)).band is TEEN


def test_only_what_states_an_age_is_an_age_and_only_a_child_turns_15_on_a_day():
    """A decision without an age states none, and a day of turning 15 beside an adult's age has no effect."""
    assert ages_stated([granted("2026-03-10")], AT) == Ages([])
    assert age_known([stated(ADULT, "2026-01-10", 1, under_15_until=date(2026, 2, 1))], AT) is ADULT


@pytest.mark.parametrize(
    ("stated", "band"),
    [
        ([], None),
        ([None], None),
        ([AgeBand.UNDER_15, None], AgeBand.UNDER_15),
        ([AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, None, None], AgeBand.MINOR_15_PLUS),
        ([None, AgeBand.UNDER_15], AgeBand.UNDER_15),
    ],
)
def test_the_age_known_is_the_one_last_stated_among_equals(stated, band):
    """The last stated age counts, on any processing and by any kind of event; without a statement the age is None."""
    kinds = [EventKind.GRANTED, EventKind.AGE_STATED, EventKind.WITHDRAWN, EventKind.REFUSED]
    events = [
        event(kinds[order - 1], f"2026-03-{order:02}", order, age_band=age, processing=f"p{order}")
        for order, age in enumerate(stated, start=1)
    ]
    assert age_known(events, AT) is band


def test_an_age_is_forgotten_with_the_account_and_not_with_a_processing():
    """The closure of an account forgets the age; the closure of one processing does not."""
    child = event(EventKind.AGE_STATED, "2026-03-10", 1, processing=None, age_band=AgeBand.UNDER_15)
    assert age_known([child, event(CLOSED, "2026-04-01", 2, processing=None)], AT) is None
    assert age_known([child, event(CLOSED, "2026-04-01", 2)], AT) is AgeBand.UNDER_15


@pytest.mark.parametrize(
    ("before", "band", "younger", "older"),
    [
        (None, AgeBand.UNDER_15, True, False),
        (None, AgeBand.MINOR_15_PLUS, True, True),
        (None, AgeBand.ADULT, False, True),
        (None, None, False, False),
        (AgeBand.UNDER_15, None, False, False),
        (AgeBand.UNDER_15, AgeBand.UNDER_15, False, False),
        (AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, False, True),
        (AgeBand.ADULT, AgeBand.MINOR_15_PLUS, True, False),
    ],
)
def test_an_age_makes_somebody_younger_or_older_than_was_known(before, band, younger, older):
    """An unknown age counts as adult, except that a first age of 15 or more also makes the person older."""
    events = [] if before is None else [event(EventKind.AGE_STATED, "2026-03-10", 1, processing=None, age_band=before)]
    stated_now = Collection(age_band=band)
    assert makes_younger(stated_now, events, AT) is younger
    assert makes_older(stated_now, events, AT) is older


def test_an_age_to_come_is_not_known_and_the_last_closure_counts():
    """What is stated after the instant is not seen; each closure of the account forgets what was stated before."""
    child = event(EventKind.AGE_STATED, "2026-03-10", 1, processing=None, age_band=AgeBand.UNDER_15)
    later = event(EventKind.AGE_STATED, "2026-06-16", 2, processing=None, age_band=AgeBand.UNDER_15)
    assert age_known([later], AT) is None
    closures = [event(CLOSED, at, 5, processing=None) for at in ("2026-01-10", "2026-04-10")]
    assert age_known([child, *closures], AT) is None
