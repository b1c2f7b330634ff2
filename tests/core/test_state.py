from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.article import Purpose, law_version_at
from app.core.consent import AgeBand, EventKind, GivenBy, State
from app.core.decision import DecisionRequest, Reason
from app.core.evaluate import evaluate
from app.core.fold import ends, fold
from app.core.period import PeriodPolicy
from app.core.processing import PartyMode, Processing
from tests.core.builders import ADS, ALICE, event, granted, processing, utc, version
from tests.core.properties.strategies import permitting_worlds, worlds

AT = utc("2026-06-15T12:00:00")
POLICY = PeriodPolicy()
GRANT = granted("2026-03-10T09:00:00")
REFUSAL = event(EventKind.REFUSED, "2026-03-10T09:00:00")


def state(consent, *others, entry=None, at=AT):
    """The state of a consent among others."""
    return fold([*others, consent], entry or processing(), at, POLICY).state_of(consent)


def test_a_lawful_grant_is_in_force_until_it_expires():
    """In force up to the last microsecond of the year, expired at its end."""
    end = utc("2027-03-09T23:00:00")
    tick = timedelta(microseconds=1)
    assert [state(GRANT, at=each) for each in (AT, end - tick, end)] == ["in_force", "in_force", "expired"]


@pytest.mark.parametrize(
    ("kind", "of_grant", "of_refusal"),
    [
        (EventKind.GRANTED, State.REPLACED, State.REPLACED),
        (EventKind.REFUSED, State.REPLACED, State.REPLACED),
        (EventKind.WITHDRAWN, State.WITHDRAWN, State.WITHDRAWN),
        (EventKind.CLOSED, State.CLOSED, State.CLOSED),
        (EventKind.EXPIRED, State.IN_FORCE, State.REFUSED),
        (EventKind.SUPERSEDED, State.IN_FORCE, State.REFUSED),
        (EventKind.ERASED, State.IN_FORCE, State.REFUSED),
    ],
)
def test_what_comes_later_ends_a_consent(kind, of_grant, of_refusal):
    """A later decision, withdrawal or closure ends a consent; a note of the system does not."""
    later = event(kind, "2026-04-01", 2)
    assert (state(GRANT, later), state(REFUSAL, later)) == (of_grant, of_refusal)


def test_what_is_to_come_ends_nothing_yet():
    """A withdrawal collected after an instant does not end a consent at that instant."""
    later = event(EventKind.WITHDRAWN, "2026-06-15T12:00:00.000001", 2)
    assert state(GRANT, later) is State.IN_FORCE


def test_a_grant_is_invalid_before_it_is_superseded_and_superseded_before_it_is_expired():
    """A grant's state is the first that applies of pending, invalid, superseded and expired."""
    entry = processing(version(1), version(2, "2026-05-01"))
    late = utc("2027-06-01")
    assert state(granted("2026-03-10", conditional=True), entry=entry, at=late) is State.INVALID
    assert state(GRANT, entry=entry, at=late) is State.SUPERSEDED
    assert state(granted("2026-04-01", version=2, conditional=True), entry=entry, at=utc("2026-04-15")) is State.PENDING
    assert state(granted("2026-04-01", version=2), entry=entry, at=late) is State.EXPIRED
    assert state(granted("2026-04-01", version=2), entry=entry) is State.IN_FORCE


def test_a_grant_of_no_version_that_is_registered_stays_pending():
    """A grant to an unregistered version, or to none, stays pending."""
    assert state(granted("2026-03-10", version=9)) is State.PENDING
    assert state(granted("2026-03-10", version=None)) is State.PENDING


def test_the_age_of_a_grant_is_the_one_stated_by_then_and_since_the_closure():
    """A child's age holds for later grants that state none, and not for the next holder of the address."""
    child = granted("2026-01-10", 1, age_band=AgeBand.UNDER_15)
    again = granted("2026-03-10", 3)
    assert state(again, child) is State.INVALID
    assert state(again, child, event(EventKind.CLOSED, "2026-02-01", 2, processing=None)) is State.IN_FORCE


@given(worlds() | permitting_worlds(), st.booleans())
def test_states_agree_with_the_decision_at_the_same_instant(world, other_subject):
    """Some consent of a user is in force exactly when the decision says so, or says that its scope falls short."""
    entry = world.processing
    # Every version is made automated and `user_only`, because the state of a consent depends on neither.
    plain = tuple(replace(each, automated=True, party_mode=PartyMode.USER_ONLY) for each in entry.versions)
    entry = Processing(entry.id, Purpose.ADVERTISING, plain)
    subject = next(iter(world.ledger), ALICE) if other_subject else ALICE
    events = world.ledger.get(subject, ())
    decided = [each for each in events if each.collected_at <= world.at and each.concerns(ADS)]
    consents = [each for each in decided if each.kind in {EventKind.GRANTED, EventKind.REFUSED}]
    states = [fold(events, entry, world.at, world.policy).state_of(each) for each in consents]
    decision = evaluate(DecisionRequest(subject, ADS), entry, world.ledger, world.at, world.policy)
    if law_version_at(world.at) is None or entry.version_at(world.at) is None:
        return
    in_force = decision.reason in {Reason.CONSENT_IN_FORCE, Reason.CONSENT_SCOPE}
    assert states.count(State.IN_FORCE) == int(in_force)
    states = [State.INVALID if each is State.AWAITING_OTHER else each for each in states]
    named = {Reason.CONSENT_INVALID: State.INVALID, Reason.CONSENT_SUPERSEDED: State.SUPERSEDED}
    named |= {Reason.CONSENT_EXPIRED: State.EXPIRED, Reason.CONSENT_REFUSED: State.REFUSED}
    if in_force or decision.reason in named:
        wanted = State.IN_FORCE if in_force else named[decision.reason]
        assert dict(zip([each.id for each in consents], states, strict=True))[decision.consent] is wanted


def test_the_first_act_of_a_joint_consent_awaits_the_other_side_for_thirty_days():
    """A first act awaits the other side for 30 days and is then invalid; the second act replaces it and is in force."""
    child = granted("2026-06-01", 1, age_band=AgeBand.UNDER_15)
    parent = granted("2026-06-10", 2, given_by=GivenBy.PARENT)
    assert state(child) is State.AWAITING_OTHER
    assert state(child, at=utc("2026-07-01T00:00:00.000001")) is State.INVALID
    assert state(granted("2026-06-01", 1, age_band=AgeBand.UNDER_15, conditional=True)) is State.INVALID
    assert (state(child, parent), state(parent, child)) == (State.REPLACED, State.IN_FORCE)


def test_a_renewal_of_the_present_version_does_not_end_a_consent_to_the_next():
    """A consent to the next version is in force once that begins; a renewal of the present one is then superseded."""
    entry = processing(version(1), version(2, "2026-06-01"))
    ahead, renewal = granted("2026-05-01", 1, version=2), granted("2026-05-20", 2)
    before = utc("2026-05-31")
    assert (state(ahead, renewal, entry=entry, at=before), state(renewal, ahead, entry=entry, at=before)) == (
        State.PENDING,
        State.IN_FORCE,
    )
    assert (state(ahead, renewal, entry=entry), state(renewal, ahead, entry=entry)) == (
        State.IN_FORCE,
        State.SUPERSEDED,
    )


def test_what_has_not_begun_is_ended_like_any_other():
    """A withdrawal or a refusal also ends a grant that is ahead of its version."""
    register = processing(version(1), version(2, "2026-07-01"))
    ahead = granted("2026-05-01", 1, version=2)
    for kind, expected in ((EventKind.WITHDRAWN, State.WITHDRAWN), (EventKind.REFUSED, State.REPLACED)):
        ended = fold([ahead, event(kind, "2026-05-02", 2)], register, AT, POLICY).state_of(ahead)
        assert ended is expected


def test_a_refusal_is_ended_by_any_later_grant():
    """A grant replaces an earlier refusal even if a material version has superseded the grant's version."""
    register = processing(version(1), version(2, "2026-03-01"))
    refusal = event(EventKind.REFUSED, "2026-04-01", 1, version=2)
    grant = granted("2026-04-02", 2, version=1)
    assert fold([refusal, grant], register, AT, POLICY).state_of(refusal) is State.REPLACED


def test_of_two_grants_to_a_superseded_version_the_later_replaces_the_earlier():
    """Of two grants to a superseded version, the later replaces the earlier and is superseded."""
    register = processing(version(1), version(2, "2026-06-01"))
    first, second = granted("2026-04-01", 1), granted("2026-04-02", 2)
    assert fold([first, second], register, AT, POLICY).state_of(first) is State.REPLACED
    assert fold([first, second], register, AT, POLICY).state_of(second) is State.SUPERSEDED


@pytest.mark.parametrize(
    ("halves", "ended"),
    [(frozenset(), True), (frozenset({1, 2}), True), (frozenset({1}), True), (frozenset({2}), False)],
    ids=["two wholes", "two halves", "a whole after a half", "a half after a whole"],
)
def test_half_of_a_joint_consent_ends_another_half_and_no_whole_grant(halves, ended):
    """Half of a joint consent replaces an earlier half, and does not replace a whole consent."""
    earlier, later = granted("2026-03-10", 1), granted("2026-04-10", 2)
    assert ends(later, earlier, processing(), utc("2026-06-15"), halves) is ended
