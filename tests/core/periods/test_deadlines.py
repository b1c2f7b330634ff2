"""Until when a permit stands, given what the register has scheduled."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given

from app.core.article import TEXT_MESSAGES, Element
from app.core.consent import EventKind
from app.core.evaluate import evaluate, stable_until
from app.core.period import ConsentPeriod, PeriodPolicy
from app.core.processing import Status, StatusChange
from tests.core.builders import ALICE, asked, event, granted, processing, utc, version
from tests.core.properties.registers import TICK
from tests.core.properties.strategies import permitting_worlds, worlds

AT = utc("2026-06-15T12:00:00")
YEAR = utc("2027-03-09T23:00:00")
GRANT = granted("2026-03-10T09:00:00", 7)
CONTENT = frozenset({Element.CONTENT})


def decide(entry, request=None, consents=None, at=AT):
    """Evaluate, with alice's lawful consent to the first version unless told otherwise."""
    return evaluate(request or asked(), entry, {ALICE: [GRANT]} if consents is None else consents, at)


def test_a_version_that_begins_after_the_consent_has_lapsed_bounds_nothing():
    """A version that begins at a consent's expiry or later does not bound its permit."""
    for begins in ("2027-03-09T23:00:00", "2028-01-01"):
        assert decide(processing(version(1), version(2, begins))).valid_until == YEAR


def test_a_resumption_scheduled_for_the_instant_of_a_suspension_does_not_hide_it():
    """A suspension bounds a permit even when something resumes at the same instant."""
    moment = utc("2026-09-01")
    entry = processing(changes=[StatusChange(moment, Status.SUSPENDED), StatusChange(moment, Status.ACTIVE)])
    assert decide(entry).valid_until == moment


def test_a_status_that_changes_nothing_bounds_nothing():
    """A scheduled change from active to active does not bound a permit."""
    entry = processing(changes=[StatusChange(utc("2026-09-01"), Status.ACTIVE)])
    assert decide(entry).valid_until == YEAR


def test_the_first_of_several_scheduled_changes_counts():
    """Of a shortened expiry and a material version, the earlier one ends a permit."""
    half = version(2, "2026-08-01", material=False, consent_validity=ConsentPeriod.parse("P6M"))
    assert decide(processing(version(1), half, version(3, "2026-08-15"))).valid_until == utc("2026-08-15")
    assert decide(processing(version(1), half, version(3, "2026-10-01"))).valid_until == utc("2026-09-09T22:00:00")


def test_a_suspension_scheduled_before_a_material_version_counts_first():
    """A suspension that is scheduled before a material version ends the permit first."""
    changes = [StatusChange(utc("2026-08-01"), Status.SUSPENDED), StatusChange(utc("2026-08-02"), Status.ACTIVE)]
    entry = processing(version(1), version(2, "2026-09-01"), changes=changes)
    assert decide(entry).valid_until == utc("2026-08-01")


def test_a_period_lengthened_again_does_not_lengthen_a_permit():
    """A scheduled version that lengthens a shortened period again ends a permit instead of lengthening it."""
    half = version(2, "2026-08-01", material=False, consent_validity=ConsentPeriod.parse("P6M"))
    entry = processing(version(1), half, version(3, "2026-08-15", material=False))
    assert decide(entry).valid_until == utc("2026-08-15")
    late = processing(version(1), half, version(3, "2026-10-15", material=False))
    assert decide(late).valid_until == utc("2026-09-09T22:00:00")


def test_an_unlawful_consent_given_ahead_bounds_the_permit_of_today():
    """An unlawful grant for a scheduled minor version bounds a permit, because it becomes the latest grant then."""
    ahead = granted("2026-06-01", 8, version=2, conditional=True)
    entry = processing(version(1), version(2, "2026-09-01", material=False))
    assert decide(entry, consents={ALICE: [GRANT, ahead]}).valid_until == utc("2026-09-01")


def test_a_withdrawal_recorded_for_later_is_not_seen_before_its_time():
    """A withdrawal collected after the instant asked about does not bound a permit."""
    consents = {ALICE: [GRANT, event(EventKind.WITHDRAWN, "2026-08-01", 8)]}
    entry = processing(version(1), version(2, "2026-09-01", material=False))
    assert decide(entry, consents=consents).valid_until == YEAR


# --- until when an answer may be remembered --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "events", "until"),
    [
        (processing(), [], None),
        (processing(version(1, "2026-06-15T12:00:00")), [], None),
        (processing(version(1, "2026-06-15T12:00:00.000001")), [], "2026-06-15T12:00:00.000001"),
        (processing(version(1), version(2, "2026-09-01"), version(3, "2026-10-01")), [GRANT], "2026-09-01"),
        (processing(changes=[StatusChange(AT, Status.ACTIVE)]), [], None),
        (processing(changes=[StatusChange(utc("2026-07-01"), Status.ACTIVE)]), [GRANT], "2026-07-01"),
        (processing(), [GRANT], "2027-03-09T23:00:00"),
        (processing(), [GRANT, granted("2025-07-01", 8)], "2026-06-30T22:00:00"),
        (processing(), [granted("2025-06-15", 8)], None),
        (processing(), [event(EventKind.REFUSED, "2026-03-10", 8), granted("2026-03-10", version=9)], None),
        (processing(), [granted("2026-03-10", version=None)], None),
        (processing(version(1, "2028-01-01")), [granted("2026-06-10")], "2027-06-09T22:00:00"),
    ],
)
def test_an_answer_stands_until_the_next_thing_scheduled_or_the_next_expiry(entry, events, until):
    """An answer stands until the next version, status change or expiry, and without an end if none is to come."""
    assert stable_until(entry, events, AT) == (utc(until) if until else None)


def test_an_answer_stands_no_longer_than_the_deployment_counts():
    """A deployment's ceiling on consents shortens how long an answer stands."""
    policy = PeriodPolicy(ceiling=ConsentPeriod.parse("P6M"))
    assert stable_until(processing(), [GRANT], AT, policy) == utc("2026-09-09T22:00:00")


@given(permitting_worlds() | worlds())
def test_an_answer_that_may_be_remembered_does_not_change(world):
    """Until the earliest such instant of all its subjects, a request on unchanged facts keeps its answer."""
    assume(world.at >= TEXT_MESSAGES.in_force_from)
    ledger = {ref: [each for each in events if each.collected_at <= world.at] for ref, events in world.ledger.items()}
    facts = replace(world, ledger=ledger)
    ends = [stable_until(world.processing, events, world.at, world.policy) for events in [*ledger.values(), []]]
    until = min((each for each in ends if each is not None), default=world.at + timedelta(days=4000))
    now = facts.decide()
    step = (until - world.at) / 3
    for moment in (world.at + TICK, world.at + step, world.at + 2 * step, until - TICK):
        if world.at < moment < until:
            assert facts.decide(moment) == now
