from datetime import timedelta

import pytest

from tests.support.api import question, utc
from tests.support.golden_replay import wire

NOON = utc("2026-06-15T12:00:00Z")


@pytest.fixture(scope="module")
def of_noon(moving, shared_clock):
    """An application with a processing of IV, of 15 June 2026; each test uses names of its own."""
    shared_clock.at = NOON
    moving.register("ads")
    return moving


@pytest.fixture
def audit(of_noon, shared_clock):
    """That application at noon of 15 June 2026."""
    shared_clock.at = NOON
    return of_noon


def _explain(api, name, **more):
    return api.ok("POST", "/v1/explanations", {**question(name, "ads"), **more})


def test_an_explanation_gives_every_rule_and_the_facts(audit, alice):
    """An explanation lists the rules tried in order, the last one matched, and the events used; it has no id."""
    consent = audit.decide(alice, "ads")
    explanation = _explain(audit, alice)
    assert [rule["rule"] for rule in explanation["rules"] if rule["matched"]] == ["19"]
    assert [rule["rule"] for rule in explanation["rules"]][:4] == ["1", "5", "2", "3"]
    assert [event["id"] for event in explanation["facts"]["events"]] == [consent["id"]]
    assert explanation["facts"]["subject_ref"] == consent["subject_ref"]
    assert "id" not in explanation["context"]


def test_an_old_decision_is_explained_as_it_was_known_then(audit, shared_clock, alice):
    """With `at` and `known_at` of an old decision, the explanation repeats its reason, despite later events."""
    audit.state_age(alice, "adult")  # so that she is known already
    then = audit.evaluate(alice, "ads")
    shared_clock.at = NOON + timedelta(days=1)
    audit.decide(alice, "ads", collected_at=wire(NOON - timedelta(days=1)))
    as_known_then = _explain(audit, alice, at=wire(NOON), known_at=wire(NOON))
    assert as_known_then["context"]["reason"] == then["context"]["reason"] == "no_consent"
    assert _explain(audit, alice, at=wire(NOON))["context"]["reason"] == "consent_in_force"


def test_nothing_is_known_by_an_instant_to_come(audit, alice):
    """An explanation says what was known by now, whatever later instant it was asked for."""
    assert _explain(audit, alice, known_at=wire(NOON + timedelta(days=9)))["known_at"] == wire(NOON)


def test_without_an_instant_it_is_the_live_decision(audit, alice):
    """Right after a withdrawal, an explanation without `at` gives it as the reason, as a live decision does."""
    audit.decide(alice, "ads")
    audit.withdraw(alice, "ads")
    assert _explain(audit, alice)["context"]["reason"] == audit.reason(alice, "ads") == "consent_withdrawn"


def test_no_other_partys_consents_are_told(audit, alice, bob):
    """The facts name only the subject's own events, even if another party's event decided."""
    audit.register("training", purpose="service_improvement", party_mode="all_local_users")
    mine = audit.decide(alice, "training")
    audit.decide(bob, "training", "refused")
    body = question(alice, "training", participants=[{"id": bob, "local": True}])
    explanation = audit.ok("POST", "/v1/explanations", body)
    assert explanation["context"]["reason"] == "other_party"
    assert [event["id"] for event in explanation["facts"]["events"]] == [mine["id"]]


@pytest.mark.parametrize("at", [0, "2026-06-15", "2026-06-15T12:00:00", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z"])
def test_an_instant_that_is_none_is_refused(audit, at):
    """An instant that has no offset, is out of range or is not a text is a 422, for `at` and for `known_at`."""
    for name in ("at", "known_at"):
        assert audit.call("POST", "/v1/explanations", {**question("alice", "ads"), name: at}).status_code == 422


@pytest.mark.parametrize("name", ["at", "known_at"])
def test_an_instant_within_context_is_refused(audit, name):
    """An instant in `context`, where a decision would ignore it, is a 400 that names the field."""
    refused = audit.call("POST", "/v1/explanations", {**question("alice", "ads"), "context": {name: wire(NOON)}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, f"context.{name}")


@pytest.mark.parametrize("where", [(), ("subject",), ("action",), ("resource",)])
def test_a_member_that_is_not_known_is_refused(audit, where):
    """An unknown member, such as a mistyped `at`, is a 400 that names it."""
    body = question("alice", "ads")
    place = body
    for name in where:
        place = place[name]
    place["as_of"] = wire(NOON)
    refused = audit.call("POST", "/v1/explanations", body)
    named = [each["field"] for each in refused.json()["errors"]]
    assert (refused.status_code, named) == (400, [".".join([*where, "as_of"])])


def test_what_authzen_leaves_open_stays_open(audit):
    """Properties of subject, action and resource and `context` take what a decision takes."""
    body = question("alice", "ads")
    for name in ("subject", "action", "resource"):
        body[name] = {**body[name], "properties": {**body[name].get("properties", {}), "department": "sales"}}
    body["context"] = {"as_of": wire(NOON)}
    assert audit.ok("POST", "/v1/explanations", body)["context"]["reason"] == "no_consent"


def test_participants_that_were_forgotten_are_told(audit, alice, bob):
    """A deny for want of other parties points to `participants` if the question leaves them out, and only then."""
    audit.agreed("all", alice, party_mode="all_parties")
    for answer in (audit.evaluate(alice, "all"), audit.ok("POST", "/v1/explanations", question(alice, "all"))):
        assert answer["context"]["reason"] == "other_party"
        assert "resource.properties.participants" in answer["context"]["reason_admin"]["en"]
    named = audit.evaluate(alice, "all", participants=[{"id": bob, "local": True}])
    assert (named["context"]["reason"], "reason_admin" in named["context"]) == ("other_party", False)
    assert audit.evaluate(alice, "all", participants=[])["decision"]
