"""Consents that rest on an invalidated version or text permit no more."""

from datetime import timedelta

import pytest

from tests.support.acts import trail
from tests.support.api import question, refused, running
from tests.support.consent_page import Person, consents, link
from tests.support.consents import hash_of, notice_of, written
from tests.support.console import Visitor
from tests.support.databases import new_database, rows
from tests.support.invalidations import WHY, invalidate
from tests.support.two_persons import add, person, rule

UNKNOWN = "ab" * 32


@pytest.fixture(scope="module", params=["strict", "leased"])
def place(shared_clock, request):
    """A deployment whose register takes one person, which decides on the database or from memory; its database."""
    with new_database() as database, running(database, clock=shared_clock, cache=request.param) as called:
        yield called, database


@pytest.fixture
def api(place):
    """That deployment, in which each test uses its own names."""
    return place[0]


def state(api, name, identifier):
    """The state of a person's last consent, as lists show it."""
    page = api.ok("POST", "/v1/consents/search", {"subject": {"type": "user", "id": name}, "processing": identifier})
    return page["items"][-1]["state"]


def test_what_rests_on_an_invalidated_version_permits_no_more(api, clock):
    """Once it is answered, an invalidation makes consents to its version invalid, and leaves those to another one."""
    api.agreed("versions", "alice", "bob")
    assert add(api, "versions", elements=["content"]).status_code == 201
    clock.at += timedelta(hours=1)
    api.decide("bob", "versions", version=2)
    assert api.reason("alice", "versions") == api.reason("bob", "versions") == "consent_in_force"
    clock.at += timedelta(hours=1)
    body = invalidate(api, "versions")
    assert body.status_code == 201, body.text
    assert (body.json()["number"], body.json()["version"]) == (1, 1)
    assert (api.reason("alice", "versions"), api.reason("bob", "versions")) == ("consent_invalid", "consent_in_force")
    assert (state(api, "alice", "versions"), state(api, "bob", "versions")) == ("invalidated", "in_force")
    listed = api.ok("POST", "/v1/consents/search", {"state": "invalidated"})["items"]
    [entry] = [each for each in listed if each["processing"] == "versions"]
    assert api.ok("GET", f"/v1/consents/{entry['id']}")["state"] == "invalidated"
    clock.at += timedelta(hours=1)
    api.decide("alice", "versions", version=2)
    assert (api.reason("alice", "versions"), state(api, "alice", "versions")) == ("consent_in_force", "in_force")
    assert api.decide("carol", "versions", version=1)["state"] == "invalidated"
    listed = api.ok("GET", "/v1/processings/versions/versions")["items"]
    assert [each.get("invalidated_at") for each in listed] == [body.json()["at"], None]


def test_what_rests_on_an_invalidated_text_permits_no_more(api, clock):
    """An invalidated text makes its readers' consents invalid, and not those of readers in another language."""
    api.agreed("texts", "alice")
    api.decide("bob", "texts", evidence={"language": "en"})
    assert api.reason("alice", "texts") == api.reason("bob", "texts") == "consent_in_force"
    clock.at += timedelta(hours=1)
    body = invalidate(api, "texts", text=hash_of(notice_of("texts")["fr"]).upper()).json()
    assert body["text"] == hash_of(notice_of("texts")["fr"])
    assert (api.reason("alice", "texts"), api.reason("bob", "texts")) == ("consent_invalid", "consent_in_force")
    assert (state(api, "alice", "texts"), state(api, "bob", "texts")) == ("invalidated", "in_force")


def test_a_notice_that_the_page_has_shown_is_refused(api, clock):
    """A notice that the page has shown is invalidated by its version only, as its hash would miss page readers."""
    api.agreed("pages", "bob")
    Person(api, link(api, "page-alice", "pages")).press("accept", "pages")
    clock.at += timedelta(hours=1)
    notice = hash_of(notice_of("pages")["fr"])
    for dry_run in (True, False):
        assert refused(invalidate(api, "pages", text=notice, dry_run=dry_run)) == (409, "notice-on-pages")
    assert api.reason("page-alice", "pages") == api.reason("bob", "pages") == "consent_in_force"
    assert invalidate(api, "pages", version=1).status_code == 201
    assert api.reason("page-alice", "pages") == api.reason("bob", "pages") == "consent_invalid"


def test_a_hash_that_no_consent_rests_on_is_refused(api, clock):
    """The hash of a whole page, or of a text about another processing, is refused, because no consent rests on it."""
    api.register("hashes")
    api.register("others", purpose="statistics")
    Person(api, link(api, "hash-alice", "hashes")).press("accept", "hashes")
    evidence = api.ok("GET", f"/v1/consents/{consents(api, 'hash-alice')[0]['id']}/history")["items"][0]["evidence"]
    clock.at += timedelta(hours=1)
    shown, page = evidence["presented_text_sha256"], evidence["presented_page_sha256"]
    for identifier, text in (("hashes", page), ("others", shown)):
        for dry_run in (True, False):
            body = invalidate(api, identifier, text=text, dry_run=dry_run)
            assert refused(body) == (422, "unknown-text")
    assert invalidate(api, "hashes", text=shown).status_code == 201
    assert api.reason("hash-alice", "hashes") == "consent_invalid"


def test_an_explanation_knows_since_when(api, clock):
    """An explanation permits for an instant before the invalidation and denies for one after it."""
    start = clock.at
    api.agreed("explained", "alice")
    clock.at += timedelta(hours=2)
    invalidate(api, "explained")
    clock.at += timedelta(hours=2)
    for hours, reason in ((1, "consent_in_force"), (3, "consent_invalid")):
        at = written(start + timedelta(hours=hours))
        for more in ({}, {"known_at": at}):
            body = api.ok("POST", "/v1/explanations", {**question("alice", "explained"), "at": at, **more})
            assert body["context"]["reason"] == reason, (hours, more)


def test_an_invalidation_said_again_is_the_same(place):
    """A repeated invalidation gets the first answer, and is stored and in the trail once."""
    api, database = place
    api.register("again")
    first = invalidate(api, "again").json()
    again = invalidate(api, "again", reason="Something else.")
    assert (again.status_code, again.json()) == (201, first)
    assert rows(database, "SELECT count(*) FROM processing_invalidation WHERE processing = 'again'") == [(1,)]
    acts = [each["act"] for each in trail(database) if each["thing_id"] == "again"]
    assert acts.count("processing.invalidated") == 1
    assert WHY not in str(trail(database))


def test_what_no_consent_rests_on_is_not_invalidated(api):
    """An unknown version, text or processing, or a purpose of III, cannot be invalidated, not even in a dry run."""
    api.register("rests")
    api.register("filter", purpose="sorting")
    for identifier, body, expected in (
        ("rests", {"version": 2}, (422, "unknown-version")),
        ("rests", {"text": UNKNOWN}, (422, "unknown-text")),
        ("filter", {"version": 1}, (409, "consent-not-applicable")),
        ("nothing", {"version": 1}, (404, "not-found")),
        ("Alice@example.fr", {"version": 1}, (404, "not-found")),
    ):
        for dry_run in (False, True):
            sent = {**body, "reason": WHY, "dry_run": dry_run}
            assert refused(api.call("POST", f"/v1/processings/{identifier}/invalidations", sent)) == expected, sent


def test_a_body_names_one_thing_and_a_reason(api):
    """An invalidation needs exactly one of version and text, a reason and a well-formed hash."""
    api.register("bodies")
    for body in (
        {"reason": WHY},
        {"version": 1},
        {"version": 1, "reason": " "},
        {"version": 1, "text": UNKNOWN, "reason": WHY},
        {"text": "abc", "reason": WHY},
        {"version": True, "reason": WHY},
    ):
        assert api.call("POST", "/v1/processings/bodies/invalidations", body).status_code == 422, body


def test_one_person_invalidates_where_the_register_takes_two(database, clock):
    """One person can invalidate where the register takes two, because an invalidation only forbids."""
    with running(database, clock=clock, register_approval="two", cache="leased") as two:
        ada, bob = person(two, "Ada"), person(two, "Bob")
        ada.register("ads")
        assert rule(bob, "ads", 1).status_code == 201
        clock.at += timedelta(seconds=1)
        ada.decide("alice", "ads")
        assert ada.reason("alice", "ads") == "consent_in_force"
        clock.at += timedelta(hours=1)
        made = invalidate(ada, "ads").json()
        assert ada.reason("alice", "ads") == "consent_invalid"
        [invalidation] = ada.ok("GET", "/v1/processings/ads/versions")["invalidations"]
        assert made.items() <= invalidation.items()
        visitor = Visitor(two)
        visitor.sign_in()
        assert "the version in force is invalidated" in visitor.get("/console/register").text()


def test_a_caller_of_other_processings_invalidates_and_sees_nothing(api):
    """A caller limited to some processings can invalidate, and read about, only those."""
    api.register("limited")
    invalidate(api, "limited")
    dan = api.with_key(api.new_key("register:approve", "register:write", "audit:read", processings=["others"]))
    assert refused(invalidate(dan, "limited", dry_run=True)) == (403, "processing-not-allowed")
    permits = dan.call("POST", "/v1/decisions/search", {"processing": "limited", "invalidation": 1})
    assert refused(permits) == (403, "processing-not-allowed")
