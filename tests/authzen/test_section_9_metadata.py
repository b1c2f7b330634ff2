"""AuthZEN Authorization API 1.0, section 9: metadata of the policy decision point."""

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from tests.support.api import running
from tests.support.databases import new_database

WELL_KNOWN = "/.well-known/authzen-configuration"
BASE = "https://sceau.example.fr"
HOSTILE = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8080", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
    {"Forwarded": "host=evil.example;proto=http", "X-Forwarded-Prefix": "/evil", "X-Original-Host": "evil.example"},
]


def test_section_9_1_1_every_endpoint_is_named_under_the_public_address(shared):
    """The identifier and the endpoints that there are, each made of SCEAU_PUBLIC_URL; no member has no value."""
    body = shared.with_key(None).ok("GET", WELL_KNOWN)
    assert body == {
        "policy_decision_point": BASE,
        "access_evaluation_endpoint": f"{BASE}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{BASE}/access/v1/evaluations",
        "search_subject_endpoint": f"{BASE}/access/v1/search/subject",
        "search_action_endpoint": f"{BASE}/access/v1/search/action",
        "capabilities": body["capabilities"],
    }


def test_section_9_1_1_every_endpoint_named_exists(shared):
    """Each address leads to a route that reads a POST: a body that is none is its 400."""
    for name, address in shared.ok("GET", WELL_KNOWN).items():
        if name.endswith("_endpoint"):
            assert shared.call("POST", address.removeprefix(BASE), {}).status_code == 400


def test_section_9_1_2_capabilities_are_urns(shared):
    """`capabilities` is a list of URNs, each once, of what is offered beyond the specification."""
    capabilities = shared.ok("GET", WELL_KNOWN)["capabilities"]
    assert capabilities == ["urn:sceau:capability:decision-token", "urn:sceau:capability:text-plain"]


@pytest.mark.parametrize("headers", HOSTILE)
def test_section_9_2_no_header_of_a_request_gets_into_the_metadata(shared, headers):
    """Whatever host a client names, directly or as a proxy would, the answer is the same, byte for byte."""
    usual = shared.call("GET", WELL_KNOWN)
    answer = shared.with_key(None).call("GET", WELL_KNOWN, None, headers)
    assert (answer.status_code, answer.content) == (200, usual.content)
    assert b"evil" not in answer.content + "".join(answer.headers.values()).encode()


def test_section_9_2_the_header_would_be_seen():
    """The control: an address made from the request, as frameworks make it, says what the Host header said."""
    careless = FastAPI(openapi_url=None)

    @careless.get(WELL_KNOWN)
    async def configuration(request: Request) -> dict[str, str]:
        return {"policy_decision_point": str(request.base_url)}

    assert "evil" in TestClient(careless).get(WELL_KNOWN, headers={"Host": "evil.example"}).text


def test_section_9_2_1_it_is_read_by_get(shared):
    """Metadata is asked for by GET, without a key, and never by POST."""
    assert shared.with_key(None).call("GET", WELL_KNOWN).status_code == 200
    assert shared.call("POST", WELL_KNOWN, {}).status_code == 405


def test_section_9_2_2_the_answer_is_json_that_may_be_kept(shared):
    """200, `application/json`, and a time for which it may be kept (11.7)."""
    answer = shared.call("GET", WELL_KNOWN)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert None not in answer.json().values()


def test_section_9_2_the_well_known_part_stands_between_host_and_path():
    """A public address with a path has its metadata at the address that clients make of it, and names itself so."""
    with new_database() as database, running(database, public_url="https://mail.example.fr/consent/sceau/") as api:
        body = api.ok("GET", f"{WELL_KNOWN}/consent/sceau")
        assert body["policy_decision_point"] == "https://mail.example.fr/consent/sceau"
        assert body["search_action_endpoint"] == "https://mail.example.fr/consent/sceau/access/v1/search/action"
        assert api.ok("GET", WELL_KNOWN) == body
        assert api.call("GET", f"{WELL_KNOWN}/other").status_code == 404


def test_section_9_2_there_are_no_tenants(shared):
    """Where the public address has no path, nothing is found below the well-known one."""
    assert shared.call("GET", f"{WELL_KNOWN}/tenant1").status_code == 404
