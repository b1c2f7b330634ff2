import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.article import Element
from app.core.consent import (
    DECISIONS,
    AgeBand,
    Collection,
    DefaultState,
    EventKind,
    GivenBy,
    PositiveAct,
    counts,
    covered,
    defects,
    expiry,
    fold,
    parse_kind,
)
from app.core.errors import UnknownEventKindError
from app.core.period import ConsentPeriod, PeriodPolicy
from tests.core.builders import ADS, event, granted, processing, utc, version

AT = utc("2026-06-15T12:00:00")
ONE = processing()
CLOSED, REFUSED, WITHDRAWN = EventKind.CLOSED, EventKind.REFUSED, EventKind.WITHDRAWN
SYSTEM = (EventKind.EXPIRED, EventKind.SUPERSEDED, EventKind.ERASED)


@pytest.mark.parametrize("kind", EventKind)
def test_a_known_kind_is_read(kind):
    """Each of the seven kinds is read from its word."""
    assert parse_kind(kind.value) is kind


@pytest.mark.parametrize("word", ["Granted", "granted ", "GRANTED", "grant", "", "revoked", "true"])
def test_a_word_close_to_a_kind_is_an_error(word):
    """A word is not read as the kind that it resembles."""
    with pytest.raises(UnknownEventKindError):
        parse_kind(word)


@given(st.text())
def test_an_unknown_kind_is_an_error_and_never_a_grant(word):
    """Any text but the seven words is refused."""
    assume(word not in set(EventKind))
    with pytest.raises(UnknownEventKindError):
        parse_kind(word)


def test_three_kinds_decide():
    """A grant, a refusal and a withdrawal decide; a closure wipes; what the system notes decides nothing."""
    assert {"granted", "refused", "withdrawn"} == DECISIONS


@pytest.mark.parametrize("kind", SYSTEM)
def test_what_the_system_notes_decides_nothing(kind):
    """A note that a consent expired, was superseded or erased hides neither a grant nor the want of one."""
    grant = granted("2026-03-10")
    note = event(kind, "2026-04-01", 2)
    assert fold([grant, note], ONE, AT).latest is grant
    alone = fold([note], ONE, AT)
    assert (alone.latest, alone.ever_decided) == (None, False)


def test_the_latest_is_by_collection_then_by_ledger_order():
    """A later collection wins whatever its place in the ledger; at the same instant the later entry wins."""
    early, late = granted("2026-03-10", 2), event(WITHDRAWN, "2026-03-11", 1)
    assert fold([early, late], ONE, AT).latest is late
    first, second = granted("2026-03-10", 1), event(REFUSED, "2026-03-10", 2)
    assert fold([second, first], ONE, AT).latest is second


def test_what_is_collected_later_than_the_instant_is_not_seen():
    """An event counts at its very instant and not a microsecond before."""
    grant = granted("2026-06-15T12:00:00")
    assert fold([grant], ONE, AT).latest is grant
    assert fold([grant], ONE, utc("2026-06-15T11:59:59.999999")).latest is None


def test_events_about_another_processing_are_not_seen():
    """Consent is specific to each processing; an event that names none is about all."""
    assert fold([granted("2026-03-10", processing="other")], ONE, AT).latest is None
    everything = event(WITHDRAWN, "2026-04-01", 2, processing=None, version=None)
    assert fold([granted("2026-03-10"), everything], ONE, AT).latest is everything
    assert (everything.concerns("x"), granted("2026-03-10").concerns(ADS)) == (True, True)


def test_a_grant_that_names_no_processing_counts_for_none():
    """A grant for everything is no consent: it names no version of anything."""
    assert fold([granted("2026-03-10", processing=None, version=None)], ONE, AT).latest is None


def test_a_closure_wipes_what_came_before():
    """After a closure the next holder of the address starts with nothing; that somebody decided stays known."""
    closed = event(CLOSED, "2026-04-01", 2, processing=None)
    standing = fold([granted("2026-03-10"), closed], ONE, AT)
    assert (standing.latest, standing.ever_decided) == (None, True)
    again = granted("2026-05-01", 3)
    assert fold([granted("2026-03-10"), closed, again], ONE, AT).latest is again


def test_a_closure_wipes_by_ledger_order_at_the_same_instant():
    """A grant recorded after the closure of the same instant is the next holder's."""
    closed = event(CLOSED, "2026-04-01", 2)
    before, after = granted("2026-04-01", 1), granted("2026-04-01", 3)
    assert fold([before, closed], ONE, AT).latest is None
    assert fold([closed, after], ONE, AT).latest is after


def test_the_last_of_several_closures_counts():
    """Each closure wipes again."""
    events = [
        event(CLOSED, "2026-02-01", 1),
        granted("2026-03-01", 2),
        event(CLOSED, "2026-04-01", 3),
        event(CLOSED, "2026-05-01", 4),
    ]
    assert fold(events, ONE, AT).latest is None


def test_a_grant_counts_once_its_version_is_in_force_and_all_else_at_once():
    """A grant ahead of its version waits; a refusal or withdrawal does not; a version unheard of never counts."""
    entry = processing(version(1), version(2, "2026-06-15T12:00:00"))
    ahead = granted("2026-06-01", version=2)
    assert not counts(ahead, entry, utc("2026-06-15T11:59:59.999999"))
    assert counts(ahead, entry, AT)
    assert not counts(granted("2026-06-01", version=3), entry, AT)
    assert not counts(granted("2026-06-01", version=None), entry, AT)
    assert counts(event(REFUSED, "2026-06-01", version=3), entry, AT)
    assert not counts(event(CLOSED, "2026-06-01"), entry, AT)


def test_a_grant_ahead_of_its_version_leaves_the_present_one_standing():
    """Until the new version is in force the earlier grant is the latest that counts."""
    entry = processing(version(1), version(2, "2026-07-01"))
    present, ahead = granted("2026-03-10"), granted("2026-06-01", 2, version=2)
    assert fold([present, ahead], entry, AT).latest is present
    assert fold([present, ahead], entry, utc("2026-07-01")).latest is ahead


@pytest.mark.parametrize(
    ("stated", "band"),
    [
        ([], AgeBand.ADULT),
        ([None], AgeBand.ADULT),
        ([AgeBand.UNDER_15, None], AgeBand.UNDER_15),
        ([AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, None, None], AgeBand.MINOR_15_PLUS),
        ([None, AgeBand.UNDER_15], AgeBand.UNDER_15),
    ],
)
def test_the_age_is_the_one_last_stated(stated, band):
    """A grant that states no age takes the one stated last before it; with none it is an adult's."""
    events = [granted(f"2026-03-{order:02}", order, age_band=age) for order, age in enumerate(stated, start=1)]
    assert fold(events, ONE, AT).age_band is band


def test_an_age_stated_after_the_decision_changes_nothing_about_it():
    """A grant that does not count yet states an age for itself, not for the grant before it."""
    entry = processing(version(1), version(2, "2026-07-01"))
    events = [granted("2026-03-10"), granted("2026-06-01", 2, version=2, age_band=AgeBand.UNDER_15)]
    assert fold(events, entry, AT).age_band is AgeBand.ADULT


def test_an_age_is_forgotten_with_the_account():
    """The next holder of an address has an age of their own."""
    events = [
        granted("2026-03-10", 1, age_band=AgeBand.UNDER_15),
        event(CLOSED, "2026-04-01", 2),
        granted("2026-05-01", 3),
    ]
    assert fold(events, ONE, AT).age_band is AgeBand.ADULT


@pytest.mark.parametrize(
    ("how", "age", "found"),
    [
        ({}, AgeBand.ADULT, ()),
        ({"default_state": DefaultState.SELECTED}, AgeBand.ADULT, ("pre_selected",)),
        ({"positive_act": PositiveAct.NONE}, AgeBand.ADULT, ("no_positive_act",)),
        ({"separate_from_terms": False}, AgeBand.ADULT, ("bundled_with_terms",)),
        ({"conditional": True}, AgeBand.ADULT, ("condition_of_service",)),
        ({"text_known": False}, AgeBand.ADULT, ("text_unknown",)),
        ({"given_by": GivenBy.ADMINISTRATOR}, AgeBand.ADULT, ("given_by_another",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.ADULT, ("given_by_another",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.MINOR_15_PLUS, ("given_by_another",)),
        ({"given_by": GivenBy.BOTH}, AgeBand.ADULT, ()),
        ({"given_by": GivenBy.SELF}, AgeBand.MINOR_15_PLUS, ()),
        ({"given_by": GivenBy.SELF}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.ADMINISTRATOR}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.BOTH}, AgeBand.UNDER_15, ()),
        ({"conditional": True, "text_known": False}, AgeBand.ADULT, ("condition_of_service", "text_unknown")),
    ],
)
def test_each_way_to_collect_a_grant_unlawfully_is_named(how, age, found):
    """Every defect is found and named, alone or together; what is lawful has none."""
    assert defects(Collection(**how), age) == found


@pytest.mark.parametrize("act", [each for each in PositiveAct if each is not PositiveAct.NONE])
def test_any_positive_act_will_do(act):
    """A click, a tick, a signature or a word is an act."""
    assert defects(Collection(positive_act=act), AgeBand.ADULT) == ()


def test_an_expiry_is_the_earliest_that_binds():
    """The period granted for, the one in force when asked and the stored expiry each bound it."""
    short, long = ConsentPeriod.parse("P3M"), ConsentPeriod.parse("P1Y")
    grant = granted("2026-03-10T09:00:00")
    year, quarter = utc("2027-03-09T23:00:00"), utc("2026-06-09T22:00:00")
    policy = PeriodPolicy()
    shortened = processing(
        version(1, consent_validity=long), version(2, "2026-05-01", material=False, consent_validity=short)
    )
    assert expiry(grant, shortened, utc("2026-04-30"), policy) == year
    assert expiry(grant, shortened, utc("2026-05-01"), policy) == quarter
    lengthened = processing(
        version(1, consent_validity=short), version(2, "2026-05-01", material=False, consent_validity=long)
    )
    assert expiry(grant, lengthened, utc("2026-05-01"), policy) == quarter
    stored = granted("2026-03-10T09:00:00", expires_at=utc("2026-04-01"))
    assert expiry(stored, ONE, AT, policy) == utc("2026-04-01")
    beyond = granted("2026-03-10T09:00:00", expires_at=utc("2030-01-01"))
    assert expiry(beyond, ONE, AT, policy) == year


def test_a_grant_covers_what_it_names_among_what_its_version_declares():
    """Naming nothing covers all declared; naming what is not declared covers nothing more; no version, nothing."""
    both = frozenset({Element.CONTENT, Element.SUBJECT_LINE})
    entry = processing(version(1, elements=both))
    assert covered(granted("2026-03-10"), entry) == both
    assert covered(granted("2026-03-10", elements=frozenset({Element.CONTENT})), entry) == {Element.CONTENT}
    assert covered(granted("2026-03-10", elements=frozenset({Element.ATTACHMENTS})), entry) == frozenset()
    assert covered(granted("2026-03-10", elements=frozenset()), entry) == frozenset()
    assert covered(granted("2026-03-10", version=9, elements=both), entry) == frozenset()
    assert covered(granted("2026-03-10", version=None), entry) == frozenset()
