"""The OpenID AuthZEN certification scenario, core level, over HTTP against a real `sceau serve`, by data alone."""

import signal
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest
import yaml

from tests.faults.service import Service
from tests.support.consents import written
from tests.support.databases import new_database

DATA = yaml.safe_load((Path(__file__).parent / "certification.yaml").read_text(encoding="utf-8"))
RECORD = {"type": "record", "id": "record-1"}
ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECTS, ACTIONS = "/access/v1/search/subject", "/access/v1/search/action"


@pytest.fixture(scope="module")
def pdp(tmp_path_factory):
    """A service on a database that holds the scenario's data and nothing else."""
    with new_database() as database:
        settings = {
            "SCEAU_DATABASE_URL": database.app_url,
            "SCEAU_PUBLIC_URL": "https://pdp.example.org",
            "SCEAU_JOBS": "false",
        }
        service = Service(tmp_path_factory.mktemp("pdp") / "log", settings).wait_until_it_listens()
        try:
            for processing in DATA["processings"]:
                service.ok("POST", "/v1/processings", processing)
            for consent in DATA["consents"]:
                service.ok("POST", "/v1/consents", {**consent, "collected_at": written(datetime.now(UTC))})
            yield service
        finally:
            service.end(signal.SIGTERM)


def user(name):
    """A subject of the scenario."""
    return {"type": "user", "id": name}


def asked(case):
    """An evaluation of the scenario."""
    return {"subject": user(case["subject"]), "action": {"name": case["action"]}, "resource": RECORD}


def decisions(pdp, body):
    """The decisions of a batch, in order."""
    answer = pdp.ok("POST", MANY, body)
    assert answer.keys() == {"evaluations"}
    return [each["decision"] for each in answer["evaluations"]]


@pytest.mark.parametrize("case", DATA["decisions"], ids=lambda case: f"{case['subject']} {case['action']}")
def test_evaluation(pdp, case):
    """Each question of the scenario has the answer that it expects, as JSON, with its request id."""
    answer = pdp.client.request(
        "POST", ONE, json=asked(case), headers={"Authorization": pdp.authorization, "X-Request-ID": "c-2"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["x-request-id"] == "c-2"
    assert answer.json()["decision"] is case["decision"]


@pytest.mark.parametrize("missing", ["subject", "action", "resource", ("subject", "id"), ("resource", "type")])
def test_evaluation_without_a_required_member(pdp, missing):
    """A question that lacks a required member is a 400."""
    body = asked(DATA["decisions"][0])
    if isinstance(missing, str):
        del body[missing]
    else:
        outer, inner = missing
        body[outer] = {name: value for name, value in body[outer].items() if name != inner}
    assert pdp.call("POST", ONE, body).status_code == 400


def test_evaluations(pdp):
    """All questions of the scenario in one request have the same answers, in order."""
    wanted = [case["decision"] for case in DATA["decisions"]]
    assert decisions(pdp, {"evaluations": [asked(case) for case in DATA["decisions"]]}) == wanted


def test_evaluations_with_defaults(pdp):
    """Subject and resource as defaults; an action of each item's own."""
    items = [{"action": {"name": name}} for name in ("read", "write", "delete")]
    assert decisions(pdp, {"subject": user("alice"), "resource": RECORD, "evaluations": items}) == [True, True, False]


@pytest.mark.parametrize(
    ("semantic", "wanted"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_evaluations_semantics(pdp, semantic, wanted):
    """The array ends right after the item that decides."""
    items = [{"subject": user("bob"), "action": {"name": name}} for name in ("read", "write", "read")]
    body = {"resource": RECORD, "evaluations": items, "options": {"evaluations_semantic": semantic}}
    assert decisions(pdp, body) == wanted


def test_evaluations_with_an_unknown_semantic(pdp):
    """An unknown semantic is a 400."""
    body = {"evaluations": [asked(DATA["decisions"][0])], "options": {"evaluations_semantic": "nonsense"}}
    assert pdp.call("POST", MANY, body).status_code == 400


def test_evaluations_with_an_item_that_lacks_its_subject(pdp):
    """Scenario c-3-4-1: an item without a subject is `decision: false` with 200, also as the only one."""
    item = {"action": {"name": "read"}, "resource": RECORD}
    assert decisions(pdp, {"evaluations": [item]}) == [False]
    assert decisions(pdp, {"evaluations": [asked(DATA["decisions"][0]), item]}) == [True, False]


@pytest.mark.parametrize("items", [{}, {"evaluations": []}], ids=["absent", "empty"])
def test_evaluations_without_items(pdp, items):
    """Without items the answer is a single decision and has no `evaluations`."""
    answer = pdp.ok("POST", MANY, {**asked(DATA["decisions"][0]), **items})
    assert answer["decision"] is True
    assert "evaluations" not in answer


def search_subjects(pdp, action, **page):
    """One page of a subject search."""
    body = {"subject": {"type": "user"}, "action": {"name": action}, "resource": RECORD}
    return pdp.ok("POST", SUBJECTS, {**body, "page": page} if page else body)


@pytest.mark.parametrize(("action", "names"), DATA["subjects"].items())
def test_subject_search(pdp, action, names):
    """The subjects found for an action are those whose evaluation is a permit."""
    answer = search_subjects(pdp, action)
    assert list(answer) == ["page", "results"]
    assert answer["page"]["next_token"] == ""
    assert sorted(each["id"] for each in answer["results"]) == names
    assert all(each.keys() == {"type", "id"} and each["type"] == "user" for each in answer["results"])


def test_subject_search_in_pages(pdp):
    """A page of one, and a token that brings the other one."""
    first = search_subjects(pdp, "read", limit=1)
    second = search_subjects(pdp, "read", limit=1, token=first["page"]["next_token"])
    assert first["page"]["next_token"]
    assert second["page"]["next_token"] == ""
    ids = [each["id"] for page in (first, second) for each in page["results"]]
    assert tuple(ids) in permutations(DATA["subjects"]["read"])


@pytest.mark.parametrize(("name", "actions"), DATA["actions"].items())
def test_action_search(pdp, name, actions):
    """The actions found for a subject are those whose evaluation is a permit."""
    answer = pdp.ok("POST", ACTIONS, {"subject": user(name), "resource": RECORD})
    assert list(answer) == ["page", "results"]
    assert answer["page"]["next_token"] == ""
    assert [each["name"] for each in answer["results"]] == actions


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECTS, {"subject": {"type": "robot"}, "action": {"name": "read"}, "resource": RECORD}),
        (SUBJECTS, {"subject": {"type": "user"}, "action": {"name": "nonsense"}, "resource": RECORD}),
        (ACTIONS, {"subject": {"type": "robot", "id": "alice"}, "resource": RECORD}),
        (ACTIONS, {"subject": user("nobody"), "resource": RECORD}),
    ],
    ids=["subject type", "action", "type of a subject", "subject"],
)
def test_searches_for_what_is_unknown(pdp, path, body):
    """Scenario c-4-6: unknown types and ids have no results, and are no errors."""
    answer = pdp.ok("POST", path, body)
    assert (answer["results"], answer["page"]["next_token"]) == ([], "")


def test_discovery(pdp):
    """The metadata names each endpoint under the public address; resource search is neither named nor there."""
    answer = pdp.client.get("/.well-known/authzen-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    base = "https://pdp.example.org"
    assert body["policy_decision_point"] == base
    assert {name: value for name, value in body.items() if name.endswith("_endpoint")} == {
        "access_evaluation_endpoint": base + ONE,
        "access_evaluations_endpoint": base + MANY,
        "search_subject_endpoint": base + SUBJECTS,
        "search_action_endpoint": base + ACTIONS,
    }
    assert pdp.call("POST", "/access/v1/search/resource", {}).status_code == 404
