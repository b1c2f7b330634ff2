"""AuthZEN Authorization API 1.0, section 8: the search APIs."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authzen.searching import ACTIONS, HANDLE, MANY, SUBJECTS, actions, all_pages, ids, names, refused, subjects
from tests.support.api import processing, question, subject
from tests.support.properties import examples


@pytest.fixture(scope="module")
def pdp(searched):
    """An application with something to find."""
    return searched


def test_section_8_1_each_subject_found_is_permitted_and_no_other(pdp):
    """What a search finds is what an evaluation permits, for everybody who ever decided."""
    everybody = [*MANY, "refuser", "withdrawn", "closed", "erased", "invalid", "nobody"]
    for properties in ({}, {"elements": ["subject_line"]}, {"automated": False}, {"territory": "NC"}):
        people = set(ids(subjects(pdp, **properties)))
        permitted = {name for name in everybody if pdp.evaluate(name, "ads", **properties)["decision"]}
        assert people - {"Élodie@Exemple.fr"} == permitted


def test_section_8_1_each_action_found_is_permitted_and_no_other(pdp):
    """What a search finds is what an evaluation permits, of every processing in the register."""
    every = ["ads", "archive", "rested", "spam", "training"]
    for name in ("user-00", "user-05", "closed", "nobody"):
        variants: tuple[dict[str, Any], ...] = ({}, {"participants": []}, {"private": False})
        for properties in variants:
            permitted = [each for each in every if pdp.evaluate(name, each, **properties)["decision"]]
            assert names(actions(pdp, name, **properties)) == permitted


def test_section_8_1_a_subject_is_found_by_the_id_that_was_recorded(pdp):
    """Ids come from the vault, as they were first sent; each subject is found once, however often it consented."""
    people = ids(subjects(pdp, elements=["subject_line"]))
    assert "Élodie@Exemple.fr" in people
    assert sorted(people) == sorted([*MANY, "Élodie@Exemple.fr"])


def test_section_8_1_other_parties_count_in_a_search_too(pdp):
    """A processing that asks all local users is found for subjects whose correspondents consent as well."""
    assert ids(subjects(pdp, "training")) == []
    assert sorted(ids(subjects(pdp, "training", participants=[]))) == ["user-00", "user-01"]
    local = [{"id": "user-01", "local": True}]
    assert sorted(ids(subjects(pdp, "training", participants=local))) == ["user-00", "user-01"]
    assert ids(subjects(pdp, "training", participants=[{"id": "user-02", "local": True}])) == []


def test_section_8_1_of_an_exempt_processing_nobody_is_listed(pdp):
    """III permits it for everybody, known or not: the answer says so, and hands out no ids."""
    answer = subjects(pdp, "spam")
    assert list(answer) == ["page", "context", "results"]
    assert answer["context"] == {"everyone": True, "reason": "exempt", "article": "L32-3 III"}
    assert (answer["results"], answer["page"]["next_token"]) == ([], "")


@pytest.mark.parametrize(
    ("action", "properties"),
    [
        ("archive", {}),
        ("rested", {}),
        ("ads", {"elements": ["attachments"]}),
        ("spam", {"private": False, "automated": False}),
    ],
)
def test_section_8_1_what_nobody_is_permitted_finds_nobody(pdp, action, properties):
    """A question that is denied whoever it is about finds nobody, and says nothing of everyone."""
    answer = subjects(pdp, action, **properties)
    assert list(answer) == ["page", "results"]
    assert (answer["results"], answer["page"]["next_token"]) == ([], "")


def test_section_8_1_a_withdrawal_is_seen_by_the_next_search(pdp):
    """A search reads the primary: what was answered before it counts."""
    pdp.decide("fickle", "ads")
    assert "fickle" in ids(subjects(pdp))
    pdp.withdraw("fickle", "ads")
    assert "fickle" not in ids(subjects(pdp))
    assert names(actions(pdp, "fickle")) == ["spam"]


def test_section_8_3_page_is_the_first_member(pdp):
    """A reader that reads as it arrives knows what is to come."""
    for path, body in (
        (SUBJECTS, {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE}),
        (ACTIONS, {"subject": subject("user-00"), "resource": HANDLE}),
    ):
        answer = pdp.call("POST", path, body)
        assert answer.headers["content-type"] == "application/json"
        assert answer.text.startswith('{"page":')


@pytest.mark.parametrize("missing", ["subject", "action", "resource"])
def test_section_8_4_1_subject_action_and_resource_are_required(pdp, missing):
    """A subject search that lacks one of them is a 400 that names it."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE}
    del body[missing]
    assert refused(pdp, SUBJECTS, body) == [missing]


def test_section_8_4_1_the_type_is_required_and_an_id_ignored(pdp):
    """The subject has a type; whatever its id is, it is not looked at."""
    body: dict[str, Any] = {"subject": {"id": "user-00"}, "action": {"name": "ads"}, "resource": HANDLE}
    assert refused(pdp, SUBJECTS, body) == ["subject.type"]
    for identifier in ("user-00", "nobody", "", 5, None, {"a": 1}):
        body["subject"] = {"type": "user", "id": identifier}
        assert sorted(ids(pdp.ok("POST", SUBJECTS, body))) == MANY


@pytest.mark.parametrize("missing", ["subject", "resource"])
def test_section_8_6_1_subject_and_resource_are_required(pdp, missing):
    """An action search that lacks one of them is a 400 that names it; the subject needs its id."""
    body = {"subject": subject("user-00"), "resource": HANDLE}
    without = {name: value for name, value in body.items() if name != missing}
    assert refused(pdp, ACTIONS, without) == [missing]
    assert refused(pdp, ACTIONS, {**body, "subject": {"type": "user"}}) == ["subject.id"]


@pytest.mark.parametrize("action", [{"name": "training"}, {"name": 5}, "x", None, []])
def test_section_8_6_1_an_action_is_ignored(pdp, action):
    """Whatever an action search says of an action, it is not looked at."""
    body = {"subject": subject("user-05"), "resource": HANDLE, "action": action}
    assert names(pdp.ok("POST", ACTIONS, body)) == ["ads", "spam"]


def test_section_8_4_unknown_types_and_ids_find_nothing(pdp):
    """They are no error: the certification scenario (c-4-6) wants an empty list."""
    for answer in (subjects(pdp, kind="robot"), subjects(pdp, "nowhere"), subjects(pdp, "Not An Id")):
        assert (answer["results"], answer["page"]["next_token"]) == ([], "")


def test_section_8_6_an_unknown_subject_has_what_everybody_has(pdp):
    """Of a user that Sceau never heard of, the processings under III are found, as an evaluation permits them."""
    assert names(actions(pdp, "nobody")) == ["spam"]


def test_section_8_5_resource_search_is_not_offered(pdp):
    """Its path is a 404, and the metadata has no key for it."""
    assert pdp.call("POST", "/access/v1/search/resource", question("a", "ads")).status_code == 404
    assert "search_resource_endpoint" not in pdp.ok("GET", "/.well-known/authzen-configuration")


def test_section_10_1_2_who_may_search(pdp):
    """Without a key 401; without the scope 403; a processing out of the caller's reach is 403, or not found."""
    body = {"subject": subject("user-00"), "action": {"name": "ads"}, "resource": HANDLE}
    evaluator = pdp.with_key(pdp.new_key("decisions:evaluate"))
    limited = pdp.with_key(pdp.new_key("decisions:search", processings=["spam", "training"]))
    for path in (SUBJECTS, ACTIONS):
        assert pdp.with_key(None).call("POST", path, body).status_code == 401
        answer = evaluator.call("POST", path, body)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:scope-missing")
    answer = limited.call("POST", SUBJECTS, body)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:processing-not-allowed")
    body["action"] = {"name": "nowhere"}
    assert limited.call("POST", SUBJECTS, body).status_code == 403
    assert names(actions(limited, "user-00", participants=[])) == ["spam", "training"]


@pytest.mark.parametrize("path", [SUBJECTS, ACTIONS])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b'{"subject":{},"subject":{}}', b'{"a":"\\u0000"}', b"[" * 40 + b"]" * 40]
)
def test_section_10_1_1_a_malformed_search_is_a_400(pdp, path, body):
    """Whatever is wrong with a search is a 400, and of a body that is no JSON object no field is named."""
    assert refused(pdp, path, body) == []


@pytest.mark.parametrize("path", [SUBJECTS, ACTIONS])
def test_section_10_1_a_search_is_said_to_be_json(pdp, path):
    """Another content type is a 400, and parameters of the right one are accepted."""
    body = b'{"subject":{"type":"user","id":"a"},"action":{"name":"ads"},"resource":{"type":"c","id":"1"}}'
    assert pdp.call("POST", path, body, {"Content-Type": "text/plain"}).status_code == 400
    assert pdp.call("POST", path, body, {"Content-Type": "application/json; charset=utf-8"}).status_code == 200
    assert pdp.call("POST", path, body, {"X-Request-ID": "abc"}).headers["x-request-id"] == "abc"


def test_section_8_1_a_consent_ahead_of_its_version_changes_nothing_until_then(clocked, clock):
    """Two consents stand beside one another; the subject is found once, by whichever counts at that instant."""
    clocked.agreed("ads", "alice", "bob")
    change = clock.at + timedelta(days=30)
    version = {**processing("ads", material=True), "effective_from": change.isoformat()}
    del version["id"]
    clocked.ok("POST", "/v1/processings/ads/versions", version)
    clocked.decide("alice", "ads", version=2, evidence={"notice_version": 2})
    assert sorted(ids(subjects(clocked))) == ["alice", "bob"]  # recorded in one millisecond: in any order
    clock.at = change
    assert ids(subjects(clocked)) == ["alice"]
    clock.at = change + timedelta(days=366)
    assert ids(subjects(clocked)) == []


steps = st.tuples(
    st.sampled_from(["anna", "ben", "cleo"]), st.sampled_from(["granted", "refused", "withdrawn", "closed", "erased"])
)
registered = count(1)


@settings(max_examples=examples(15, deep=150), database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=6), st.integers(1, 3))
def test_section_8_1_search_and_evaluation_agree_whatever_was_decided(pdp, history, limit):
    """Property: for any history, the subjects found in pages are those whose evaluation is a permit."""
    identifier = f"ads-{next(registered)}"
    pdp.register(identifier)
    for name, what in history:
        if what == "withdrawn":
            pdp.withdraw(name, identifier)
        elif what in {"closed", "erased"}:
            path = {"closed": "closures", "erased": "erasures"}[what]
            pdp.ok("POST", f"/v1/subjects/{path}", {"subject": subject(name)})
        else:
            pdp.decide(name, identifier, what)
    pages = all_pages(lambda page: subjects(pdp, identifier, page=page), limit)
    names = [name for each in pages for name in ids(each)]
    assert sorted(names) == [name for name in ("anna", "ben", "cleo") if pdp.evaluate(name, identifier)["decision"]]
