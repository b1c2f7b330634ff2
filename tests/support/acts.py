"""Successful calls of every route that changes something, and the audit trail as the database holds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.operations.webhooks.deliver_webhooks import dispatch_events
from tests.faults.service import eventually
from tests.support.api import BOOTSTRAP, Api, processing, put_controller, question, subject
from tests.support.console import SITE, Visitor
from tests.support.databases import TestDatabase
from tests.support.gate import propose_at_gate
from tests.support.imports import row
from tests.support.staff import TEXT, publish
from tests.support.two_persons import add, version

Route = tuple[str, str]
REQUEST_ID = "trail-test-1"
IDENTIFIED = {"X-Request-ID": REQUEST_ID}
HOOK = {"url": "https://receiver.example/hook"}
ISSUER = "https://login.example.fr"
TOKENS: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": "sceau"}
"""Settings of a deployment that takes tokens: without, no identity can be registered."""
READ = "consent.history_read"
SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}


def trail(database: TestDatabase) -> list[dict[str, Any]]:
    """Every act recorded, oldest first."""
    with psycopg.connect(database.owner_url, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM administrative_act ORDER BY at, id").fetchall()


@dataclass
class World:
    """An application on its own database, with what each call needs beforehand."""

    api: Api
    database: TestDatabase

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request that names itself."""
        return self.api.call(method, path, body, IDENTIFIED)

    def registered(self, **more: Any) -> str:
        """The id of a new processing."""
        identifier = f"ads-{len(trail(self.database))}"
        self.api.register(identifier, **more)
        return identifier

    def key(self) -> str:
        """The id of a new caller."""
        identifier: str = self.api.ok("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]})["id"]
        return identifier

    def webhook(self) -> str:
        """The id of a new endpoint."""
        identifier: str = self.api.ok("POST", "/v1/webhooks", HOOK)["id"]
        return identifier

    def consent(self) -> str:
        """The id of a new consent."""
        identifier: str = self.api.decide("alice", self.registered())["id"]
        return identifier

    def delivery(self) -> tuple[str, str]:
        """An endpoint, and an event on its way to it."""
        endpoint = self.webhook()
        self.consent()
        portal, database = self.api.client.portal, self.api.client.app.state.services.database  # type: ignore[attr-defined]
        assert portal is not None

        def listed() -> Any:
            # A transaction of another test may hold an event back for a moment (app/events/deliveries.py).
            portal.call(dispatch_events, database)
            return self.api.ok("GET", f"/v1/webhooks/{endpoint}/deliveries")["items"]

        return endpoint, eventually(listed)[0]["event"]


def _version(world: World) -> Any:
    identifier = world.registered()
    return world.send("POST", f"/v1/processings/{identifier}/versions", version(identifier))


def _two_persons(world: World) -> tuple[Any, Any]:
    """A person who proposes, and one who answers."""
    made = {"kind": "person", "scopes": ["register:read", "register:write", "register:approve"]}
    keys = [world.api.ok("POST", "/v1/keys", {"name": name, **made})["key"] for name in ("x", "y")]
    proposer, approver = (world.api.with_key(key) for key in keys)
    return proposer, approver


def _rule(world: World, *, approved: bool = True) -> Any:
    """Have one person propose other texts, and another answer."""
    identifier = world.registered()
    proposer, approver = _two_persons(world)
    add(proposer, identifier, notice={"fr": "Autre."}, reason="A typing error.")
    ruling = {"processing": identifier, "version": 2, "approved": approved, "reason": "Read and compared."}
    return approver.call("POST", "/v1/rulings", ruling, IDENTIFIED)


def _answer_proposal(world: World, *, approved: bool = True) -> Any:
    """Have another person answer a proposal that waits at the gate."""
    proposer, approver = _two_persons(world)
    proposed = propose_at_gate(world.api, proposer)
    ruling = {"proposal": proposed, "approved": approved, "reason": "Read too."}
    return approver.call("POST", "/v1/rulings", ruling, IDENTIFIED)


def _invalidate(world: World) -> Any:
    body = {"version": 1, "reason": "Unlawful."}
    return world.send("POST", f"/v1/processings/{world.registered()}/invalidations", body)


def _permits(world: World) -> Any:
    identifier = world.registered()
    world.api.ok("POST", f"/v1/processings/{identifier}/invalidations", {"version": 1, "reason": "Unlawful."})
    return world.send("POST", "/v1/decisions/search", {"processing": identifier, "invalidation": 1})


CONTROLLER = {"kind": "other", "legal_name": "Exemple SAS"}


def _rename(world: World) -> Any:
    identifier = f"exemple-{len(world.api.ok('GET', '/v1/controllers')['items'])}"
    world.api.ok(*put_controller({**CONTROLLER, "id": identifier}))
    return world.send("PUT", f"/v1/controllers/{identifier}", {"legal_name": "Exemple SA"})


def _revoke_key(world: World) -> Any:
    caller = world.key()
    [key] = world.api.ok("GET", f"/v1/keys?id={caller}")["items"][0]["keys"]
    return world.send("PATCH", f"/v1/keys/{caller}", {"revoke_keys": [key["id"]]})


def _search_subjects(world: World) -> Any:
    identifier = world.registered()
    world.api.decide("alice", identifier)
    return world.send("POST", "/access/v1/search/subject", question("ignored", identifier))


def _link(world: World) -> Any:
    body = {"subject": subject("dora"), "processings": [world.registered()], "authentication": "mailbox"}
    return world.send("POST", "/v1/consent-links", {**body, "kind": "decide"})


NAMES = {"from": subject("thea"), "to": subject("theodora")}


def _names(world: World) -> Any:
    return world.send("POST", "/v1/subjects/links", {**NAMES, "basis": "user_proved"})


SHARED = {"subject": subject("contact"), "shared": True}


def _replay(world: World) -> Any:
    endpoint, event = world.delivery()
    return world.send("POST", f"/v1/webhooks/{endpoint}/replays", {"event": event})


def _sign_in(world: World, form: str = "/console/sign-in", key: str = BOOTSTRAP) -> Any:
    proof = Visitor(world.api).get(form).proof
    fields = {"proof": proof, "key": key}
    return world.api.client.post(f"{SITE}{form}", data=fields, headers=IDENTIFIED, follow_redirects=False)


def _suspend_in_the_console(world: World) -> Any:
    visitor, about = Visitor(world.api), world.registered()
    visitor.sign_in()
    fields = {"proof": visitor.get(f"/console/register/{about}").proof, "about": about}
    address = f"{SITE}/console/acts/suspend"
    return world.api.client.post(address, data=fields, headers=IDENTIFIED, follow_redirects=False)


def _person(world: World) -> str:
    key: str = world.api.ok("POST", "/v1/keys", {"name": "x", "kind": "person", "scopes": ["audit:read"]})["key"]
    return key


def _acknowledge(world: World) -> Any:
    publish(world.api)
    person = world.api.with_key(_person(world))
    notice = person.ok("GET", "/v1/staff/notices")["items"][-1]
    shown = {"notice": notice["number"], "language": "fr", "text_sha256": notice["texts"]["fr"]["sha256"]}
    return person.call("POST", "/v1/staff/acknowledgements", shown, IDENTIFIED)


def _acknowledge_on_the_page(world: World) -> Any:
    publish(world.api)
    visitor = Visitor(world.api)
    fields = visitor.sign_in(_person(world), "/staff/sign-in").fields
    return world.api.client.post(f"{SITE}/staff/notice", data=fields, headers=IDENTIFIED, follow_redirects=False)


def _member(world: World) -> str:
    identifier: str = world.api.ok("POST", "/v1/staff/members", {"name": "Ada"})["id"]
    return identifier


def _paper(world: World) -> Any:
    notice = publish(world.api)
    signed = {"notice": notice["number"], "language": "fr", "acknowledged_at": notice["published_at"]}
    return world.send("POST", "/v1/staff/acknowledgements", {**signed, "member": _member(world)})


def _erase(world: World) -> Any:
    member = _member(world)
    world.api.ok("PATCH", f"/v1/staff/members/{member}", {"status": "left"})
    return world.send("PATCH", f"/v1/staff/members/{member}", {"erase_name": True})


def _import(world: World, identifier: str) -> Any:
    """Import by a new caller, because a caller's imports are noted once a day."""
    refusal = row(1, "dora", "refused", processing=world.registered())
    importer = world.api.with_key(world.api.new_key("consents:import"))
    return importer.call("POST", "/v1/imports", {"import": identifier, "rows": [refusal]}, IDENTIFIED)


CALLS: Mapping[Route, tuple[str, Callable[[World], Any]]] = {
    ("POST", "/v1/processings"): (
        "processing.registered",
        lambda world: world.send("POST", "/v1/processings", processing("ads-new")),
    ),
    ("POST", "/v1/processings/{id}/versions"): ("processing.versioned", _version),
    ("POST", "/v1/rulings"): ("processing.approved", _rule),
    ("POST", "/v1/processings/{id}/invalidations"): ("processing.invalidated", _invalidate),
    ("PUT", "/v1/controllers/{id}"): ("controller.versioned", _rename),
    ("PATCH", "/v1/processings/{id}"): (
        "processing.suspended",
        lambda world: world.send("PATCH", f"/v1/processings/{world.registered()}", {"status": "suspended"}),
    ),
    ("POST", "/v1/consent-links"): ("consent_links.made", _link),
    ("POST", "/v1/subjects/closures"): (
        "subject.closed",
        lambda world: world.send("POST", "/v1/subjects/closures", {"subject": subject("bob")}),
    ),
    ("POST", "/v1/subjects/links"): ("subjects.linked", _names),
    ("POST", "/v1/imports"): ("consents.imported", lambda world: _import(world, "older")),
    ("POST", "/v1/subjects/mailboxes"): (
        "mailbox.shared",
        lambda world: world.send("POST", "/v1/subjects/mailboxes", SHARED),
    ),
    ("POST", "/v1/subjects/erasures"): (
        "subject.erased",
        lambda world: world.send("POST", "/v1/subjects/erasures", {"subject": subject("carol")}),
    ),
    ("POST", "/v1/subjects/exports"): (
        "subject.exported",
        lambda world: world.send("POST", "/v1/subjects/exports", {"subject": subject("alice")}),
    ),
    ("POST", "/v1/explanations"): (
        "decision.explained",
        lambda world: world.send("POST", "/v1/explanations", question("alice", world.registered())),
    ),
    ("GET", "/v1/consents/{id}/history"): (READ, lambda it: it.send("GET", f"/v1/consents/{it.consent()}/history")),
    ("GET", "/v1/consents/{id}/receipt"): (READ, lambda it: it.send("GET", f"/v1/consents/{it.consent()}/receipt")),
    ("GET", "/v1/consent-events/{id}"): (READ, lambda it: it.send("GET", f"/v1/consent-events/{it.consent()}")),
    ("POST", "/v1/decisions/search"): (
        "decisions.searched",
        lambda world: world.send("POST", "/v1/decisions/search", {"subject": subject("alice")}),
    ),
    ("POST", "/access/v1/search/subject"): ("subjects.searched", _search_subjects),
    ("POST", "/v1/audit-trail/search"): (
        "audit_trail.searched",
        lambda world: world.send("POST", "/v1/audit-trail/search", {"acts": ["caller.made"]}),
    ),
    ("POST", "/v1/proposals"): (
        "restore.accepted",
        lambda world: world.send("POST", "/v1/proposals", {"kind": "restore", "lost": "nothing"}),
    ),
    ("POST", "/v1/keys"): (
        "caller.made",
        lambda world: world.send("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]}),
    ),
    ("PATCH", "/v1/keys/{id}"): (
        "caller.changed",
        lambda world: world.send("PATCH", f"/v1/keys/{world.key()}", {"scopes": ["register:read"]}),
    ),
    ("DELETE", "/v1/keys/{id}"): ("caller.revoked", lambda world: world.send("DELETE", f"/v1/keys/{world.key()}")),
    ("POST", "/v1/keys/{id}/rotations"): (
        "key.rotated",
        lambda world: world.send("POST", f"/v1/keys/{world.key()}/rotations", {}),
    ),
    ("POST", "/v1/webhooks"): ("webhook.made", lambda world: world.send("POST", "/v1/webhooks", HOOK)),
    ("PATCH", "/v1/webhooks/{id}"): (
        "webhook.changed",
        lambda world: world.send("PATCH", f"/v1/webhooks/{world.webhook()}", {"include_subject": True}),
    ),
    ("POST", "/v1/webhooks/{id}/replays"): (
        "webhook.replayed",
        lambda world: world.send("POST", f"/v1/webhooks/{world.webhook()}/replays", SPAN),
    ),
    ("POST", "/v1/signing-keys"): (
        "signing_key.rotated",
        lambda world: world.send("POST", "/v1/signing-keys", {"use": "webhooks"}),
    ),
    ("POST", "/console/sign-in"): ("console.signed_in", _sign_in),
    ("POST", "/console/acts/{name}"): ("processing.suspended", _suspend_in_the_console),
    ("POST", "/staff/sign-in"): (
        "staff_page.signed_in",
        lambda world: _sign_in(world, "/staff/sign-in", _person(world)),
    ),
    ("POST", "/staff/notice"): ("staff.acknowledged", _acknowledge_on_the_page),
    ("POST", "/v1/staff/acknowledgements"): ("staff.acknowledged", _acknowledge),
    ("POST", "/v1/staff/notices"): (
        "staff_notice.published",
        lambda world: world.send("POST", "/v1/staff/notices", TEXT),
    ),
    ("POST", "/v1/staff/members"): (
        "staff_member.registered",
        lambda world: world.send("POST", "/v1/staff/members", {"name": "Ada"}),
    ),
    ("PATCH", "/v1/staff/members/{id}"): (
        "staff_member.changed",
        lambda world: world.send("PATCH", f"/v1/staff/members/{_member(world)}", {"status": "left"}),
    ),
}
"""Each route that must leave an entry: which act, and a call that succeeds."""

OTHERWISE: Sequence[tuple[Route, str, Callable[[World], Any]]] = (
    (
        ("POST", "/v1/subjects/links"),
        "subjects.unlinked",
        lambda world: (_names(world), world.send("POST", "/v1/subjects/links", {**NAMES, "linked": False}))[1],
    ),
    (
        ("POST", "/v1/keys"),
        "caller.made",
        lambda world: world.send(
            "POST",
            "/v1/keys",
            {"name": "x", "scopes": ["audit:read"], "identity": {"issuer": ISSUER, "subject": "officer"}},
        ),
    ),
    (("PATCH", "/v1/keys/{id}"), "key.revoked", _revoke_key),
    (
        ("PATCH", "/v1/webhooks/{id}"),
        "webhook.removed",
        lambda world: world.send("PATCH", f"/v1/webhooks/{world.webhook()}", {"status": "removed"}),
    ),
    (("POST", "/v1/webhooks/{id}/replays"), "webhook.replayed", _replay),
    (("PATCH", "/v1/staff/members/{id}"), "staff_member.erased", _erase),
    (("POST", "/v1/staff/acknowledgements"), "staff.acknowledged", _paper),
    (
        ("POST", "/v1/signing-keys"),
        "signing_key.rotated",
        lambda world: world.send("POST", "/v1/signing-keys", {"use": "decision_tokens", "at_once": True}),
    ),
    (
        ("POST", "/v1/signing-keys"),
        "webhook.secret_made",
        lambda world: world.send("POST", "/v1/signing-keys", {"use": "webhook_secret", "webhook": world.webhook()}),
    ),
    (("POST", "/v1/rulings"), "processing.rejected", lambda world: _rule(world, approved=False)),
    (("POST", "/v1/rulings"), "proposal.approved", _answer_proposal),
    (("POST", "/v1/rulings"), "proposal.rejected", lambda world: _answer_proposal(world, approved=False)),
    (("POST", "/v1/decisions/search"), "decisions.searched", _permits),
    (
        ("PUT", "/v1/controllers/{id}"),
        "controller.registered",
        lambda world: world.send(*put_controller({**CONTROLLER, "id": "exemple-new"})),
    ),
)
"""What some of these routes do too, by another body: which act, and a call that succeeds."""

UNRECORDED: Mapping[Route, str] = {
    ("POST", "/access/v1/evaluation"): "decisions are in the decision log",
    ("POST", "/access/v1/evaluations"): "decisions are in the decision log",
    (
        "POST",
        "/access/v1/search/action",
    ): "changes nothing, and tells of one user, whom the caller names, what is permitted",
    ("POST", "/v1/consents"): "the ledger's own event says who recorded what and when; imports are recorded beside",
    ("POST", "/v1/consents/batch"): "as POST /v1/consents, item by item",
    ("POST", "/v1/withdrawals/batch"): "as POST /v1/withdrawals, item by item",
    ("POST", "/v1/acknowledgements"): "the row of the acknowledgement says who said what, and when",
    ("POST", "/v1/subjects/ages"): "the ledger's own event says who recorded what and when",
    ("POST", "/v1/renewals/declined"): "the ledger's own event says who recorded what and when",
    ("POST", "/v1/withdrawals"): "the ledger's own event says who recorded what and when",
    ("POST", "/v1/consents/search"): "changes nothing, and tells states only: what a preference page shows each user",
    ("POST", "/consent/{token}"): "the person's own act, in the ledger",
    ("POST", "/console/sign-out"): "ends the session of whoever does it; its beginning is recorded",
    ("POST", "/staff/sign-out"): "ends the session of whoever does it; its beginning is recorded",
}
"""Routes that are no reading ones by their method and leave no entry, each with why."""
