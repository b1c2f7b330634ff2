from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from app.db.session import WriteSession
from tests.support.api import refused, subject
from tests.support.consents import EVIDENCE, grant


@pytest.fixture(scope="module")
def pip(shared):
    """Processings of each purpose's kind, one of them retired and one suspended."""
    shared.register("ads")
    shared.register("spam", purpose="unsolicited_content_detection")
    shared.register("scoring", purpose="other")
    shared.register("half-year", purpose="statistics", consent_validity="P6M")
    shared.register("french", notice={"fr": "Texte"}, name={"fr": "Nom"})
    for name, status in (("gone", "retired"), ("paused", "suspended")):
        shared.register(name)
        shared.ok("PATCH", f"/v1/processings/{name}", {"status": status})
    return shared


def _body(name, processing="ads", decision="granted", **more):
    return {**grant(name, processing, **more), "decision": decision}


def _refused(pip, body, status, slug):
    answer = pip.call("POST", "/v1/consents", body)
    assert refused(answer) == (status, slug), answer.text
    return answer.json()


@pytest.mark.parametrize(
    "evidence",
    [
        {"presented_text_sha256": sha256(b"Texte de ads").hexdigest()},
        {"presented_text_sha256": sha256(b"Text of ads").hexdigest().upper(), "language": "en"},
        {"language": "EN-gb", "presented_text_sha256": sha256(b"Text of ads").hexdigest()},
        {"positive_act": "spoken", "method": "phone", "document_sha256": sha256(b"The recording").hexdigest()},
    ],
)
def test_a_lawful_grant_is_in_force(pip, evidence):
    """A grant whose text the register holds, in either language and with a hash in either case, permits."""
    name = f"lawful {sorted(evidence.items())}"
    assert pip.decide(name, "ads", evidence=evidence)["state"] == "in_force"
    assert pip.reason(name, "ads") == "consent_in_force"


@pytest.mark.parametrize("processing", ["spam", "scoring"])
@pytest.mark.parametrize("decision", ["granted", "refused"])
def test_no_decision_is_recorded_on_what_does_not_rest_on_consent(pip, processing, decision):
    """Under III, or for a purpose in neither list, consent is never asked: 409, and nothing is kept."""
    _refused(pip, _body("nobody", processing, decision), 409, "consent-not-applicable")
    answer = pip.call("POST", "/v1/withdrawals", {"subject": subject("nobody"), "processing": processing})
    assert answer.status_code == 409
    assert pip.ok("POST", "/v1/consents/search", {"subject": subject("nobody")})["items"] == []


def test_a_retired_processing_takes_no_grant_but_a_refusal(pip):
    """A retired processing takes no grant any more; a refusal and a withdrawal are always taken."""
    _refused(pip, _body("late", "gone"), 409, "processing-retired")
    assert pip.decide("late", "gone", "refused")["state"] == "refused"
    assert pip.withdraw("late", "gone")["withdrawn"] == []


def test_a_suspended_processing_takes_consents(pip):
    """Consents to a suspended processing are kept, and permit nothing while it is suspended."""
    assert pip.decide("patient", "paused")["state"] == "in_force"
    assert pip.reason("patient", "paused") == "processing_suspended"


INVALID: dict[str, dict[str, Any]] = {
    "misspelt member": {"colected_at": "2026-01-01T00:00:00Z"},
    "no such decision": {"decision": "withdrawn"},
    "version zero": {"version": 0},
    "version beyond 32 bits": {"version": 2**31},
    "no elements": {"elements": []},
    "unknown element": {"elements": ["body"]},
    "time without offset": {"collected_at": "2026-01-01T00:00:00"},
    "time far ahead": {"collected_at": "9999-12-31T23:59:59Z"},
    "time before 1970": {"collected_at": "0001-01-01T00:00:00Z"},
    "subject without type": {"subject": {"id": "x"}},
    "subject with more": {"subject": {"type": "user", "id": "x", "name": "y"}},
    "control in the id": {"subject": {"type": "user", "id": "x\u0007"}},
    "unknown method": {"evidence": {"method": "carrier_pigeon"}},
    "unknown act": {"evidence": {"positive_act": "scrolled"}},
    "hash too short": {"evidence": {"presented_text_sha256": "ab"}},
    "hash not hex": {"evidence": {"presented_text_sha256": "g" * 64}},
    "language a sentence": {"evidence": {"language": "en français"}},
    "more evidence": {"evidence": {"ip": "127.0.0.1"}},
    "unknown age": {"capacity": {"age_band": "child"}},
    "unknown giver": {"capacity": {"given_by": "employer"}},
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_body_is_refused_by_field(pip, case):
    """An invalid body is a 422 that names a field, and nothing is recorded."""
    body = _body(case, **INVALID[case])
    assert _refused(pip, body, 422, "invalid-request")["errors"][0]["field"]
    assert pip.ok("POST", "/v1/consents/search", {"subject": subject(case)})["items"] == []


@pytest.mark.parametrize("path", ["/v1/withdrawals", "/v1/withdrawals/batch"])
def test_each_offset_of_rfc_3339_is_taken(pip, path):
    """A withdrawal received at a time with the greatest offset is recorded, and answered in UTC."""
    name = f"far off, {path}"
    pip.decide(name, "ads")
    body = {"subject": subject(name), "received_at": far(timedelta(seconds=1))}
    answer = pip.ok("POST", path, {"items": [body]} if path.endswith("batch") else body)
    withdrawal = answer["items"][0]["answer"] if path.endswith("batch") else answer
    assert (withdrawal["effective_at"][-1], pip.reason(name, "ads")) == ("Z", "consent_withdrawn")


def far(ago):
    """A time so long ago, as it is 23 hours and 59 minutes east of Greenwich."""
    return (datetime.now(UTC) - ago).astimezone(timezone(timedelta(hours=23, minutes=59))).isoformat()


@pytest.mark.parametrize("left_out", [*EVIDENCE, "presented_text_sha256"])
def test_every_part_of_the_evidence_is_required(pip, left_out):
    """Evidence has no defaults: each part that is left out is 422."""
    body = _body("x")
    del body["evidence"][left_out]
    assert _refused(pip, body, 422, "invalid-request")["errors"][0]["field"] == f"evidence.{left_out}"


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"", 422), (b"[]", 422), (b'{"a": 1, "a": 2}', 400), (b'"\\ud800"', 400)]
)
def test_a_malformed_body_is_refused(pip, body, status):
    """A body that is no I-JSON is 400 here too; one that is no object is 422."""
    assert pip.call("POST", "/v1/consents", body).status_code == status


@pytest.fixture
def narrowed(monkeypatch):
    """The transactions that are confirmed like a withdrawal before they are answered."""
    narrow = WriteSession.narrow
    sessions: list[WriteSession] = []

    def noted(session: WriteSession) -> None:
        sessions.append(session)
        narrow(session)

    monkeypatch.setattr(WriteSession, "narrow", noted)
    return sessions


@pytest.mark.parametrize("elements", [["subject_line"], None])
def test_a_second_half_that_covers_less_is_confirmed_like_a_withdrawal(api, narrowed, elements):
    """A second half that leaves a joint consent narrower is confirmed like a withdrawal; one that covers all is not."""
    api.register("ads")
    api.state_age("kid", "under_15", checked_how="identity_document")
    api.decide("kid", "ads", capacity={"given_by": "both"})
    api.decide("kid", "ads", capacity={"given_by": "self"}, **({} if elements is None else {"elements": elements}))
    assert api.reason("kid", "ads", elements=["content"]) == "consent_in_force"
    narrowed.clear()
    api.decide("kid", "ads", capacity={"given_by": "holder_of_parental_responsibility"})
    left = "consent_in_force" if elements is None else "consent_scope"
    assert (api.reason("kid", "ads", elements=["content"]), bool(narrowed)) == (left, elements is not None)


@pytest.mark.parametrize(
    ("second", "confirmed"), [({}, False), ({"elements": ["content"]}, True), ({"decision": "refused"}, True)]
)
def test_a_decision_that_permits_less_is_confirmed_like_a_withdrawal(api, narrowed, second, confirmed):
    """A refusal and a grant of fewer elements are confirmed like a withdrawal; a first grant or an equal one is not."""
    api.agreed("ads", "alice")
    assert not narrowed
    api.decide("alice", "ads", **second)
    assert bool(narrowed) == confirmed


def test_a_grant_that_replaces_none_is_not_confirmed_like_a_withdrawal(api, narrowed):
    """A grant of fewer elements than a consent that was withdrawn is not confirmed like a withdrawal."""
    api.agreed("ads", "alice")
    api.withdraw("alice", "ads")
    narrowed.clear()
    api.decide("alice", "ads", elements=["content"])
    assert not narrowed


@pytest.mark.parametrize(("band", "confirmed"), [("adult", False), ("minor_15_plus", True)])
def test_a_minors_grant_is_confirmed_like_a_withdrawal(api, narrowed, band, confirmed):
    """A grant that says that the person is a minor is confirmed like a withdrawal: other consents may fall with it."""
    api.register("ads")
    consent = api.decide("alice", "ads", capacity={"age_band": band, "given_by": "self"})
    assert (consent["state"], bool(narrowed)) == ("in_force", confirmed)
