from dataclasses import replace

import pytest

from app.core.consent import AgeBand, EventKind, GivenBy, State
from app.core.consent_link import Act, LinkKind, Situation, offered, situation
from app.core.decision import Reason
from app.core.evaluate import evaluate, stable_until
from app.core.fold import fold
from app.core.period import PeriodPolicy
from app.core.processing import Invalidation, Status, StatusChange
from app.core.renewal import NEVER_FLAGGED, OVER_STAGE, Examined, Flag, FlagKind, Renewal, examine
from tests.core.builders import ALICE, asked, event, granted, processing, utc, version

AT = utc("2026-06-15T12:00:00")
STRUCK = utc("2026-05-01T00:00:00")
POLICY = PeriodPolicy()
TEXT, OTHER = "aa" * 32, "bb" * 32
GRANT = granted("2026-03-10T09:00:00")


def struck(*invalidations, versions=(), changes=(), **facts):
    """A processing with these invalidations, all of 1 May."""
    entry = processing(*versions, changes=changes, **facts)
    return replace(entry, invalidations=tuple(Invalidation(STRUCK, **each) for each in invalidations))


def decide(entry, *events, at=AT, **request):
    """What is decided about alice."""
    return evaluate(asked(**request), entry, {ALICE: events}, at, POLICY)


def test_an_invalidation_counts_from_its_instant():
    """A consent permits until the instant of the invalidation, which is its `valid_until`, and no longer."""
    entry = struck({"version": 1})
    before = decide(entry, GRANT, at=utc("2026-04-30T23:59:59"))
    assert (before.permitted, before.valid_until) == (True, STRUCK)
    assert decide(entry, GRANT, at=STRUCK).reason is Reason.CONSENT_INVALID
    assert stable_until(entry, [GRANT], utc("2026-04-01T00:00:00")) == STRUCK


def test_what_is_invalidated_later_and_is_not_rested_on_bounds_nothing():
    """A permit is not shortened by an invalidation to come of another version."""
    decision = decide(struck({"version": 2}), GRANT, at=utc("2026-04-01T00:00:00"))
    assert decision.valid_until == utc("2027-03-09T23:00:00")


def test_of_two_acts_each_must_stand():
    """A joint consent is invalid if the text that either side was shown is invalidated."""
    child = granted("2026-03-10", 1, age_band=AgeBand.UNDER_15, given_by=GivenBy.SELF, text=TEXT)
    parent = granted("2026-03-12", 2, given_by=GivenBy.PARENT, text=OTHER)
    for text, reason in (
        (TEXT, Reason.CONSENT_INVALID),
        (OTHER, Reason.CONSENT_INVALID),
        ("cc" * 32, Reason.CONSENT_IN_FORCE),
    ):
        assert decide(struck({"text": text}), child, parent).reason is reason
    assert fold([child, parent], struck({"text": TEXT}), AT, POLICY).state_of(parent) is State.INVALIDATED


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((GRANT,), State.INVALIDATED),
        ((GRANT, event(EventKind.WITHDRAWN, "2026-04-01", 2)), State.WITHDRAWN),
        ((GRANT, granted("2026-04-01", 2, version=2)), State.REPLACED),
        ((granted("2025-03-10"),), State.INVALIDATED),
        ((granted("2026-03-10", conditional=True),), State.INVALIDATED),
        ((event(EventKind.REFUSED, "2026-03-10"),), State.REFUSED),
        ((granted("2026-03-10", version=3),), State.PENDING),
        ((granted("2026-03-10", version=4),), State.INVALIDATED),
    ],
)
def test_the_state_of_a_consent_says_so(events, state):
    """A consent that a later decision ended keeps that state; otherwise invalidation counts, except for a refusal."""
    versions = (version(1), version(2, material=False), version(3, "2027-01-01"), version(4, "2027-02-01"))
    entry = struck({"version": 1}, {"version": 4}, versions=versions)
    assert fold(list(events), entry, AT, POLICY).state_of(events[0]) is state


@pytest.mark.parametrize(
    ("grant", "changes", "kind"),
    [
        (GRANT, (), FlagKind.INVALIDATED),
        (GRANT, (StatusChange(utc("2026-06-01"), Status.RETIRED),), FlagKind.INVALIDATED),
        (granted("2025-03-10"), (), FlagKind.INVALIDATED),
        (granted("2026-03-10", conditional=True), (), None),
    ],
)
def test_the_end_is_said_once_and_nothing_more(grant, changes, kind):
    """An invalidation of a valid or lapsed consent is flagged once; that of a consent never valid is not flagged."""
    entry = struck({"version": 1}, changes=changes)
    examined = examine(grant, fold([grant], entry, AT, POLICY), NEVER_FLAGGED, Renewal(POLICY))
    assert examined == Examined(None if kind is None else Flag(kind), OVER_STAGE)


def test_a_person_may_be_asked_anew():
    """After an invalidation, the page says so and offers to accept or to refuse."""
    entry = struck({"version": 1}, versions=(version(1), version(2, "2026-06-01", material=False)))
    stands = situation(GRANT, fold([GRANT], entry, AT, POLICY))
    assert stands is Situation.INVALIDATED
    acts = offered(LinkKind.DECIDE, stands, asks=True, decided_here=False)
    assert acts == {Act.ACCEPT, Act.REFUSE}
