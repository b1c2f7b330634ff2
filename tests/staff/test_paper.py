"""Acknowledgements that were signed on paper: recorded by somebody else, for who has no access, between two dates."""

from datetime import UTC, datetime

import pytest

from app.auth.callers import Scope
from tests.support.api import running
from tests.support.staff import acknowledge, covered, paper, paper_of_before, person, publish

PAST = "2020-01-01T00:00:00Z"
NOBODY = "01990000-0000-7000-8000-000000000000"


def test_paper_is_recorded_by_somebody_else(staffed):
    """When it was signed, when it was recorded, and by whom; the text is the one that the version holds."""
    officer, officer_calls = person(staffed, "staff:write")
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Hal"})["id"]
    first = staffed.ok("GET", "/v1/staff/notices")["items"][1]
    made = paper(officer_calls, member, first["published_at"], language="en").json()
    assert (made["way"], made["recorded_by"], made["acknowledged_at"]) == ("paper", officer, first["published_at"])
    assert made["text_sha256"] == first["texts"]["en"]["sha256"]
    assert made["recorded_at"] > made["acknowledged_at"]


def _paper(api, member):
    """The answer to whoever records that somebody signed version 2, on the day on which it was published."""
    signed = api.ok("GET", "/v1/staff/notices")["items"][1]["published_at"]
    return paper(api, member, signed)


def test_paper_is_recorded_by_officers_only(staffed):
    """Any other scope, of a person or a program, and an officer of some processings record nothing on paper."""
    staffed.register("ads-paper")
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Kim"})["id"]
    signed = staffed.ok("GET", "/v1/staff/notices")["items"][1]["published_at"]
    others = [each.value for each in Scope if each is not Scope.STAFF_WRITE]
    for caller in (person(staffed, *others)[1], staffed.with_key(staffed.new_key(*others))):
        answer = paper(caller, member, signed)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:scope-missing")
    limited = staffed.with_key(staffed.new_key("staff:write", processings=["ads-paper"]))
    assert paper(limited, member, signed).json()["type"] == "urn:sceau:problem:processing-not-allowed"
    assert covered(staffed, member)["acknowledgements"] == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"text_sha256"}),
        ({"text_sha256": "0" * 64, "acknowledged_at": PAST}, {"acknowledged_at"}),
        ({"member": NOBODY}, {"acknowledged_at"}),
        ({"member": NOBODY, "text_sha256": "0" * 64}, {"text_sha256", "acknowledged_at"}),
        ({"member": NOBODY, "acknowledged_at": PAST, "text_sha256": "0" * 64}, {"text_sha256"}),
    ],
)
def test_one_s_own_and_paper_do_not_mix(staffed, body, fields):
    """What is missing or belongs to the other kind is 422, told under its own name."""
    answer = staffed.call("POST", "/v1/staff/acknowledgements", {"notice": 2, "language": "fr", **body})
    assert (answer.status_code, {each["field"] for each in answer.json()["errors"]}) == (422, fields)


def test_nobody_with_access_signs_on_paper(staffed):
    """Whoever has the page uses the page: not for oneself, and not for another, whose second key it may be."""
    officer, officer_calls = person(staffed, "staff:write")
    colleague, colleague_calls = person(staffed)
    for member in (officer, colleague):
        answer = _paper(officer_calls, member)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:own-acknowledgement")
        assert covered(staffed, member)["standing"] == "missing"
    acknowledge(colleague_calls)
    assert _paper(officer_calls, colleague).status_code == 409


def test_who_has_access_no_more_may_have_signed(staffed):
    """The control: once the access is revoked, what they had signed can be recorded."""
    member, _ = person(staffed)
    staffed.ok("DELETE", f"/v1/keys/{member}")
    assert _paper(staffed, member).status_code == 201


def test_a_paper_does_not_stand_in_the_way_of_one_s_own(database):
    """What was recorded on paper for who has access counts for nothing; what they do themselves is recorded beside."""
    with running(database) as api:
        publish(api)
        identifier, ada = person(api)
        paper_of_before(database, identifier, 2)
        assert covered(api, identifier)["standing"] == "missing"
        assert ada.ok("GET", "/v1/staff/notices")["own"]["standing"] == "missing"
        first = acknowledge(ada)
        assert (first["way"], first["recorded_by"]) == ("api", identifier)
        assert acknowledge(ada, "en") == first
        acknowledgements = covered(api, identifier)["acknowledgements"]
        assert [each["way"] for each in acknowledgements] == ["paper", "api"]
        assert covered(api, identifier)["acknowledged_at"] == first["acknowledged_at"]


@pytest.mark.parametrize("at", [PAST, "2199-01-01T00:00:00Z"])
def test_paper_is_signed_between_publication_and_now(staffed, at):
    """Nobody signed a text before it was published, or tomorrow."""
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Ivy"})["id"]
    answer = paper(staffed, member, at)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "acknowledged_at")


def test_paper_names_a_text_that_there_is(staffed):
    """A version or a language that was never published cannot have been signed."""
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Jo"})["id"]
    assert paper(staffed, member, datetime.now(UTC).isoformat(), notice=77).status_code == 404
