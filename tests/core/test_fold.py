import pytest

from app.core.consent import AgeBand, EventKind, GivenBy
from app.core.fold import account_of, accounts, fold, halves_of
from app.core.period import PeriodPolicy
from tests.core.builders import ADS, event, granted, processing, utc, version

AT = utc("2026-06-15T12:00:00")
ONE = processing()
POLICY = PeriodPolicy()
CLOSED, REFUSED, WITHDRAWN = EventKind.CLOSED, EventKind.REFUSED, EventKind.WITHDRAWN
DECIDES_NOTHING = (
    EventKind.EXPIRED,
    EventKind.SUPERSEDED,
    EventKind.ERASED,
    EventKind.AGE_STATED,
    EventKind.RENEWAL_DECLINED,
)


@pytest.mark.parametrize("kind", DECIDES_NOTHING)
def test_what_is_no_decision_decides_nothing(kind):
    """A note of the system, an age or a declined renewal neither hides a grant nor counts as a decision."""
    grant = granted("2026-03-10")
    note = event(kind, "2026-04-01", 2)
    assert fold([grant, note], ONE, AT, POLICY).latest is grant
    alone = fold([note], ONE, AT, POLICY)
    assert (alone.latest, alone.ever_decided) == (None, False)


def test_the_last_of_several_closures_counts():
    """A grant before any later closure is wiped."""
    events = [
        event(CLOSED, "2026-02-01", 1),
        granted("2026-03-01", 2),
        event(CLOSED, "2026-04-01", 3),
        event(CLOSED, "2026-05-01", 4),
    ]
    assert fold(events, ONE, AT, POLICY).latest is None


def test_the_consent_that_is_named_is_the_one_that_counts():
    """A renewal of a superseded version does not replace the consent to the newer one, which is also the one named."""
    entry = processing(version(1), version(2, "2026-03-01", material=True))
    newer, older = granted("2026-04-01", 1, version=2), granted("2026-05-01", 2, version=1)
    standing = fold([newer, older], entry, AT, POLICY)
    assert (standing.latest, standing.consent) == (newer, newer)


WHOLE = granted("2026-01-10", 1, age_band=AgeBand.UNDER_15, given_by=GivenBy.BOTH)
HALF = granted("2026-05-01", 2, given_by=GivenBy.SELF)


def test_a_half_counts_where_there_is_nothing_else_since_the_last_no():
    """Half of a joint consent is the latest decision after a no, after an age alone, or after an adult's grant."""
    no = event(REFUSED, "2026-04-01", 4)
    assert fold([WHOLE, no, HALF], ONE, AT, POLICY).latest is HALF
    child = event(EventKind.AGE_STATED, "2026-01-01", 5, processing=None, age_band=AgeBand.UNDER_15)
    assert fold([child, HALF], ONE, AT, POLICY).latest is HALF
    adult = granted("2026-01-10", 1)
    assert fold([adult, HALF], ONE, AT, POLICY).latest is HALF


CHILD = event(EventKind.AGE_STATED, "2026-02-01", 1, processing=None, version=None, age_band=AgeBand.UNDER_15)


def test_the_halves_of_a_closed_account_are_those_that_were_known_then():
    """A child's half stays a half after the account is closed; a grant by the next holder is not one."""
    half, closed = granted("2026-03-10", 2), event(CLOSED, "2026-04-01", 3, processing=None)
    assert halves_of(accounts([CHILD, half, closed], ADS, AT)) == {2}
    again = granted("2026-05-01", 4)
    assert halves_of(accounts([CHILD, half, closed, again], ADS, AT)) == {2}


@pytest.mark.parametrize(("about", "age"), [(ADS, AgeBand.UNDER_15), ("other", AgeBand.UNDER_15), (None, None)])
def test_an_age_said_before_or_with_the_closure_of_one_processing_counts_for_a_later_grant(about, age):
    """Only the closure of the account forgets an age, and one that was stated with it."""
    closed = event(CLOSED, "2026-04-01", 3, processing=about, version=None)
    with_age = event(CLOSED, "2026-04-01", 3, processing=about, version=None, age_band=AgeBand.UNDER_15)
    for said in ([CHILD, closed], [with_age]):
        grant = fold([*said, granted("2026-05-01", 4)], ONE, AT, POLICY).grant
        assert grant is not None
        assert grant.age is age


def test_every_event_of_a_closed_account_is_found_in_it():
    """The second grant of a closed account belongs to it; where no grant counts, none lasts beyond that instant."""
    closed = event(CLOSED, "2026-04-01", 3, processing=None)
    events = [granted("2026-03-10", 1), granted("2026-03-11", 2), closed]
    numbered = accounts(events, ADS, AT)
    assert [account_of(numbered, each) is numbered[0] for each in events] == [True] * 3
    assert fold(events, ONE, AT, POLICY).expires_at == AT
