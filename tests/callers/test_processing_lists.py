"""A caller that may name some processings only: every route there is, and what it makes of a list of processings.

Each route stands in one of these tables; one that is missing fails the first test. `mine` is the processing that the
caller may name, `theirs` one that it may not.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from app.api.http.security import scopes_by_route
from app.auth.callers import Scope
from app.operations.webhooks.deliver_webhooks import dispatch_events
from tests.faults.service import eventually
from tests.support.api import Api, processing, question, running, subject
from tests.support.consents import grant
from tests.support.databases import new_database
from tests.support.staff import TEXT, publish
from tests.support.two_persons import version

EVERYTHING = [scope.value for scope in Scope]
NOWHERE = "01990000-0000-7000-8000-000000000000"
PAPER = {"notice": 2, "language": "fr", "acknowledged_at": "2026-06-15T12:00:00Z"}
ADULT = {"age_band": "adult", "stated_by": "operator", "checked_how": "not_checked"}
HOOK = "https://receiver.example/hook"


@dataclass
class World:
    """An application, the caller that is limited, and ids of things by the processing that they are about."""

    api: Api
    limited: Api
    consents: dict[str, str]
    webhooks: dict[str, str]
    events: dict[str, str]
    member: str


@pytest.fixture(scope="module")
def world():
    """Two processings, and of each a consent, a decision, a webhook with a delivery, and a caller that may name it."""
    with new_database() as database, running(database, decision_log_exempt_share=1.0) as api:
        limited = api.with_key(api.new_key(*EVERYTHING, processings=["mine"]))
        webhooks, consents = {}, {}
        for name in ("mine", "theirs"):
            api.register(name)
            webhooks[name] = api.ok("POST", "/v1/webhooks", {"url": HOOK, "processings": [name]})["id"]
            consents[name] = api.decide("alice", name)["id"]
            api.evaluate("alice", name)
            _caller_of(api, name)
        publish(api)
        member = api.ok("POST", "/v1/staff/members", {"name": "Ada"})
        portal, services = api.client.portal, api.client.app.state.services  # type: ignore[attr-defined]
        assert portal is not None

        def told() -> dict[str, str] | None:
            """The events, once both are there: a transaction of another test, open since before, holds them back."""
            portal.call(dispatch_events, services.database)
            by_processing = {each["data"]["processing"]: each["id"] for each in api.ok("GET", "/v1/events")["events"]}
            return by_processing if by_processing.keys() == {"mine", "theirs"} else None

        yield World(api, limited, consents, webhooks, eventually(told), member["id"])


def _caller_of(api: Api, name: str) -> str:
    body = {"name": name, "scopes": ["decisions:evaluate"], "processings": [name]}
    made: str = api.ok("POST", "/v1/keys", body)["id"]
    return made


def _link(name):
    return {"subject": subject("zoe"), "processings": [name], "authentication": "mailbox", "kind": "decide"}


NAMED = {
    ("POST", "/access/v1/evaluation"): lambda name: ("", question("alice", name)),
    ("POST", "/access/v1/search/subject"): lambda name: ("", question("ignored", name)),
    ("POST", "/v1/consents"): lambda name: ("", grant("bob", name)),
    ("POST", "/v1/renewals/declined"): lambda name: ("", {"subject": subject("alice"), "processing": name}),
    ("POST", "/v1/withdrawals"): lambda name: ("", {"subject": subject("bob"), "processing": name}),
    ("POST", "/v1/consents/search"): lambda name: ("", {"processing": name}),
    ("POST", "/v1/consent-links"): lambda name: ("", _link(name)),
    ("GET", "/v1/renewals"): lambda name: (f"?processing={name}", None),
    ("POST", "/v1/explanations"): lambda name: ("", question("alice", name)),
    ("POST", "/v1/decisions/search"): lambda name: ("", {"processing": name}),
    ("POST", "/v1/processings/{id}/versions"): lambda name: ("", version(name)),
    ("POST", "/v1/processings/{id}/invalidations"): lambda _: ("", {"version": 1, "reason": "x", "dry_run": True}),
    ("PATCH", "/v1/processings/{id}"): lambda _: ("", {"status": "active"}),
    ("POST", "/v1/webhooks"): lambda name: ("", {"url": HOOK, "processings": [name]}),
    ("POST", "/v1/keys"): lambda name: ("", {"name": "x", "scopes": ["audit:read"], "processings": [name]}),
}
"""Routes whose request names a processing: 403 for one that the caller may not name."""

BY_ID = {
    ("GET", "/v1/processings/{id}"): lambda _, name: (name, None),
    ("GET", "/v1/processings/{id}/versions"): lambda _, name: (name, None),
    ("GET", "/v1/consents/{id}"): lambda world, name: (world.consents[name], None),
    ("GET", "/v1/consents/{id}/history"): lambda world, name: (world.consents[name], None),
    ("GET", "/v1/consents/{id}/proof"): lambda world, name: (world.consents[name], None),
    ("GET", "/v1/consents/{id}/receipt"): lambda world, name: (world.consents[name], None),
    ("GET", "/v1/consent-events/{id}"): lambda world, name: (world.consents[name], None),
    ("PATCH", "/v1/webhooks/{id}"): lambda world, name: (world.webhooks[name], {"include_subject": False}),
    ("GET", "/v1/webhooks/{id}/deliveries"): lambda world, name: (world.webhooks[name], None),
    ("POST", "/v1/webhooks/{id}/replays"): lambda world, name: (world.webhooks[name], {"event": world.events[name]}),
}
"""Routes that name a thing by its id: 404 for one about a processing that the caller may not name."""

HELD: dict[tuple[str, str], Any] = {
    ("PATCH", "/v1/keys/{id}"): {"name": "renamed"},
    ("POST", "/v1/keys/{id}/rotations"): {},
    ("DELETE", "/v1/keys/{id}"): None,
}
"""Routes that decide about something that holds processings: refused where it holds more."""

LISTS: dict[tuple[str, str], Any] = {
    ("POST", "/access/v1/search/action"): (question("alice", "ignored"), lambda item: item["name"]),
    ("GET", "/v1/processings"): (None, lambda item: item["id"]),
    ("POST", "/v1/consents/search"): ({}, lambda item: item["processing"]),
    ("POST", "/v1/decisions/search"): ({}, lambda item: item["processing"]),
    ("GET", "/v1/events"): (None, lambda item: item["data"]["processing"]),
    ("GET", "/v1/webhooks"): (None, lambda item: item["processings"][0]),
    ("GET", "/v1/keys"): (None, lambda item: item["processings"][0]),
    ("GET", "/v1/renewals"): (None, lambda item: item["processing"]),
}
"""Routes that list: nothing about a processing that the caller may not name."""

EVERY_ONE = {
    ("POST", "/v1/withdrawals"): {"subject": subject("bob")},
    ("POST", "/v1/subjects/closures"): {"subject": subject("bob")},
    ("POST", "/v1/subjects/erasures"): {"subject": subject("bob")},
    ("POST", "/v1/subjects/ages"): {"subject": subject("bob"), **ADULT},
    ("POST", "/v1/subjects/exports"): {"subject": subject("bob")},
    ("POST", "/v1/subjects/links"): {"from": subject("bob"), "to": subject("bobby"), "basis": "user_proved"},
    ("POST", "/v1/subjects/mailboxes"): {"subject": subject("bob"), "shared": True},
    ("POST", "/v1/webhooks"): {"url": HOOK},
    ("POST", "/v1/keys"): {"name": "x", "scopes": ["audit:read"]},
    ("POST", "/v1/signing-keys"): {"use": "webhooks"},
    ("POST", "/v1/proposals"): {"kind": "restore", "lost": "nothing"},
    ("POST", "/v1/processings"): processing("new"),
    ("PUT", "/v1/controllers/{id}"): {"kind": "other", "legal_name": "Exemple SAS"},
    ("POST", "/v1/staff/notices"): TEXT,
    ("GET", "/v1/imports"): None,
    ("GET", "/v1/staff/coverage"): None,
    ("POST", "/v1/staff/members"): {"name": "Bob"},
    ("PATCH", "/v1/staff/members/{id}"): {"status": "left", "erase_name": True},
    ("POST", "/v1/staff/acknowledgements"): {"member": NOWHERE, **PAPER},
    ("GET", "/v1/staff/notices"): None,
}
"""Requests that concern every processing, or one that nobody could have listed: 403 for a limited caller."""

APART = {
    ("POST", "/access/v1/evaluations"): "each item by itself: tested below",
    ("POST", "/v1/consents/batch"): "each item by itself: tests/consents/test_batches.py",
    ("POST", "/v1/withdrawals/batch"): "each item by itself, as those of consents",
    ("POST", "/v1/imports"): "each row by itself: tests/consents/imports/test_imports.py",
    ("POST", "/v1/audit-trail/search"): "what was done to others is left out: tests/audit/test_trail.py",
    ("GET", "/v1/presented-texts/{sha256}"): "a text that any user of the page may read, found by its hash only",
    ("POST", "/v1/acknowledgements"): "an event of another processing is not found: tests/webhooks/test_effects.py",
    ("POST", "/v1/rulings"): "needs something that waits: tests/register/test_four_eyes.py and test_gate.py",
    ("GET", "/v1/proposals"): "for callers without a list of processings only: tests/register/test_gate.py",
    ("GET", "/v1/controllers"): "legal persons, of no processing",
    ("GET", "/v1/job-runs"): "numbers of background tasks: of no processing",
}
"""Routes that this file has no line for, and why."""


def test_every_route_stands_in_a_table(world):
    """No route that names a scope is without a line here, and no line is for a route that is gone."""
    routes = {route for route, scope in scopes_by_route(world.api.client.app).items() if scope is not None}
    assert {*NAMED, *BY_ID, *HELD, *LISTS, *EVERY_ONE, *APART} == routes


@pytest.mark.parametrize("route", NAMED, ids=" ".join)
def test_a_processing_that_may_not_be_named_is_refused(world, route):
    """Named in a request, another's processing is 403; the caller's own is let through."""
    method, template = route
    for name, refused in (("theirs", True), ("mine", False)):
        more, body = NAMED[route](name)
        answer = world.limited.call(method, template.replace("{id}", name) + more, body)
        assert (answer.status_code == 403) == refused, answer.text
        assert answer.is_success or refused, answer.text


@pytest.mark.parametrize("route", BY_ID, ids=" ".join)
def test_what_is_about_others_is_not_there(world, route):
    """Named by its id, a thing about another's processing is as one that does not exist; the caller's own is there."""
    method, template = route
    answers = {}
    for name in ("theirs", "mine"):
        identifier, body = BY_ID[route](world, name)
        answers[name] = world.limited.call(method, template.replace("{id}", identifier), body)
    assert answers["theirs"].status_code == 404
    assert answers["mine"].is_success, answers["mine"].text
    unknown = world.limited.call(method, template.replace("{id}", NOWHERE), BY_ID[route](world, "mine")[1])
    assert unknown.json() == answers["theirs"].json()


@pytest.mark.parametrize("route", LISTS, ids=" ".join)
def test_a_list_leaves_out_what_is_about_others(world, route):
    """A list holds the caller's own and nothing else; without a limit the same list holds both."""
    method, path = route
    body, about = LISTS[route]

    def listed(caller):
        page = caller.ok(method, path, body)
        items = next(page[name] for name in ("items", "events", "results") if name in page)
        return {about(item) for item in items if item.get("processings") != []}

    if path == "/v1/renewals":  # nothing is due in this world: tests/consents/test_renewals.py has flags
        assert listed(world.limited) == set()
        return
    if path in {"/v1/keys", "/v1/webhooks"}:
        assert listed(world.limited) == {"mine"}
        everything = world.api.ok(method, path)["items"]
        assert {name for item in everything for name in item.get("processings", [])} >= {"mine", "theirs"}
        return
    assert listed(world.limited) == {"mine"}
    assert listed(world.api) >= {"mine", "theirs"}


@pytest.mark.parametrize("route", EVERY_ONE, ids=" ".join)
def test_what_concerns_every_processing_is_refused(world, route):
    """An act on all processings, or on one that is not on the list, is not for a caller that has one."""
    method, path = route
    answer = world.limited.call(method, path.replace("{id}", world.member), EVERY_ONE[route])
    assert answer.status_code == 403, answer.text
    assert answer.json()["type"] in {"urn:sceau:problem:processing-not-allowed", "urn:sceau:problem:scope-not-held"}


def test_each_item_of_a_batch_by_itself(world):
    """In a batch the items about others are denials with a 403 in their place, the rest are answered."""
    items = [question("alice", name) for name in ("mine", "theirs", "mine")]
    for _ in range(2):  # from the database, then from memory
        answers = world.limited.ok("POST", "/access/v1/evaluations", {"evaluations": items})["evaluations"]
        assert [each["decision"] for each in answers] == [True, False, True]
        assert answers[1]["context"]["error"]["status"] == 403


@pytest.mark.parametrize("route", HELD, ids=" ".join)
def test_what_holds_more_is_not_decided_about(world, route):
    """A caller or a receiver with processings that the limited caller lacks is not changed, rotated or ended by it."""
    method, template = route
    theirs, mine = (template.replace("{id}", _caller_of(world.api, name)) for name in ("theirs", "mine"))
    assert world.limited.call(method, theirs, HELD[route]).status_code in {403, 404}
    assert world.limited.call(method, mine, HELD[route]).is_success


def test_whom_only_others_know_is_not_known(world):
    """A withdrawal tells such a caller nothing of a person who only decided on what it may not name."""
    for name in ("mine", "theirs"):
        world.api.decide(f"known to {name}", name)
        body = {"subject": subject(f"known to {name}"), "processing": "mine"}
        assert world.limited.ok("POST", "/v1/withdrawals", body)["matched"] is (name == "mine")


@pytest.mark.parametrize("path", ["/v1/consents", "/v1/withdrawals"])
def test_an_age_does_not_reach_beyond_the_list(world, path):
    """A child stays one whatever greater age such a caller states; that of a caller without a list counts."""
    name, capacity = f"kid, {path}", {"capacity": {"age_band": "adult"}}
    world.api.state_age(name, "under_15", stated_by="self", checked_how="not_checked")
    body = {"subject": subject(name), "processing": "mine"} if path == "/v1/withdrawals" else grant(name, "mine")
    world.limited.ok("POST", path, {**body, **capacity})
    assert world.api.decide(name, "theirs")["state"] == "awaiting_other_parent_or_child"
    world.api.ok("POST", path, {**body, **capacity})  # the control: one without a list
    assert world.api.decide(name, "theirs")["state"] == "in_force"
