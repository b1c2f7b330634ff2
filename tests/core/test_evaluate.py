from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from app.core.article import Element, Purpose
from app.core.consent import EventKind
from app.core.decision import Participant, Reason
from app.core.evaluate import evaluate, explain, stable_until
from app.core.processing import PartyMode, Status, StatusChange
from app.core.rules import RULES
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


def test_the_rules_stand_in_the_order_of_the_law_page():
    """The rules are 3 to 19 in order, without 5, which comes before 2; 7b follows 7, and 9b follows 9."""
    numbers = ["3", "4", "6", "7", "7b", "8", "9", "9b", *map(str, range(10, 20))]
    assert [rule.number for rule in RULES] == numbers
    assert all(rule.asks.endswith((".", "?")) for rule in RULES)


def test_a_permit_names_the_consent_the_law_and_the_rule_it_rests_on():
    """A permit under IV says which grant, until when, under which law version and by which row."""
    decision = decide(processing())
    assert decision.permitted is True
    assert decision.consent == UUID(int=7)
    assert (decision.expires_at, decision.valid_until) == (YEAR, YEAR)
    assert (decision.law_version, decision.rule, decision.article) == ("2025-07-02", "19", "L32-3 IV")


def test_a_refusal_is_named_and_expires_never():
    """A deny because of a refusal names that refusal as its consent, without an expiry."""
    decision = decide(processing(), consents={ALICE: [event(EventKind.REFUSED, "2026-03-10", 3)]})
    assert (decision.consent, decision.expires_at, decision.valid_until) == (UUID(int=3), None, None)


def test_a_withdrawal_is_answered_with_the_consent_that_it_ended():
    """A deny after a withdrawal names the latest grant before it with its expiry, or none if there was no grant."""
    withdrawn = event(EventKind.WITHDRAWN, "2026-05-01", 9)
    earlier = granted("2026-01-10", 3)
    decision = decide(processing(), consents={ALICE: [earlier, GRANT, withdrawn]})
    assert (decision.reason, decision.consent, decision.expires_at) == (Reason.CONSENT_WITHDRAWN, UUID(int=7), YEAR)
    alone = decide(processing(), consents={ALICE: [withdrawn]})
    assert (alone.reason, alone.consent, alone.expires_at) == (Reason.CONSENT_WITHDRAWN, None, None)


def test_before_the_article_nothing_is_known():
    """Before 9 October 2016 an answer is a deny that names no law version, even for a registered processing."""
    decision, tried = explain(asked(), processing(), CONSENTS, utc("2016-10-08T21:59:59.999999"))
    assert (decision.permitted, decision.reason, decision.rule) == (False, Reason.LAW_VERSION_NOT_HELD, "1")
    assert (decision.law_version, decision.article) == (None, None)
    assert [(each.number, each.matched) for each in tried] == [("1", True)]


@pytest.mark.parametrize("entry", [None, processing(version(1, "2026-06-15T12:00:00.000001"))])
def test_a_processing_is_unknown_until_its_first_version(entry):
    """A processing without a version yet is unknown; both articles of secrecy are cited, as its provider is unknown."""
    decision, tried = explain(asked(), entry, CONSENTS, AT)
    assert (decision.permitted, decision.reason, decision.rule) == (False, Reason.UNKNOWN_PROCESSING, "2")
    assert (decision.law_version, decision.article) == ("2025-07-02", "L32-3 I-II")
    assert [(each.number, each.matched) for each in tried] == [("1", False), ("5", False), ("2", True)]


def test_an_explanation_tells_every_rule_tried_and_the_one_that_decided():
    """An explanation lists each rule tried, in order, up to the one that matched, which is the decision's rule."""
    decision, tried = explain(asked(), processing(), {ALICE: [event(EventKind.REFUSED, "2026-03-10")]}, AT)
    numbers = ["1", "5", "2", "3", "4", "6", "7", "7b", "8", "9", "9b", "10", "11", "12"]
    assert [each.number for each in tried] == numbers
    assert [each.number for each in tried if each.matched] == [decision.rule] == ["12"]
    assert all(each.asks for each in tried)


# --- other parties ---------------------------------------------------------------------------------------------------


def parties(mode, participants, consents=None):
    """Decide under a party mode, with these participants."""
    return decide(processing(version(party_mode=mode)), asked(participants=participants), consents or CONSENTS)


LOCAL_BOB = Participant(BOB, local=True)


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        [event(EventKind.REFUSED, "2026-03-10")],
        [granted("2026-03-10", conditional=True)],
        [granted("2025-06-15")],
        [granted("2026-03-10", processing="other")],
        [granted("2026-06-16")],
    ],
)
def test_a_local_participant_must_consent_as_the_user_must(theirs):
    """A local participant's consent is missing if it is absent, refused, unlawful, lapsed, elsewhere or yet to come."""
    decision = parties(PartyMode.ALL_LOCAL_USERS, (LOCAL_BOB,), {**CONSENTS, BOB: theirs})
    assert (decision.permitted, decision.reason) == (False, Reason.OTHER_PARTY)


def test_an_answer_never_tells_whose_consent_is_missing():
    """A deny because of another party names no consent and no expiry."""
    theirs = {**CONSENTS, BOB: [event(EventKind.WITHDRAWN, "2026-03-10", 9)]}
    decision = parties(PartyMode.ALL_PARTIES, (LOCAL_BOB,), theirs)
    assert (decision.consent, decision.expires_at, decision.valid_until) == (None, None, None)


def test_a_permit_under_iii_stands_on_no_time():
    """An exempt permit carries no consent and no expiry, and a deadline only where a suspension is scheduled."""
    changes = [
        StatusChange(utc("2026-01-01"), Status.SUSPENDED),
        StatusChange(utc("2026-02-01"), Status.ACTIVE),
        StatusChange(utc("2026-09-01"), Status.SUSPENDED),
        StatusChange(utc("2026-10-01"), Status.RETIRED),
    ]
    decisions = [decide(processing(purpose=Purpose.ROUTING, changes=each)) for each in (changes[:2], changes)]
    for decision, until in zip(decisions, [None, utc("2026-09-01")], strict=True):
        assert (decision.permitted, decision.reason, decision.article) == (True, Reason.EXEMPT, "L32-3 III")
        assert (decision.consent, decision.expires_at, decision.valid_until) == (None, None, until)


@pytest.mark.parametrize("request_", [asked(private=False), asked(territory="NC")])
def test_where_the_article_does_not_govern_only_what_it_would_exempt_goes_on(request_):
    """An active, automated processing of III within its elements is permitted, and nothing else; nothing is cited."""
    stopped = [StatusChange(AT, Status.SUSPENDED)]
    spam, later = Purpose.UNSOLICITED_CONTENT_DETECTION, [StatusChange(utc("2026-09-01"), Status.RETIRED)]
    permitted = decide(processing(purpose=spam, changes=later), request_)
    assert (permitted.permitted, permitted.reason, permitted.article) == (True, Reason.NOT_GOVERNED, None)
    assert (permitted.rule, permitted.valid_until, permitted.elements) == ("5", utc("2026-09-01"), CONTENT)
    refused = [
        decide(None, request_),
        decide(processing(version(1, "2026-07-01"), purpose=spam), request_),
        decide(processing(purpose=spam, changes=stopped), request_),
        decide(processing(version(automated=False), purpose=spam), request_),
        decide(processing(purpose=spam), replace(request_, automated=False)),
        decide(processing(purpose=spam), replace(request_, elements=BOTH)),
        decide(processing(), request_),
        decide(processing(purpose=Purpose.OTHER), request_),
    ]
    refusals = {(each.permitted, each.reason, each.article, each.rule) for each in refused}
    assert refusals == {(False, Reason.NOT_APPLICABLE, None, "5")}


def test_a_permit_says_what_it_covers_and_a_refusal_nothing():
    """A permit lists the elements that the request names, or all that the version declares; a deny lists none."""
    entry = processing(version(elements=BOTH))
    permits = [decide(entry, asked(elements=each), {ALICE: [GRANT]}).elements for each in (CONTENT, None)]
    assert permits == [CONTENT, BOTH]
    assert decide(entry, consents={}).elements is None


def test_an_answer_is_stable_until_something_about_its_own_processing_ends():
    """An answer is stable until a consent to its own processing expires or a scheduled version of it begins."""
    other = granted("2026-01-10", 1, processing="other")
    assert stable_until(processing(), [other], AT) is None
    assert stable_until(processing(), [other, GRANT], AT) == YEAR
    assert stable_until(processing(version(1), version(2, "2026-08-01")), [GRANT], AT) == utc("2026-08-01")


# --- the transition of 2017 -----------------------------------------------------------------------------------------


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


def test_a_transitional_permit_ends_with_the_consent_of_another_party():
    """A transitional permit that relies on another party's consent ends with that consent."""
    entry = processing(version(started_on=OLD, party_mode=PartyMode.ALL_PARTIES))
    theirs = granted("2017-05-01", expires_at=utc("2017-07-01"))
    asks = asked(participants=(Participant(BOB, local=True),))
    assert decide(entry, asks, {BOB: [theirs]}, SPRING_2017).valid_until == utc("2017-07-01")
