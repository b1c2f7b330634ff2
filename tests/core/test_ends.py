from dataclasses import replace

import pytest
from hypothesis import given

from app.core.article import Element
from app.core.consent import AgeBand, DefaultState, EventKind, GivenBy
from app.core.decision import Reason
from app.core.fold import fold, is_lost
from app.core.period import PeriodPolicy
from app.core.processing import Invalidation
from tests.core.builders import ALICE, event, granted, processing, utc, version
from tests.core.properties.strategies import permitting_worlds

AT = utc("2026-06-15T12:00:00")
POLICY = PeriodPolicy()
BOTH = frozenset({Element.CONTENT, Element.SUBJECT_LINE})
LESS = frozenset({Element.CONTENT})
GRANT = granted("2026-03-10", age_band=AgeBand.ADULT)
UNLAWFUL = granted("2026-03-10", default_state=DefaultState.SELECTED)
WITHDRAWN, REFUSED, CLOSED = (
    event(kind, "2026-06-01", 2) for kind in (EventKind.WITHDRAWN, EventKind.REFUSED, EventKind.CLOSED)
)
CHILD = event(EventKind.AGE_STATED, "2026-06-01", 2, processing=None, version=None, age_band=AgeBand.UNDER_15)
ONE = processing(version(elements=BOTH))


def _two(**facts):
    """With a second version from May on."""
    return processing(version(elements=BOTH), version(2, "2026-05-01", **{"elements": BOTH, **facts}))


@pytest.mark.parametrize("later", [WITHDRAWN, REFUSED, CLOSED, CHILD])
def test_a_consent_that_permitted_and_permits_no_more_is_lost(later):
    """A withdrawal, a refusal, a closure and an age each end what was permitted."""
    assert _lost(granted("2026-03-10"), [later])


@pytest.mark.parametrize(
    ("consent", "entry"),
    [
        (UNLAWFUL, ONE),
        (granted("2026-06-10", age_band=AgeBand.UNDER_15, given_by=GivenBy.SELF), ONE),
        (granted("2026-06-10", version=2), processing(version(), version(2, "2026-08-01"))),
        (granted("2026-06-10", version=2), replace(ONE, invalidations=(Invalidation(utc("2026-06-11"), version=2),))),
        (UNLAWFUL, replace(ONE, invalidations=(Invalidation(utc("2026-06-11"), version=1),))),
    ],
)
def test_what_never_permitted_is_not_lost(consent, entry):
    """An unlawful consent, half of one, one to a version to come or that never was: nothing was permitted by it."""
    assert not _lost(consent, [event(EventKind.WITHDRAWN, "2026-06-14", 2)], entry)


@pytest.mark.parametrize(
    ("later", "lost"),
    [
        (granted("2026-06-01", 2), False),
        (granted("2026-06-01", 2, elements=LESS), True),
        (granted("2026-06-01", 2, default_state=DefaultState.SELECTED), True),
        (granted("2026-06-01", 2, given_by=GivenBy.ADMINISTRATOR), True),
    ],
)
def test_a_later_grant_ends_only_what_it_does_not_permit(later, lost):
    """A consent that another replaces goes on in it, unless that one permits less or does not count."""
    assert _lost(GRANT, [later], ONE) is lost


@pytest.mark.parametrize(
    ("entry", "others", "lost"),
    [
        (ONE, [], False),
        (_two(), [], True),
        (_two(), [granted("2026-04-01", 2, version=2)], False),
        (_two(elements=LESS), [granted("2026-04-01", 2, version=2)], False),
        (_two(), [granted("2026-04-01", 2, version=2, default_state=DefaultState.SELECTED)], True),
        (_two(age_statement_required=True), [], True),
        (replace(ONE, invalidations=(Invalidation(utc("2026-05-01"), version=1),)), [], True),
    ],
)
def test_time_and_the_register_end_what_no_other_consent_permits(entry, others, lost):
    """A material version, and an invalidation, end a consent; a consent that was given ahead goes on in its place."""
    standing = fold([granted("2026-03-10"), *others], entry, AT, POLICY)
    assert is_lost(granted("2026-03-10"), standing, standing) is lost


def test_a_consent_that_expired_is_lost_too():
    """One that is withdrawn after its year had permitted before."""
    assert _lost(granted("2025-03-10"), [WITHDRAWN])


def _lost(consent, later, entry=ONE):
    before, after = (fold([consent, *more], entry, AT, POLICY) for more in ((), later))
    return is_lost(consent, before, after)


@given(permitting_worlds())
def test_a_decision_rests_on_what_the_consent_permits(world):
    """A decision that rests on the person's consent permits no element that the consent does not."""
    permits = fold(world.ledger[ALICE], world.processing, world.at, world.policy).permits
    if world.request.subject == ALICE and world.decide().reason is Reason.CONSENT_IN_FORCE:
        assert permits
        assert world.request.elements is None or world.request.elements <= permits
