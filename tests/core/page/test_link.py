from itertools import product

import pytest

from app.core.consent import AgeBand, EventKind
from app.core.consent_link import (
    Act,
    LinkKind,
    Situation,
    account_hint,
    consent_ends,
    latest_decision,
    offered,
    paused_until,
    situation,
    would_end,
)
from app.core.fold import fold
from app.core.period import ConsentPeriod, PeriodPolicy
from tests.core.builders import event, granted, processing, utc, version

NOW = utc("2026-06-15T12:00:00")
POLICY = PeriodPolicy()
BOOLEANS = (False, True)


def stands(*events, register=None, at=NOW):
    """The situation in which these events leave a person."""
    register = register or processing()
    standing = fold(events, register, at, POLICY)
    return situation(latest_decision(standing), standing)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), Situation.UNDECIDED),
        ((granted("2026-06-01"),), Situation.HOLDS),
        ((granted("2025-06-01"),), Situation.LAPSED),
        ((granted("2026-06-01"), event(EventKind.REFUSED, "2026-06-02", 2)), Situation.REFUSED),
        ((granted("2026-06-01"), event(EventKind.WITHDRAWN, "2026-06-02", 2)), Situation.WITHDRAWN),
        ((granted("2026-06-01"), event(EventKind.WITHDRAWN, "2026-06-02", 2, processing=None)), Situation.WITHDRAWN),
        ((granted("2026-06-01"), event(EventKind.CLOSED, "2026-06-02", 2, processing=None)), Situation.UNDECIDED),
        ((granted("2026-06-01"), event(EventKind.EXPIRED, "2026-06-02", 2)), Situation.HOLDS),
        ((granted("2026-06-01", conditional=True),), Situation.INVALID),
    ],
)
def test_where_a_person_stands(events, expected):
    """A person's situation follows from the last decision since a closure, and from whether its grant is in force."""
    assert stands(*events) is expected


def test_the_first_act_of_a_joint_consent_awaits_the_other():
    """A grant by a child alone awaits the other side for thirty days, and is invalid after that."""
    child = granted("2026-06-10", age_band=AgeBand.UNDER_15)
    assert stands(child) is Situation.AWAITING
    assert stands(child, at=utc("2026-07-20")) is Situation.INVALID


def test_a_grant_for_a_version_to_come_holds():
    """A grant for a version to come holds, so that it can be withdrawn."""
    register = processing(version(), version(2, "2026-07-01"))
    assert stands(granted("2026-06-01", version=2), register=register) is Situation.HOLDS


@pytest.mark.parametrize(
    ("kind", "situation", "asks", "decided_here", "acts"),
    [
        ("decide", "undecided", True, False, {"accept", "refuse"}),
        ("decide", "lapsed", True, False, {"accept", "refuse"}),
        ("decide", "invalid", True, False, {"accept", "refuse"}),
        ("withdraw", "invalid", True, False, set()),
        ("decide", "refused", True, False, {"accept", "refuse"}),
        ("decide", "holds", True, False, {"accept", "decline", "withdraw"}),
        ("decide", "holds", True, True, {"withdraw"}),
        ("decide", "refused", True, True, {"accept"}),
        ("decide", "withdrawn", True, True, {"accept"}),
        ("decide", "lapsed", True, True, {"accept", "refuse"}),
        ("decide", "undecided", False, False, set()),
        ("decide", "holds", False, False, {"withdraw"}),
        ("withdraw", "holds", False, False, {"withdraw"}),
        ("withdraw", "holds", True, False, {"withdraw"}),
        ("withdraw", "withdrawn", True, True, set()),
        ("withdraw", "undecided", True, False, set()),
        ("joint", "undecided", True, False, {"accept", "refuse"}),
        ("joint", "awaiting", True, False, {"accept", "refuse"}),
        ("joint", "awaiting", True, True, {"withdraw"}),
        ("joint", "awaiting", False, False, {"withdraw"}),
        ("joint", "holds", True, True, {"withdraw"}),
        ("decide", "awaiting", True, False, {"withdraw"}),
        ("withdraw", "awaiting", False, False, {"withdraw"}),
    ],
)
def test_the_buttons_of_a_link(kind, situation, asks, decided_here, acts):
    """Each kind of link offers the right buttons in each situation."""
    acts_offered = offered(LinkKind(kind), Situation(situation), asks=asks, decided_here=decided_here)
    assert acts_offered == {Act(act) for act in acts}


@pytest.mark.parametrize(
    ("kind", "stands", "asks", "here", "acts"),
    [
        ("decide", "holds", True, False, {"accept", "withdraw"}),
        ("decide", "holds", True, True, {"withdraw"}),
        ("withdraw", "holds", False, False, {"withdraw"}),
    ],
)
def test_who_declined_to_renew_is_not_asked_that_again(kind, stands, asks, here, acts):
    """After "I do not renew", the page offers to withdraw or to accept after all, and not to decline again."""
    acts_offered = offered(LinkKind(kind), Situation(stands), asks=asks, decided_here=here, declined=True)
    assert acts_offered == {Act(act) for act in acts}


def test_what_holds_can_always_be_withdrawn_and_nothing_else_can():
    """A page offers to withdraw if a consent or one act of it holds; at first it never offers only to accept."""
    for kind, stand, asks, here in product(LinkKind, Situation, BOOLEANS, BOOLEANS):
        acts = offered(kind, stand, asks=asks, decided_here=here)
        others_turn = kind is LinkKind.JOINT and asks and not here
        awaits = stand is Situation.AWAITING and not others_turn
        assert (Act.WITHDRAW in acts) is (stand is Situation.HOLDS or awaits)
        if Act.ACCEPT in acts and not here:
            assert acts & {Act.REFUSE, Act.WITHDRAW}
        if kind is LinkKind.WITHDRAW:
            assert acts <= {Act.WITHDRAW}


def test_a_consent_ends_at_its_expiry_or_at_a_planned_material_version():
    """A consent ends at its expiry or at an earlier planned material version; a minor version does not end it."""
    grant = granted("2026-06-01T10:00:00")
    assert consent_ends(grant, fold([grant], processing(), NOW, POLICY)) == utc("2027-05-31T22:00:00")
    planned = processing(version(), version(2, "2026-08-01"))
    assert consent_ends(grant, fold([grant], planned, NOW, POLICY)) == utc("2026-08-01")
    immaterial = processing(version(), version(2, "2026-08-01", material=False))
    assert consent_ends(grant, fold([grant], immaterial, NOW, POLICY)) == utc("2027-05-31T22:00:00")
    assert would_end(version(), planned, NOW, POLICY) == utc("2026-08-01")
    assert would_end(version(), processing(), NOW, POLICY) == utc("2027-06-14T22:00:00")


def test_a_refusal_is_not_asked_again_for_a_while():
    """A refusal or withdrawal pauses questions for six calendar months; a grant, or no decision, does not."""
    half_a_year = ConsentPeriod.parse("P6M")
    assert paused_until(None, half_a_year) is None
    assert paused_until(granted("2026-01-31T10:00:00"), half_a_year) is None
    refused = event(EventKind.REFUSED, "2026-08-31T10:00:00")
    assert paused_until(refused, half_a_year) == utc("2027-02-28T11:00:00")
    withdrawn = event(EventKind.WITHDRAWN, "2026-01-15T10:00:00")
    assert paused_until(withdrawn, half_a_year) == utc("2026-07-15T09:00:00")


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [
        ("alice@example.fr", "al…@example.fr"),
        ("al@example.fr", "a…@example.fr"),
        ("a@example.fr", "…@example.fr"),
        ("@alice:example.org", "@a…:example.org"),
        ("@:example.org", "…:example.org"),
        ("tel:+33612345678", "+33 6 •• •• •• 78"),
        ("sip:0612345678", "06 •• •• •• 78"),
        ("mailto:alice@example.fr", "al…@example.fr"),
        ("a:alice", "a:…"),
        ("alice", "al…"),
        ("a", "…"),
        ("", "…"),
        ('"odd@local"@example.fr', '"o…@example.fr'),
        ("alice@" + "long" * 20 + ".fr", "al……" + ("long" * 20 + ".fr")[-40:]),
    ],
)
def test_an_account_is_hinted_at_and_never_told(identifier, hint):
    """A hint shows at most two characters of the person's name, and the domain, but never the whole id."""
    assert account_hint(identifier) == hint
    assert account_hint(identifier) != identifier


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [
        ("+33612345678", "+33 6 •• •• •• 78"),
        ("0612345678", "06 •• •• •• 78"),
        ("06 12 34 56 78", "06 •• •• •• 78"),
        ("+442079460958", "+44 •• •• •• •• 58"),
        ("+35212345", "+35 •• •• 45"),
    ],
)
def test_a_telephone_number_is_recognisable_and_not_told(identifier, hint):
    """A telephone number is hinted at by its first and last two digits, if the id is said to be a number."""
    assert account_hint(identifier, "phone") == hint
    assert account_hint(identifier, "user") == f"{identifier[:2]}…"
    assert account_hint("alice", "phone") == "al…"
