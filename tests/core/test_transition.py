from datetime import date

import pytest

from app.core.article import Element
from app.core.consent import EventKind
from app.core.decision import Participant, Reason
from app.core.evaluate import evaluate
from app.core.processing import PartyMode, Status, StatusChange
from tests.core.builders import ALICE, BOB, asked, event, granted, processing, utc, version

AT = utc("2026-06-15T12:00:00")
YEAR = utc("2027-03-09T23:00:00")
GRANT = granted("2026-03-10T09:00:00", 7)
CONSENTS = {ALICE: [GRANT]}
BOTH = frozenset({Element.CONTENT, Element.SUBJECT_LINE})
CONTENT = frozenset({Element.CONTENT})


def decide(entry, request=None, consents=None, at=AT, policy=None):
    """Evaluate, with alice's lawful consent to the first version unless told otherwise."""
    facts = (request or asked(), entry, CONSENTS if consents is None else consents, at)
    return evaluate(*facts, policy) if policy else evaluate(*facts)


SPRING_2017 = utc("2017-06-01T10:00:00")
OLD = date(2017, 3, 30)


@pytest.mark.parametrize(
    ("versions", "permitted"),
    [
        ([version(1, started_on=OLD)], True),
        ([version(1, started_on=date(2017, 3, 31))], False),
        ([version(1, "2017-03-30T21:59:59", started_on=OLD)], True),
        ([version(1, "2017-03-30T22:00:00", started_on=OLD)], False),
        ([version(1, started_on=OLD), version(2, "2017-06-01T10:00:00", started_on=OLD)], False),
        ([version(1, started_on=OLD), version(2, "2017-06-01T10:00:00.000001", started_on=OLD)], True),
        ([version(1, started_on=OLD), version(2, "2017-05-01", started_on=OLD, material=False)], True),
        ([version(1, started_on=OLD), version(2, "2017-03-01", started_on=OLD)], True),
        ([version(1, started_on=date(2017, 4, 15)), version(2, "2017-05-01", started_on=OLD, material=False)], False),
    ],
)
def test_the_transition_is_for_what_ran_before_and_was_not_remade(versions, permitted):
    """The transition permits a processing that started before the decree and has had no material version since."""
    decision = decide(processing(*versions), consents={}, at=SPRING_2017)
    assert (decision.reason is Reason.TRANSITION_2017) == permitted == decision.permitted


@pytest.mark.parametrize("kind", [EventKind.GRANTED, EventKind.REFUSED, EventKind.WITHDRAWN])
def test_the_transition_is_over_for_a_user_who_decided_and_not_for_the_next_holder_of_the_address(kind):
    """The transition does not permit for a user who has decided, until a closure makes way for the next holder."""
    events = [event(kind, "2017-04-10", 1), event(EventKind.CLOSED, "2017-05-01", 2)]
    entry = processing(version(started_on=OLD))
    assert decide(entry, consents={ALICE: events[:1]}, at=SPRING_2017).reason is not Reason.TRANSITION_2017
    assert decide(entry, consents={ALICE: events}, at=SPRING_2017).reason is Reason.TRANSITION_2017


def test_the_transition_ends_for_all_with_september_2017():
    """A transitional permit ends with September 2017 in Paris, or at an earlier scheduled version or suspension."""
    entry = processing(version(started_on=OLD))
    decision = decide(entry, consents={}, at=SPRING_2017)
    assert (decision.article, decision.valid_until) == ("L32-3 NOTA", utc("2017-09-30T22:00:00"))
    assert decide(entry, consents={}, at=decision.valid_until).reason is Reason.NO_CONSENT
    scheduled = [
        processing(version(started_on=OLD), version(2, "2017-08-01")),
        processing(version(started_on=OLD), changes=[StatusChange(utc("2017-08-01"), Status.SUSPENDED)]),
    ]
    assert {decide(each, consents={}, at=SPRING_2017).valid_until for each in scheduled} == {utc("2017-08-01")}


@pytest.mark.parametrize(
    ("participants", "theirs", "reason"),
    [
        (None, [], "other_party"),
        ((Participant(BOB, local=True),), [], "transition_2017"),
        ((Participant(BOB, local=False),), [], "other_party"),
        ((Participant(BOB, local=True),), [event(EventKind.REFUSED, "2017-05-01")], "other_party"),
        ((Participant(BOB, local=True),), [granted("2017-05-01")], "transition_2017"),
        ((Participant(BOB, local=True),), [event(EventKind.CLOSED, "2017-05-01", processing=None)], "transition_2017"),
    ],
)
def test_other_parties_are_asked_about_in_the_transition_too(participants, theirs, reason):
    """A local party who never decided is not in the way; one who refused, or an outsider of `all_parties`, is."""
    entry = processing(version(started_on=OLD, party_mode=PartyMode.ALL_PARTIES))
    decision = decide(entry, asked(participants=participants), {BOB: theirs}, SPRING_2017)
    assert (decision.reason, decision.permitted) == (reason, reason == "transition_2017")


def test_a_transitional_permit_ends_with_the_consent_of_another_party():
    """A transitional permit that relies on another party's consent ends with that consent."""
    entry = processing(version(started_on=OLD, party_mode=PartyMode.ALL_PARTIES))
    theirs = granted("2017-05-01", expires_at=utc("2017-07-01"))
    asks = asked(participants=(Participant(BOB, local=True),))
    assert decide(entry, asks, {BOB: [theirs]}, SPRING_2017).valid_until == utc("2017-07-01")
