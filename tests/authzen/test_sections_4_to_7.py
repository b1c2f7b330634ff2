"""AuthZEN Authorization API 1.0, sections 4 to 7: what tests of other names do not show (see README.md)."""

import pytest

from app.api.http.security import scopes_by_route
from tests.support.api import question

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def pdp(shared):
    """One processing of IV, to which alice consented."""
    shared.agreed("ads", "alice")
    return shared


def nulls(value):
    """Whether a member of a JSON value has no value."""
    if isinstance(value, dict):
        return any(nulls(each) for each in value.values())
    return value is None or (isinstance(value, list) and any(nulls(each) for each in value))


def test_section_4_the_version_stands_in_each_path(pdp):
    """Every method of the API has `/v1/` before its name, and the paths are the default ones."""
    paths = {path for _, path in scopes_by_route(pdp.client.app) if path.startswith("/access/")}
    assert paths == {
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/access/v1/search/subject",
        "/access/v1/search/action",
    }


def test_section_5_1_an_id_is_scoped_to_its_type(pdp):
    """The same id of another type is somebody else."""
    body = question("alice", "ads")
    assert pdp.ok("POST", ONE, body)["decision"] is True
    body["subject"]["type"] = "mxid"
    assert pdp.ok("POST", ONE, body)["context"]["reason"] == "no_consent"


def test_section_5_2_any_type_of_resource_is_a_correspondence(pdp):
    """The resource's type and id are the caller's own: they change nothing."""
    for kind, identifier in (("record", "record-1"), ("book", "978-0593383322"), ("x", "é")):
        body = {**question("alice", "ads"), "resource": {"type": kind, "id": identifier}}
        assert pdp.ok("POST", ONE, body)["decision"] is True


@pytest.mark.parametrize(
    "value", ["Sales", 5, 1.5, True, None, ["a", 1], {"title": "x", "deep": {"isbn": ["1"]}}], ids=str
)
def test_section_5_1_1_properties_may_have_any_value(pdp, value):
    """Properties that Sceau does not know, of whatever type, are accepted with each entity, and change nothing."""
    body = question("alice", "ads")
    body["subject"]["properties"] = {"own": value}
    body["action"]["properties"]["own"] = value
    body["resource"]["properties"]["own"] = value
    body["context"] = {"own": value}
    assert pdp.ok("POST", ONE, body)["decision"] is True


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_section_5_5_a_decision_is_true_or_false_and_has_no_empty_member(pdp, name):
    """`decision` is a boolean, `context` an object, and what has no value is left out."""
    for body, path in ((question(name, "ads"), ONE), ({"evaluations": [question(name, "ads"), {}]}, MANY)):
        answer = pdp.ok("POST", path, body)
        assert not nulls(answer)
        for each in answer.get("evaluations", [answer]):
            assert type(each["decision"]) is bool
            assert isinstance(each["context"], dict)


def test_section_7_1_1_a_default_context_is_inherited_or_replaced(pdp):
    """An item without a context has the default one; its own replaces that whole."""
    body = {**question("alice", "ads"), "context": {"decision_token": True}, "evaluations": [{}, {"context": {}}]}
    inherited, own = pdp.ok("POST", MANY, body)["evaluations"]
    assert "decision_token" in inherited["context"]
    assert "decision_token" not in own["context"]


def test_section_7_1_2_options_that_are_not_known_are_ignored(pdp):
    """Other members of `options` change nothing."""
    body = {"evaluations": [question("alice", "ads")], "options": {"another_option": "value"}}
    assert [each["decision"] for each in pdp.ok("POST", MANY, body)["evaluations"]] == [True]
