"""Every route that changes something, called so that it succeeds; and the trail read as the database holds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.operations.dispatch_events import dispatch_events
from tests.support.api import BOOTSTRAP, Api, processing, question, subject
from tests.support.dashboard import Visitor
from tests.support.databases import TestDatabase

Route = tuple[str, str]
REQUEST_ID = "trail-test-1"
IDENTIFIED = {"X-Request-ID": REQUEST_ID}
HOOK = {"url": "https://receiver.example/hook"}
ISSUER = "https://login.example.fr"
TOKENS: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": "sceau"}
"""Settings of a deployment that takes tokens: without, no identity can be registered."""
SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}


def trail(database: TestDatabase) -> list[dict[str, Any]]:
    """Every act recorded, oldest first."""
    with psycopg.connect(database.owner_url, row_factory=dict_row) as connection:
        return connection.execute("SELECT * FROM administrative_act ORDER BY at, id").fetchall()


@dataclass
class World:
    """An application on a database of its own, and what each call needs to be there before."""

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
        while portal.call(dispatch_events, database):
            pass
        listed = self.api.ok("GET", f"/v1/webhooks/{endpoint}/deliveries")["items"]
        return endpoint, listed[0]["event"]


def _version(world: World) -> Any:
    body = {**processing("x"), "material": False}
    del body["id"]
    return world.send("POST", f"/v1/processings/{world.registered()}/versions", body)


def _revoke_key(world: World) -> Any:
    caller = world.key()
    [key] = world.api.ok("GET", f"/v1/keys/{caller}")["keys"]
    return world.send("DELETE", f"/v1/keys/{caller}/keys/{key['id']}")


def _link(world: World) -> Any:
    body = {"subject": subject("dora"), "processings": [world.registered()], "authentication": "mailbox"}
    return world.send("POST", "/v1/consent-links", {**body, "kind": "decide"})


def _replay(world: World) -> Any:
    endpoint, event = world.delivery()
    return world.send("POST", f"/v1/webhooks/{endpoint}/deliveries/{event}/replay")


def _sign_in(world: World) -> Any:
    proof = Visitor(world.api).get("/dashboard/sign-in").proof
    address = "https://testserver/dashboard/sign-in"
    fields = {"proof": proof, "key": BOOTSTRAP}
    return world.api.client.post(address, data=fields, headers=IDENTIFIED, follow_redirects=False)


CALLS: Mapping[Route, tuple[str, Callable[[World], Any]]] = {
    ("POST", "/v1/processings"): (
        "processing.registered",
        lambda world: world.send("POST", "/v1/processings", processing("ads-new")),
    ),
    ("POST", "/v1/processings/{id}/versions"): ("processing.versioned", _version),
    ("PATCH", "/v1/processings/{id}"): (
        "processing.suspended",
        lambda world: world.send("PATCH", f"/v1/processings/{world.registered()}", {"status": "suspended"}),
    ),
    ("POST", "/v1/consent-links"): ("consent_links.made", _link),
    ("POST", "/v1/subjects/closures"): (
        "subject.closed",
        lambda world: world.send("POST", "/v1/subjects/closures", {"subject": subject("bob")}),
    ),
    ("POST", "/v1/subjects/erasures"): (
        "subject.erased",
        lambda world: world.send("POST", "/v1/subjects/erasures", {"subject": subject("carol")}),
    ),
    ("POST", "/v1/explanations"): (
        "decision.explained",
        lambda world: world.send("POST", "/v1/explanations", question("alice", world.registered())),
    ),
    ("GET", "/v1/consents/{id}/history"): (
        "consent.history_read",
        lambda world: world.send("GET", f"/v1/consents/{world.consent()}/history"),
    ),
    ("POST", "/v1/decisions/search"): (
        "decisions.searched",
        lambda world: world.send("POST", "/v1/decisions/search", {"subject": subject("alice")}),
    ),
    ("POST", "/v1/audit-trail/search"): (
        "audit_trail.searched",
        lambda world: world.send("POST", "/v1/audit-trail/search", {"acts": ["caller.made"]}),
    ),
    ("POST", "/v1/keys"): (
        "caller.made",
        lambda world: world.send("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]}),
    ),
    ("POST", "/v1/identities"): (
        "caller.made",
        lambda world: world.send(
            "POST",
            "/v1/identities",
            {"name": "x", "scopes": ["audit:read"], "identity": {"issuer": ISSUER, "subject": "officer"}},
        ),
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
    ("DELETE", "/v1/keys/{id}/keys/{key}"): ("key.revoked", _revoke_key),
    ("POST", "/v1/webhooks"): ("webhook.made", lambda world: world.send("POST", "/v1/webhooks", HOOK)),
    ("PATCH", "/v1/webhooks/{id}"): (
        "webhook.changed",
        lambda world: world.send("PATCH", f"/v1/webhooks/{world.webhook()}", {"include_subject": True}),
    ),
    ("DELETE", "/v1/webhooks/{id}"): (
        "webhook.removed",
        lambda world: world.send("DELETE", f"/v1/webhooks/{world.webhook()}"),
    ),
    ("POST", "/v1/webhooks/{id}/secrets"): (
        "webhook.secret_made",
        lambda world: world.send("POST", f"/v1/webhooks/{world.webhook()}/secrets"),
    ),
    ("POST", "/v1/webhooks/{id}/deliveries/{event}/replay"): ("webhook.replayed", _replay),
    ("POST", "/v1/webhooks/{id}/replays"): (
        "webhook.replayed",
        lambda world: world.send("POST", f"/v1/webhooks/{world.webhook()}/replays", SPAN),
    ),
    ("POST", "/v1/webhook-keys"): ("signing_key.rotated", lambda world: world.send("POST", "/v1/webhook-keys")),
    ("POST", "/v1/decision-token-keys"): (
        "signing_key.rotated",
        lambda world: world.send("POST", "/v1/decision-token-keys", {"at_once": True}),
    ),
    ("POST", "/dashboard/sign-in"): ("dashboard.signed_in", _sign_in),
}
"""Each route that must leave an entry: which act, and a call that succeeds."""

UNRECORDED: Mapping[Route, str] = {
    ("POST", "/access/v1/evaluation"): "decisions are in the decision log",
    ("POST", "/access/v1/evaluations"): "decisions are in the decision log",
    ("POST", "/v1/consents"): "the ledger's own event says who recorded what and when; imports are recorded beside",
    ("POST", "/v1/withdrawals"): "the ledger's own event says who recorded what and when",
    ("POST", "/v1/consents/search"): "changes nothing, and tells states only: what a preference page shows each user",
    ("POST", "/consent/{token}"): "the person's own act, in the ledger",
    ("POST", "/dashboard/sign-out"): "ends the session of whoever does it; its beginning is recorded",
}
"""Routes that are no reading ones by their method and leave no entry, each with why."""
