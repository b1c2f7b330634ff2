import pytest

from app.core.aliases import FOLLOWED, processings_ended
from app.core.consent import EventKind
from tests.core.builders import ADS, event, granted

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
