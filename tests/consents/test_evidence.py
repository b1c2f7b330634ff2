from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.support.api import refused, subject, utc
from tests.support.consents import EVIDENCE, SIGNED, grant, hash_of, notice_of, own_form, written
from tests.support.two_persons import add

REGISTERED, NOON = utc("2026-06-01T00:00:00Z"), utc("2026-06-15T12:00:00Z")
SECOND = {"fr": "Deuxième texte", "en": "Second text"}


@pytest.fixture
def pip(moving, shared_clock):
    """`ads`, `stats` and `french` of 1 June, the last without English; the clock stands at noon on 15 June 2026."""
    shared_clock.at = REGISTERED
    for name, notice in (("ads", notice_of("ads")), ("stats", notice_of("stats")), ("french", {"fr": "Texte"})):
        if moving.call("GET", f"/v1/processings/{name}").status_code == 404:
            moving.register(name, notice=notice)
    shared_clock.at = NOON
    return moving


def _body(name, *, at=NOON, **more):
    return grant(name, "ads", at=at, **more)


def _refused(pip, body, field, slug):
    answer = pip.call("POST", "/v1/consents", body)
    assert refused(answer) == (422, slug), answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_a_grant_says_when_it_was_collected(pip):
    """A grant without its time is a 422; a refusal without one counts from now."""
    body = _body("a")
    del body["collected_at"]
    _refused(pip, body, "collected_at", "invalid-request")
    assert pip.ok("POST", "/v1/consents", {**body, "decision": "refused"})["collected_at"] == written(NOON)


@pytest.mark.parametrize("left_out", ["presented_text_sha256", "authentication"])
def test_a_grant_says_which_text_was_shown_and_to_whom(pip, left_out):
    """A grant without its text's hash, or how the person was identified, is a 422; a refusal without is recorded."""
    body = _body(f"no {left_out}")
    del body["evidence"][left_out]
    _refused(pip, body, f"evidence.{left_out}", "invalid-request")
    refusal = pip.ok("POST", "/v1/consents", {**body, "decision": "refused"})
    (entry,) = pip.ok("GET", f"/v1/consents/{refusal['id']}/history")["items"]
    assert (refusal["state"], entry["evidence"]) == ("refused", body["evidence"])


@pytest.mark.parametrize("left_out", ["nothing", "the time and the hash"])
def test_a_grant_repeated_late_does_not_outrank_a_withdrawal(pip, shared_clock, left_out):
    """A grant that is sent again after a withdrawal permits nothing."""
    body = _body(left_out)
    if left_out != "nothing":
        body = {**body, "evidence": EVIDENCE}
        del body["collected_at"]
    pip.call("POST", "/v1/consents", body)
    shared_clock.at = NOON + timedelta(minutes=2)
    pip.withdraw(left_out, "ads")
    shared_clock.at = NOON + timedelta(minutes=4)
    pip.call("POST", "/v1/consents", body)
    assert pip.reason(left_out, "ads") == "consent_withdrawn"


def test_the_notice_is_that_of_the_version(pip):
    """A grant is a 422 if its notice is not a number, or is another version than the one that it names."""
    for more in ({"version": 1}, {}):
        token = _body("c", evidence={"notice_version": "v1"}, **more)
        _refused(pip, token, "evidence.notice_version", "invalid-evidence")
    pip.register("two")
    add(pip, "two", notice=SECOND, material=True)
    other = {**_body("c", evidence={"notice_version": 2}), "processing": "two", "version": 1}
    _refused(pip, other, "evidence.notice_version", "invalid-evidence")
    _refused(pip, _body("c", evidence={"notice_version": 9}), "evidence.notice_version", "unknown-version")
    assert pip.decide("c", "ads", "refused", evidence={"notice_version": "v1"})["state"] == "refused"


def test_the_notice_names_the_version(pip, shared_clock):
    """A grant that names no version is to the version of its notice, even if another is in force."""
    pip.register("named")
    shared_clock.at = NOON + timedelta(minutes=1)
    add(pip, "named", notice=SECOND, material=True)
    at = written(shared_clock.at)
    assert pip.ok("POST", "/v1/consents", {**grant("d", "named"), "collected_at": at})["version"] == 1
    shown = {**EVIDENCE, "notice_version": 2, "presented_text_sha256": hash_of(SECOND["fr"])}
    body = {**grant("d", "named"), "collected_at": at, "evidence": shown}
    assert (pip.ok("POST", "/v1/consents", body)["version"], pip.reason("d", "named")) == (2, "consent_in_force")


def test_the_language_is_that_of_the_text(pip):
    """The French notice, said to have been read in English, is 422; in a French of some country it is taken."""
    french = hash_of(notice_of("ads")["fr"])
    wrong = _body("e", evidence={"language": "en", "presented_text_sha256": french})
    _refused(pip, wrong, "evidence.language", "invalid-evidence")
    right = _body("e", evidence={"language": "fr-BE", "presented_text_sha256": french.upper()})
    assert pip.ok("POST", "/v1/consents", right)["state"] == "in_force"


@pytest.mark.parametrize("digest", [hash_of("Texte"), "ab" * 32])
def test_a_language_that_the_version_has_not_is_refused(pip, digest):
    """A text in a language that the register does not hold is 422, whatever its hash."""
    evidence = {"language": "en", "presented_text_sha256": digest}
    _refused(pip, grant("f", "french", at=NOON, evidence=evidence), "evidence.language", "invalid-evidence")


METHODS = {"web_form", "in_app", "api", "paper", "phone"}
FITTING = {
    "button_clicked": {"web_form", "in_app", "api"},
    "box_ticked": {"web_form", "in_app", "api", "paper"},
    "signed": {"web_form", "in_app", "api", "paper"},
    "spoken": {"phone"},
    "none": METHODS,
}


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("act", FITTING)
def test_the_act_fits_the_method(pip, act, method):
    """A grant whose act does not fit its method, such as a click by phone, is a 422; a refusal is recorded."""
    name = f"{act} {method}"
    recorded = {"document_sha256": hash_of(f"Recorded: {name}")} if method == "phone" else {}
    body = _body(name, evidence={"positive_act": act, "method": method, **recorded})
    if method not in FITTING[act]:
        _refused(pip, body, "evidence.positive_act", "invalid-evidence")
        assert pip.ok("POST", "/v1/consents", {**body, "decision": "refused"})["state"] == "refused"
    else:
        pip.ok("POST", "/v1/consents", body)


EARLIER = REGISTERED - timedelta(days=30)


@pytest.mark.parametrize("left_out", ["method", "positive_act", "document_sha256"])
def test_a_text_was_not_shown_before_it_existed(pip, left_out):
    """A grant older than the version's registration is 422, unless it is a form signed on paper that is named."""
    signed = {name: value for name, value in SIGNED.items() if name != left_out}
    if left_out == "positive_act":
        signed["positive_act"] = "box_ticked"
    name = f"without {left_out}"
    _refused(pip, _body(name, at=EARLIER, evidence=signed), "collected_at", "collection-time")
    kept = pip.ok("POST", "/v1/consents", _body(name, at=EARLIER, evidence=SIGNED))
    assert (kept["state"], kept["collected_at"]) == ("in_force", written(EARLIER))
    (entry,) = pip.ok("GET", f"/v1/consents/{kept['id']}/history")["items"][-1:]
    assert entry["evidence"]["document_sha256"] == own_form(SIGNED, name)["document_sha256"]


def test_a_text_is_shown_from_its_registration_on(pip):
    """A grant of the very instant at which the version was registered is taken; one a moment earlier is not."""
    _refused(pip, _body("i", at=REGISTERED - timedelta(microseconds=1)), "collected_at", "collection-time")
    assert pip.ok("POST", "/v1/consents", _body("i", at=REGISTERED))["state"] == "in_force"


def test_what_narrows_is_never_refused_for_its_age(pip):
    """A refusal and a withdrawal from before the registration are recorded."""
    assert pip.decide("j", "ads", "refused", collected_at=written(EARLIER))["state"] == "refused"
    assert pip.withdraw("j", "ads", received_at=written(EARLIER))["effective_at"] == written(EARLIER)


def test_a_withdrawal_says_whether_anybody_was_known(pip):
    """A withdrawal says whether its subject had consented to anything, each time that it is repeated."""
    first, second = pip.withdraw("k", "ads"), pip.withdraw("k", "ads")
    assert (first["withdrawn"], first["matched"], second["matched"]) == ([], False, False)
    pip.decide("l", "ads")
    assert pip.withdraw("l", "stats")["matched"] is True


@pytest.mark.parametrize(("processings", "matched"), [(["ads"], True), (["ads", "stats"], True), (["stats"], False)])
def test_a_withdrawal_says_whether_anybody_was_known_to_its_caller(pip, processings, matched):
    """A caller limited to processings is told whether its subject had consented to any of these."""
    name = f"known-to-{'-'.join(processings)}"
    pip.decide(name, "ads")
    limited = pip.with_key(pip.new_key("consents:write", processings=processings))
    assert limited.withdraw(name, processings[-1])["matched"] is matched


def test_every_entry_is_shown_by_its_id(pip):
    """Grants, withdrawals and closures are answered with ids, by which each is read; another id is 404."""
    granted = pip.decide("m", "ads")["id"]
    withdrawn = pip.withdraw("m", "ads", method="phone")["id"]
    closed = pip.ok("POST", "/v1/subjects/closures", {"subject": subject("m")})["id"]
    shown = [pip.ok("GET", f"/v1/consent-events/{each}") for each in (granted, withdrawn, closed)]
    kinds = {each["id"]: each["kind"] for each in shown}
    assert kinds == {granted: "granted", withdrawn: "withdrawn", closed: "closed"}
    assert shown[1]["evidence"] == {"method": "phone"}
    assert pip.call("GET", f"/v1/consent-events/{uuid4()}").status_code == 404


def test_an_erasure_of_nobody_has_no_entry(pip):
    """An erasure answers with the id of its closure, or without one if the subject was unknown."""
    assert "id" not in pip.ok("POST", "/v1/subjects/erasures", {"subject": subject("nobody")})
    pip.withdraw("n")
    erased = pip.ok("POST", "/v1/subjects/erasures", {"subject": subject("n")})["id"]
    assert pip.ok("GET", f"/v1/consent-events/{erased}")["kind"] == "closed"


def test_entries_of_others_processings_are_not_shown(pip):
    """A caller limited to one processing sees its entries alone, and none about all of them."""
    limited = pip.with_key(pip.new_key("consents:read", processings=["ads"]))
    entries = [pip.withdraw("o", "ads")["id"], pip.withdraw("o", "stats")["id"], pip.withdraw("o")["id"]]
    answers = [limited.call("GET", f"/v1/consent-events/{each}").status_code for each in entries]
    assert answers == [200, 404, 404]


def test_a_search_finds_who_only_ever_withdrew(pip):
    """A search says that a subject with a withdrawal alone is known, to callers that may see the withdrawal."""
    pip.withdraw("p", "stats")
    body = {"subject": subject("p")}
    assert pip.ok("POST", "/v1/consents/search", body) == {"items": [], "known": True}
    assert pip.ok("POST", "/v1/consents/search", {**body, "processing": "ads"})["known"] is False
    limited = pip.with_key(pip.new_key("consents:read", processings=["ads"]))
    assert limited.ok("POST", "/v1/consents/search", body)["known"] is False
    assert "known" not in pip.ok("POST", "/v1/consents/search", {})
    pip.ok("POST", "/v1/subjects/closures", body)
    assert pip.ok("POST", "/v1/consents/search", body)["known"] is False


def test_a_call_names_its_recording(pip):
    """A grant by phone names what was recorded, or the script that was read, by its hash."""
    call = {"method": "phone", "positive_act": "spoken"}
    _refused(pip, _body("caller", evidence=call), "evidence.document_sha256", "invalid-evidence")
    zeros = {**call, "document_sha256": "0" * 64}
    _refused(pip, _body("caller", evidence=zeros), "evidence.document_sha256", "invalid-evidence")
    assert pip.ok("POST", "/v1/consents", _body("caller", evidence={**call, "document_sha256": "ef" * 32}))


def test_a_document_stands_for_one_person(pip):
    """A form proves several consents of one person, and is refused for another person."""
    signed = {**SIGNED, "document_sha256": hash_of("One form")}
    for _ in range(2):
        assert pip.ok("POST", "/v1/consents", _body("signatory", evidence=signed))["state"] == "in_force"
    for name in ("another", "one more"):
        _refused(pip, _body(name, evidence=signed), "evidence.document_sha256", "invalid-evidence")


def test_nothing_was_consented_to_before_the_processing_was_put_in_place(pip):
    """A grant dated before the processing's `started_on` is refused, even with a signed form."""
    early = datetime(2019, 12, 31, 12, tzinfo=UTC)
    _refused(pip, _body("early", at=early, evidence=SIGNED), "collected_at", "collection-time")


def test_nobody_is_their_own_parent_at_their_first_word(pip):
    """A person who is still unknown cannot be named as their own parent, even in another spelling."""
    parent = {"parent": subject("Own.Parent@Example.fr"), "parent_checked_how": "declaration"}
    capacity = {"age_band": "under_15", "given_by": "both", **parent}
    _refused(pip, {**_body("own.parent@example.fr"), "capacity": capacity}, "capacity.parent", "invalid-evidence")


@pytest.mark.parametrize("given_by", ["both", "holder_of_parental_responsibility"])
def test_a_parent_is_told_and_known_by_a_reference(pip, given_by):
    """A parent and how they were checked are required; the id is not kept, and a parent has one reference."""
    parent = {"parent": {"type": "user", "id": "Mother@Example.fr"}, "parent_checked_how": "family_record_book"}
    capacity = {"age_band": "under_15", "given_by": given_by}
    for left_out in parent:
        named = {name: value for name, value in parent.items() if name != left_out}
        body = {**_body("a-child"), "capacity": {**capacity, **named}}
        _refused(pip, body, f"capacity.{left_out}", "invalid-request")
    refs = set()
    for child in (f"child one {given_by}", f"child two {given_by}"):
        made = pip.ok("POST", "/v1/consents", {**_body(child), "capacity": {**capacity, **parent}})
        (entry,) = pip.ok("GET", f"/v1/consents/{made['id']}/history")["items"][-1:]
        assert "mother" not in str(entry).lower()
        assert entry["capacity"]["parent_checked_how"] == "family_record_book"
        refs.add(entry["capacity"]["parent_ref"])
    assert len(refs) == 1
