import pytest

from app.core.aliases import FOLLOWED, age_to_carry, noes_to_carry, processings_ended
from app.core.consent import AgeBand, EventKind
from tests.core.builders import ADS, event, granted, utc

CLOSED, REFUSED, WITHDRAWN = EventKind.CLOSED, EventKind.REFUSED, EventKind.WITHDRAWN
YES = granted("2026-03-10", 1)


@pytest.mark.parametrize("kind", [REFUSED, WITHDRAWN])
@pytest.mark.parametrize(("said_on", "ended"), [("2026-03-09", []), ("2026-03-10", [ADS]), ("2026-03-11", [ADS])])
def test_a_no_ends_a_yes_that_is_not_later(kind, said_on, ended):
    """A refusal or withdrawal under one name ends the other name's consent unless that was given later."""
    assert processings_ended([event(kind, said_on, 2)], [YES]) == ended


def test_the_latest_decision_of_each_name_is_compared():
    """What a name said before its latest decision counts no more, in whatever order the events come."""
    agreed_again = [event(REFUSED, "2026-04-01", 2), granted("2026-05-01", 3)]
    assert processings_ended(agreed_again, [YES]) == []
    assert processings_ended(agreed_again[::-1], [YES]) == []
    refused_since = [YES, event(REFUSED, "2026-05-01", 4)]
    assert processings_ended([event(WITHDRAWN, "2026-06-01", 5)], refused_since) == []


def test_each_processing_stands_for_itself():
    """A refusal of one processing says nothing of another; a withdrawal of everything ends each, sorted by name."""
    theirs = [granted("2026-03-10", 1, processing="stats"), granted("2026-03-10", 2, processing=ADS)]
    assert processings_ended([event(REFUSED, "2026-04-01", 3, processing="stats")], theirs) == ["stats"]
    everything = event(WITHDRAWN, "2026-04-01", 3, processing=None, version=None)
    assert processings_ended([everything], theirs) == [ADS, "stats"]


def test_who_said_nothing_ends_nothing():
    """Without a decision under one of the names, or with a note of the system only, nothing is ended."""
    assert processings_ended([], [YES]) == []
    assert processings_ended([event(REFUSED, "2026-04-01", 2)], []) == []
    assert processings_ended([event(EventKind.EXPIRED, "2026-04-01", 2)], [YES]) == []


@pytest.mark.parametrize("closed_is_mine", [True, False])
def test_a_closure_forgets_what_either_name_said_before(closed_is_mine):
    """Neither a no nor a yes from before the account was closed counts."""
    no, closed = event(REFUSED, "2026-04-01", 2), event(CLOSED, "2026-05-01", 3, processing=None, version=None)
    mine, theirs = ([no, closed], [YES]) if closed_is_mine else ([no], [YES, closed])
    assert processings_ended(mine, theirs) == []
    assert processings_ended([no], [YES]) == [ADS]


def test_a_grant_is_never_followed():
    """Only what narrows follows from name to name."""
    assert frozenset({WITHDRAWN, REFUSED, CLOSED}) == FOLLOWED


APRIL = utc("2026-04-01")


def no(kind=EventKind.WITHDRAWN, day="2026-04-01", order=2, processing=ADS):
    """A no, about a processing or about all."""
    return event(kind, day, order, processing=processing, version=None if processing is None else 1)


@pytest.mark.parametrize("kind", [REFUSED, WITHDRAWN])
@pytest.mark.parametrize(
    ("theirs", "carried"),
    [
        ([], [(ADS, APRIL)]),
        ([no(day="2026-03-01")], [(ADS, APRIL)]),
        ([no(day="2026-04-01")], []),
        ([no(day="2026-05-01")], []),
        ([YES], []),
        ([granted("2026-05-01")], []),
        ([granted("2026-03-10", processing="stats")], [(ADS, APRIL)]),
    ],
)
def test_a_no_stands_under_the_other_name_too(kind, theirs, carried):
    """With its own date, where nothing as late was said; what it ends there is not carried but ended."""
    assert noes_to_carry([no(kind)], theirs) == carried


def test_only_the_last_word_is_carried():
    """A yes, a no before the last yes and a note are not carried; each processing is for itself, sorted by name."""
    assert noes_to_carry([no(), granted("2026-05-01", 3)], []) == []
    mine = [no(processing="stats", order=1), no(order=2), event(EventKind.EXPIRED, "2026-04-02", 3, processing="other")]
    assert noes_to_carry(mine, []) == [(ADS, APRIL), ("stats", APRIL)]


@pytest.mark.parametrize(
    ("theirs", "carried"),
    [
        ([], [(None, APRIL)]),
        ([granted("2026-05-01")], [(None, APRIL)]),
        ([granted("2026-04-01")], []),
        ([event(CLOSED, "2026-03-01", 1, processing=None, version=None)], []),
    ],
)
def test_a_withdrawal_from_everything_is_carried_where_it_ends_nothing(theirs, carried):
    """It stands for processings that nobody has named yet too; what it would end is ended one by one."""
    assert noes_to_carry([no(processing=None, day="2026-03-01", order=1), no(processing=None)], theirs) == carried


def test_an_age_is_carried_to_where_the_person_would_be_older():
    """The younger of two ages is the person's; without one, and where the other name knows it, nothing is carried."""
    child = event(EventKind.AGE_STATED, "2026-04-01", 1, processing=None, version=None, age_band=AgeBand.UNDER_15)
    adult = event(EventKind.AGE_STATED, "2026-04-01", 1, processing=None, version=None, age_band=AgeBand.ADULT)
    at = utc("2026-06-01")
    assert age_to_carry([child], [], at) is AgeBand.UNDER_15
    assert age_to_carry([child], [adult], at) is AgeBand.UNDER_15
    assert age_to_carry([child], [child], at) is age_to_carry([adult], [child], at) is age_to_carry([], [], at) is None
