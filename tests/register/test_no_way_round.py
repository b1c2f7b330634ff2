"""No operation by one caller alone gets round the gate: each question that was denied stays denied.

Where two persons decide, every writing operation of the API is called by the all-scopes program and by a person, with
what would permit the most. Afterwards each question that was denied before is denied still. What persons say and are is
the exception: a consent permits, and so does the statement that another name is the same person's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest

from tests.support.api import UNLIMITED, Api, processing, question, running, subject
from tests.support.consents import grant, written
from tests.support.databases import new_database
from tests.support.imports import row
from tests.support.staff import TEXT
from tests.support.two_persons import WHY, person, rule, version, waiting

PEOPLE = ("yes", "no", "gone", "kid", "nobody", "box")
UNKNOWN = "01990000-0000-7000-8000-000000000000"
REASON = {"reason": WHY}


@dataclass(frozen=True)
class Place:
    """One part of the deployment, with its own processings and people."""

    api: Api
    ada: Api
    number: int

    def named(self, word: str) -> str:
        """A name in this part."""
        return f"{word}-{self.number}"

    def who(self, word: str) -> dict[str, str]:
        """A person of this part."""
        return subject(self.named(word))

    def permits(self) -> set[tuple[str, str]]:
        """Which questions about its people are permitted now, asked in one batch."""
        pairs = [(who, what) for who in PEOPLE for what in ("ads", "off", "new", "more", "other")]
        questions = [question(self.named(who), self.named(what)) for who, what in pairs]
        body = self.api.ok("POST", "/access/v1/evaluations", {"evaluations": questions})["evaluations"]
        return {each for each, answer in zip(pairs, body, strict=True) if answer["decision"]}


@pytest.fixture(scope="module")
def places() -> Iterator[Callable[[], Place]]:
    """Makes such parts, in one deployment where two persons decide."""
    with new_database() as database, running(database, register_approval="two", **UNLIMITED) as api:
        scopes = list(api.ok("GET", "/v1/keys")["items"][0]["scopes"])
        bob, ada = (person(api, name, *scopes) for name in ("Bob", "Ada"))
        numbers = count()
        yield lambda: _made(api, ada, bob, next(numbers))


def _made(api: Api, ada: Api, bob: Api, number: int) -> Place:
    place = Place(api, ada, number)
    ada.ok("PUT", f"/v1/controllers/{place.named('acme')}", {"kind": "other", "legal_name": place.named("Acme")})
    for name in ("ads", "off"):
        ada.register(place.named(name), controller=None, controllers=[place.named("acme")], retention="P30D")
        rule(bob, place.named(name), 1)
        api.decide(place.named("yes"), place.named(name))
        api.decide(place.named("no"), place.named(name), "refused")
        api.decide(place.named("gone"), place.named(name))
    api.withdraw(place.named("gone"))
    api.state_age(place.named("kid"), "under_15", checked_how="identity_document")
    api.decide(place.named("kid"), place.named("ads"))
    api.ok("POST", "/v1/subjects/mailboxes", {"subject": place.who("box"), "shared": True})
    ada.ok("PATCH", f"/v1/processings/{place.named('off')}", {"status": "suspended"})
    ada.register(place.named("new"))
    assert place.permits() == {("yes", "ads")}
    return place


def _version(place: Place, **more: Any) -> dict[str, Any]:
    return version(place.named("ads"), controller=None, controllers=[place.named("acme")], **more)


def _rows(place: Place) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=1)
    rows = [row(1, place.named(who), at=at, processing=place.named("ads")) for who in PEOPLE]
    return {"import": place.named("crm"), "until": _until(place.number), "rows": rows}


@cache
def _until(number: int) -> str:
    return written(datetime.now(UTC))


Attempt = tuple[str, Any]
"""The path, and the body."""


def _of(path: str, *bodies: Any) -> Callable[[Place], list[Attempt]]:
    def the_same(_: Place) -> list[Attempt]:
        return [(path, body) for body in bodies or (None,)]

    return the_same


OF_PEOPLE: dict[tuple[str, str], Callable[[Place], list[Attempt]]] = {
    ("POST", "/v1/consents"): lambda p: [("/v1/consents", grant(p.named("nobody"), p.named("ads")))],
    ("POST", "/v1/consents/batch"): lambda p: [
        ("/v1/consents/batch", {"items": [grant(p.named("nobody"), p.named("ads"))]})
    ],
    ("POST", "/v1/subjects/links"): lambda p: [
        ("/v1/subjects/links", {"from": p.who("nobody"), "to": p.who("yes"), "basis": "user_proved"})
    ],
}
"""What persons say and are: it permits, by the person's own act, or by what the operator states of who they are."""

ATTEMPTS: dict[tuple[str, str], Callable[[Place], list[Attempt]]] = {
    ("POST", "/v1/processings"): lambda p: [
        ("/v1/processings", processing(p.named("more"), purpose="sorting")),
        ("/v1/processings", processing(p.named("other"), purpose="display")),
    ],
    ("PATCH", "/v1/processings/{id}"): lambda p: [
        (f"/v1/processings/{p.named(name)}", {"status": "active"}) for name in ("off", "new")
    ],
    ("POST", "/v1/processings/{id}/versions"): lambda p: [
        (f"/v1/processings/{p.named('ads')}/versions", _version(p, **more))
        for more in (
            {"elements": ["content", "subject_line", "attachments"], "material": True},
            {"service": "chat", "material": True},
        )
    ],
    ("POST", "/v1/processings/{id}/invalidations"): lambda p: [
        (f"/v1/processings/{p.named('ads')}/invalidations", {"version": 1, **REASON})
    ],
    ("POST", "/v1/proposals"): _of(
        "/v1/proposals", {"kind": "retention", "consent": "P4Y"}, {"kind": "restore", "lost": "Nothing."}
    ),
    ("POST", "/v1/rulings"): lambda p: [
        ("/v1/rulings", {**about, "approved": approved, **REASON})
        for about in ({"processing": p.named("new"), "version": 1}, *_resumption(p))
        for approved in (True, False)
    ],
    ("PUT", "/v1/controllers/{id}"): lambda p: [
        (f"/v1/controllers/{p.named('b')}", {"kind": "other", "legal_name": "B"}),
        (f"/v1/controllers/{p.named('acme')}", {"legal_name": "Courtier", "same_legal_person": True}),
    ],
    ("POST", "/v1/withdrawals"): lambda p: [("/v1/withdrawals", {"subject": p.who("no")})],
    ("POST", "/v1/withdrawals/batch"): lambda p: [("/v1/withdrawals/batch", {"items": [{"subject": p.who("no")}]})],
    ("POST", "/v1/subjects/closures"): lambda p: [("/v1/subjects/closures", {"subject": p.who("no")})],
    ("POST", "/v1/subjects/erasures"): lambda p: [("/v1/subjects/erasures", {"subject": p.who("gone")})],
    ("POST", "/v1/subjects/exports"): lambda p: [("/v1/subjects/exports", {"subject": p.who("yes")})],
    ("POST", "/v1/subjects/ages"): lambda p: [
        (
            "/v1/subjects/ages",
            {"subject": p.who("kid"), "age_band": "adult", "stated_by": "operator", "checked_how": "identity_document"},
        )
    ],
    ("POST", "/v1/subjects/mailboxes"): lambda p: [
        ("/v1/subjects/mailboxes", {"subject": p.who("box"), "shared": False})
    ],
    ("POST", "/v1/imports"): lambda p: [
        ("/v1/imports", _rows(p)),
        *(("/v1/rulings", {"proposal": each["id"], "approved": True, **REASON}) for each in _import(p)),
        ("/v1/imports", _rows(p)),
    ],
    ("POST", "/v1/consent-links"): lambda p: [
        (
            "/v1/consent-links",
            {"subject": p.who("no"), "processings": [p.named("ads")], "kind": "decide", "authentication": "mailbox"},
        )
    ],
    ("POST", "/v1/renewals/declined"): lambda p: [
        ("/v1/renewals/declined", {"subject": p.who("yes"), "processing": p.named("ads")})
    ],
    ("POST", "/v1/consents/search"): _of("/v1/consents/search", {}),
    ("POST", "/v1/decisions/search"): lambda p: [("/v1/decisions/search", {"subject": p.who("yes")})],
    ("POST", "/v1/audit-trail/search"): _of("/v1/audit-trail/search", {}),
    ("POST", "/v1/explanations"): lambda p: [("/v1/explanations", question(p.named("no"), p.named("ads")))],
    ("POST", "/v1/acknowledgements"): _of("/v1/acknowledgements", {"event": UNKNOWN, "effect": "stopped"}),
    ("POST", "/v1/keys"): _of("/v1/keys", {"name": "x", "kind": "person", "scopes": ["register:approve"]}),
    ("PATCH", "/v1/keys/{id}"): _of(f"/v1/keys/{UNKNOWN}", {"name": "y"}),
    ("DELETE", "/v1/keys/{id}"): _of(f"/v1/keys/{UNKNOWN}"),
    ("POST", "/v1/keys/{id}/rotations"): _of(f"/v1/keys/{UNKNOWN}/rotations", {}),
    ("POST", "/v1/staff/notices"): _of("/v1/staff/notices", TEXT),
    ("POST", "/v1/staff/acknowledgements"): _of(
        "/v1/staff/acknowledgements", {"notice": 1, "language": "fr", "text_sha256": "0" * 64}
    ),
    ("POST", "/v1/staff/members"): _of("/v1/staff/members", {"name": "Ada"}),
    ("PATCH", "/v1/staff/members/{id}"): _of(f"/v1/staff/members/{UNKNOWN}", {"status": "left"}),
    ("POST", "/v1/webhooks"): _of("/v1/webhooks", {"url": "https://receiver.example/hook"}),
    ("PATCH", "/v1/webhooks/{id}"): _of(f"/v1/webhooks/{UNKNOWN}", {"status": "active"}),
    ("POST", "/v1/webhooks/{id}/replays"): _of(f"/v1/webhooks/{UNKNOWN}/replays", {"event": UNKNOWN}),
    ("POST", "/v1/signing-keys"): _of("/v1/signing-keys", {"use": "decision_tokens"}),
}
"""Of every other writing operation, what would permit the most."""
ASKED = ("/exports", "/decisions/search", "/explanations", "/consent-links", "/declined")
HARMLESS = [op for op, made in ATTEMPTS.items() if made.__name__ == "the_same" or op[1].endswith(ASKED)]
"""Those that say the same at each place, or only ask: a place is as it was after each of them, so that one will do."""


def _resumption(place: Place) -> list[Any]:
    """A proposal to resume a suspended processing, made by the person who will try to approve it."""
    made = place.ada.call("PATCH", f"/v1/processings/{place.named('off')}", {"status": "active"})
    return [{"proposal": made.json()["id"]}]


def _import(place: Place) -> list[Any]:
    """A proposal to import grants, made by the person who will try to approve it."""
    place.ada.call("POST", "/v1/imports", _rows(place))
    return [each for each in waiting(place.ada, "import") if each["target"] == place.named("crm")]


def _writing(api: Api) -> set[tuple[str, str]]:
    """Each operation of the API that writes and is not a question about a decision."""
    return {
        (method.upper(), path)
        for path, item in api.ok("GET", "/openapi.json")["paths"].items()
        for method in item
        if method != "get" and not path.startswith("/access/")
    }


def test_every_operation_is_tried(places):
    """Each writing operation is tried here, except the three by which persons permit."""
    assert set(ATTEMPTS) | set(OF_PEOPLE) == _writing(places().api)
    assert not set(ATTEMPTS) & set(OF_PEOPLE)


@pytest.mark.parametrize("operation", [each for each in ATTEMPTS if each not in HARMLESS], ids=" ".join)
def test_one_caller_permits_nothing_more_by_it(places, operation):
    """After an operation by a program and then by a person, each question that was denied is still denied."""
    place: Place = places()
    before = place.permits()
    for by in ("program", "person"):
        _attempt(place, operation, by)
        assert place.permits() <= before, by


def test_one_caller_permits_nothing_by_what_changes_nothing_there(places):
    """After each operation that is about none of the place, or only asks, each denied question is still denied."""
    place: Place = places()
    before = place.permits()
    for operation in HARMLESS:
        for by in ("program", "person"):
            _attempt(place, operation, by)
            assert place.permits() == before, (operation, by)


def _attempt(place: Place, operation: tuple[str, str], by: str) -> None:
    caller = place.api if by == "program" else place.ada
    for path, body in ATTEMPTS[operation](place):
        response = caller.call(operation[0], path, body)
        # Whoever is refused is refused for who they are or for what stands there, not for the form of the request.
        assert response.is_success or response.status_code in {403, 404, 409}, response.text


@pytest.mark.parametrize("operation", OF_PEOPLE, ids=" ".join)
def test_what_a_person_says_or_is_permits(places, operation):
    """Control: the same questions see a permit that is new, by each of the operations that may give one."""
    place: Place = places()
    for path, body in OF_PEOPLE[operation](place):
        assert place.api.call(operation[0], path, body).is_success
    assert place.permits() == {("yes", "ads"), ("nobody", "ads")}
