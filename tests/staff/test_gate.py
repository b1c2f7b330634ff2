"""The gate before administrative routes: persons who have not acknowledged the notice of today are stopped, or told."""

import pytest

from app.api.http.security import scopes_by_route
from app.auth.scopes import Scope
from tests.support.api import running
from tests.support.databases import new_database
from tests.support.staff import acknowledge, acknowledged_before, paper_of_before, person, publish

REQUIRED = "urn:sceau:problem:staff-acknowledgement-required"
PAGE = "https://sceau.example.fr/staff/notice"
HEADER = "sceau-staff-notice"
DECISIONS = {"/access/v1/evaluation", "/access/v1/evaluations"}
SELF = {("GET", "/v1/staff/notices/current"), ("POST", "/v1/staff/acknowledgements")}
PUBLISHING = {("GET", "/v1/staff/notices"), ("POST", "/v1/staff/notices")}
EVERY = [scope.value for scope in Scope]


@pytest.fixture(scope="module")
def enforced_database():
    """The database of `enforced`."""
    with new_database() as database:
        yield database


@pytest.fixture(scope="module")
def enforced(enforced_database):
    """An application whose gate is closed."""
    with running(enforced_database, staff_gate="enforce") as api:
        publish(api)
        yield api


@pytest.fixture(scope="module")
def warned():
    """An application whose gate only warns."""
    with new_database() as database, running(database, staff_gate="warn") as api:
        publish(api)
        yield api


def guarded(api):
    """Every route that names a scope or asks for any caller."""
    return {route for route, scopes in scopes_by_route(api.client.app).items() if scopes is not None}


def call(api, method, path):
    """Call a route with ids of nothing and an empty body."""
    for place in ("{id}", "{key}", "{event}", "{sha256}"):
        path = path.replace(place, "01990000-0000-7000-8000-000000000000")
    return api.call(method, path, {} if method in {"POST", "PATCH", "PUT"} else None)


def stopped(api):
    """The routes at which a caller is stopped by the gate."""
    answers = {(method, path): call(api, method, path) for method, path in guarded(api)}
    return {
        route
        for route, answer in answers.items()
        if answer.headers["content-type"] == "application/problem+json" and answer.json()["type"] == REQUIRED
    }


def test_every_administrative_route_is_behind_the_gate(enforced):
    """Without an acknowledgement a person with every scope decides, acknowledges, completes the notice, no more."""
    _, ada = person(enforced, *EVERY)
    assert stopped(ada) == {route for route in guarded(enforced) if route[1] not in DECISIONS} - SELF - PUBLISHING
    assert len(stopped(ada)) > 30


def test_the_answer_leads_to_the_page(enforced):
    """403, and the address of the page, from the public URL and never from the request."""
    _, ada = person(enforced, "register:read")
    answer = ada.call("GET", "/v1/processings", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["type"], answer.json()["page"]) == (403, REQUIRED, PAGE)


def test_an_acknowledgement_opens_it(enforced):
    """The control: after acknowledging, the same person passes everywhere."""
    _, ada = person(enforced, *EVERY)
    acknowledge(ada)
    assert stopped(ada) == set()


def test_a_paper_does_not_open_it(enforced, enforced_database):
    """What another recorded for a person opens nothing for who never read; what she does herself does, afterwards."""
    identifier, ada = person(enforced, "register:read")
    paper_of_before(enforced_database, identifier, ada.ok("GET", "/v1/staff/notices/current")["notice"]["number"])
    assert ada.call("GET", "/v1/processings").json()["type"] == REQUIRED
    acknowledge(ada)
    assert ada.call("GET", "/v1/processings").status_code == 200


def test_a_new_version_asks_everybody_again(enforced):
    """Whoever knew the version before is stopped again, from the next request on."""
    _, ada = person(enforced, "register:read")
    acknowledge(ada)
    assert ada.call("GET", "/v1/processings").status_code == 200
    publish(enforced)
    assert ada.call("GET", "/v1/processings").json()["type"] == REQUIRED
    acknowledge(ada, "en")
    assert ada.call("GET", "/v1/processings").status_code == 200


def test_machines_are_not_concerned(enforced):
    """A program passes, whatever it may do, and acknowledges nothing."""
    assert stopped(enforced.with_key(enforced.new_key(*EVERY))) == set()


def test_an_acknowledgement_is_of_one_person(enforced):
    """What one person acknowledged opens nothing for another."""
    acknowledge(person(enforced)[1])
    _, bob = person(enforced, "register:read", name="Bob")
    assert bob.call("GET", "/v1/processings").status_code == 403


def test_a_warning_is_a_header_and_a_line(warned, capfd):
    """Under `warn` everything works, each answer says what is missing, and so does the log, by the caller's id."""
    identifier, ada = person(warned, *EVERY)
    for method, path in (("GET", "/v1/processings"), ("POST", "/v1/staff/members"), ("GET", "/v1/processings/none")):
        answer = call(ada, method, path)
        assert answer.status_code != 403
        assert answer.headers[HEADER] == f'unacknowledged; page="{PAGE}"'
    made = ada.call("POST", "/v1/staff/members", {"name": "Bob"})
    assert (made.status_code, HEADER in made.headers) == (201, True)
    said = capfd.readouterr()
    assert "staff notice not acknowledged" in said.out + said.err
    assert identifier in said.out + said.err
    acknowledge(ada)
    assert HEADER not in ada.call("GET", "/v1/processings").headers
    assert HEADER not in warned.call("GET", "/v1/processings").headers


def test_off_is_off(api):
    """By default nobody is stopped or told: the control of the tests above."""
    _, ada = person(api, *EVERY)
    assert stopped(ada) == set()
    assert HEADER not in ada.call("GET", "/v1/processings").headers


def test_a_grace_is_for_those_who_knew_the_version_before(database):
    """With a grace, a new version asks without stopping whoever acknowledged the last one; newcomers are stopped."""
    with running(database, staff_gate="enforce", staff_grace="P14D") as api:
        publish(api)
        _, ada = person(api, "register:read")
        acknowledge(ada)
        publish(api)
        assert ada.call("GET", "/v1/processings").status_code == 200
        assert ada.ok("GET", "/v1/staff/notices/current")["standing"] == "outdated"
        _, bob = person(api, "register:read")
        assert bob.call("GET", "/v1/processings").json()["type"] == REQUIRED


def test_refusals_of_the_gate_are_in_the_trail(database):
    """Who tried without knowing the notice is recorded, once an hour for each route."""
    with running(database, staff_gate="enforce") as api:
        identifier, ada = person(api, "register:read")
        for _ in range(2):
            ada.call("GET", "/v1/processings")
        entries = api.ok("POST", "/v1/audit-trail/search", {"acts": ["request.refused"], "caller": identifier})["items"]
    assert [each["detail"]["problem"] for each in entries] == ["staff-acknowledgement-required"]


def test_an_incomplete_notice_opens_nothing_until_somebody_completes_it(database):
    """What was acknowledged of an incomplete version opens nothing; a person completes it, and then passes."""
    with running(database, staff_gate="enforce") as api:
        identifier, ada = person(api, "register:read", "staff:write")
        acknowledged_before(database, identifier)
        assert ada.call("GET", "/v1/processings").json()["type"] == REQUIRED
        publish(ada)
        acknowledge(ada)
        assert ada.call("GET", "/v1/processings").status_code == 200


def test_a_grace_is_not_for_those_who_knew_an_incomplete_version(database):
    """The version before counts within the grace only if it was complete."""
    with running(database, staff_gate="enforce", staff_grace="P14D") as api:
        identifier, ada = person(api, "register:read")
        acknowledged_before(database, identifier)
        publish(api)
        assert ada.call("GET", "/v1/processings").json()["type"] == REQUIRED
