"""Every operation of the API played once, with what it answers: the examples of the page at /docs are made of this."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from starlette.testclient import TestClient

from app.api.openapi import PROBLEMS
from app.audit.figures import JobRun
from app.db.database import Database
from app.jobs.tasks import append_all
from app.jobs.work import Work
from app.journal.files import KeptHeads
from app.operations.proof.append_entries import ProofPlan
from app.operations.service.show_home import record_job_run
from app.operations.webhooks.deliver_webhooks import dispatch_events, trim_events
from tests.docs_page.test_docs_page import STORY, filled, operations, proposal
from tests.support.api import Api, running
from tests.support.consent_page import Person, link
from tests.support.databases import TestDatabase, administrator_url, execute, fresh_database
from tests.support.sweeping import sweep
from tests.support.two_persons import answer, person, rule

Answers = dict[str, dict[str, dict[str, Any]]]
SETTINGS = {"oidc_issuer": "https://login.example.fr/realms/staff", "oidc_audience": "sceau"}
"""Of the deployment that is asked: the issuer is that of the example of an identity."""
_SECRETS = (
    (re.compile(r"\bsceau_[\w-]{43}"), "sceau_" + "x" * 43),
    (re.compile(r"\bwhsec_[\w+/=-]+"), "whsec_" + "x" * 43),
    (re.compile(r"(/consent/)[\w-]{20,}"), r"\1" + "x" * 43),
)


@dataclass
class Player:
    """Calls operations by their ids with the bodies that the page proposes, and keeps what they answer."""

    api: Api
    document: Mapping[str, Any]
    kept: Answers = field(default_factory=dict)

    def play(
        self, operation_id: str, path: Mapping[str, Any] | None = None, body: Any = None, by: Api | None = None
    ) -> Any:
        """Call one operation; its answer must be one of success.

        Args:
            operation_id: which.
            path: what stands in its path; the page's own examples where nothing is said.
            body: what is sent; the page's proposal where nothing is said, and what is said instead of its members.
            by: who calls; the caller of every scope where nobody is named.

        """
        method, route, operation = next(
            (method, route, each)
            for (method, route), each in operations(self.document).items()
            if each["operationId"] == operation_id
        )
        for name, value in (path or {}).items():
            route = route.replace(f"{{{name}}}", str(value))
        sent = proposal(self.document, operation)
        if isinstance(sent, dict) and isinstance(body, dict):
            sent = {**sent, **body}
        answer = (by or self.api).call(method.upper(), filled(route, operation), sent)
        assert answer.is_success, f"{operation_id}: {answer.text}"
        self.keep(operation_id, answer)
        return answer.json() if "json" in answer.headers.get("content-type", "") else None

    def keep(self, name: str, answer: Any) -> None:
        """Keep an answer in JSON without its secrets; the last one of each status counts."""
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if media_type in {"application/json", "application/ld+json", "application/problem+json"}:
            of_status = self.kept.setdefault(name, {}).setdefault(str(answer.status_code), {})
            of_status[media_type] = shortened(json.loads(without_secrets(answer.text)))


def shortened(value: Any) -> Any:
    """A value with the first item of each list, and the beginning of each long text: as an example that is enough."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[:1]]
    return f"{value[:97]}…" if isinstance(value, str) and len(value) > 100 else value


def without_secrets(text: str) -> str:
    """A text in which keys, secrets and links are none any more."""
    for secret, description in _SECRETS:
        text = secret.sub(description, text)
    return text


def play_all(api: Api, database: TestDatabase) -> Answers:
    """What every operation answers that answers in JSON, and a problem of each status.

    Args:
        api: an application that takes tokens (SETTINGS), on a clock that can be moved.
        database: its database.

    """
    player = Player(api, api.ok("GET", "/openapi.json"))
    for method, path, status in STORY:
        if status < 300 and path != "/v1/proposals":
            player.play(operations(player.document)[method, path]["operationId"])
    _consents(player)
    _register(player)
    _gate(player)
    _webhooks(player)
    _keys(player)
    _staff(player)
    player.play("post_proposal", body={"lost": "Nothing: a drill."})
    _renewals(player, database)
    _problems(player, database)
    return dict(sorted(player.kept.items()))


def _consents(player: Player) -> None:
    """What leads from a consent to its history and proof, and from a page to the text that was shown."""
    identifier = player.kept["post_consent"]["201"]["application/json"]["id"]
    names = proposal(player.document, operations(player.document)["post", "/v1/subjects/links"])
    unlinked = {"from": names["from"], "to": names["to"], "linked": False}
    player.keep("post_link", player.api.call("POST", "/v1/subjects/links", unlinked))
    for operation in ("get_consent", "get_history", "get_event"):
        player.play(operation, {"id": identifier})
    client = _client(player)
    services = client.app.state.services  # type: ignore[attr-defined]
    work = Work(services.database, services.deployment, log=ProofPlan("sceau.example.fr/ledger", KeptHeads(None), {}))
    client.portal.call(append_all, work)  # type: ignore[union-attr] # the jobs process does so every few seconds
    player.play("get_proof", {"id": identifier})
    receipt = player.api.call("GET", f"/v1/consents/{identifier}/receipt", headers={"Accept": "application/ld+json"})
    player.keep("get_receipt", receipt)
    player.play("post_export")
    nina = Person(player.api, link(player.api, "nina@example.fr", "ads-mail"))
    shown = nina.open().stated["ads-mail"]
    nina.press("refuse", "ads-mail")
    player.play("get_presented_text", {"sha256": shown})
    player.play("post_search")
    player.play("post_decision_search")
    importer = player.api.with_key(player.api.new_key("consents:import"))
    player.play("post_import", body={"dry_run": False}, by=importer)
    player.play("get_imports")


def _register(player: Player) -> None:
    """Where two persons decide: one proposes, and another approves or rejects."""
    ada, bob = person(player.api, "Ada"), person(player.api, "Bob", "register:approve")
    for approved in (False, True):
        words = {"notice": {"fr": f"Autres mots: {approved}."}, "reason": "Clearer words."}
        made = player.play("post_version", body=words, by=ada)
        player.play("post_ruling", body={"version": made["proposed_version"], "approved": approved}, by=bob)
    player.play("post_invalidation", body={"dry_run": False})
    player.play("post_invalidation")
    for operation in ("get_processing", "get_versions", "get_processings"):
        player.play(operation)


def _gate(player: Player) -> None:
    """What waits for a second person, in a deployment of its own where two decide."""
    scopes = ("register:read", "register:approve", "register:write", "deployment:recover")
    with fresh_database() as other, running(other, clock=player.api.clock, register_approval="two") as api:
        bob, ada = person(api, "Bob", *scopes), person(api, "Ada", *scopes)
        ada.register("ads-mail")
        rule(bob, "ads-mail", 1)
        ada.ok("PATCH", "/v1/processings/ads-mail", {"status": "suspended"})
        player.keep("patch_processing", ada.call("PATCH", "/v1/processings/ads-mail", {"status": "active"}))
        controller = {"kind": "siren", "identifier": "732829320", "legal_name": "Exemple SAS"}
        ada.ok("PUT", "/v1/controllers/exemple-courriel", controller)
        moved = ada.call("PUT", "/v1/controllers/exemple-courriel", {"legal_name": "Exemple Courriel SAS"})
        player.keep("put_controller", moved)
        proposed = ada.call("POST", "/v1/proposals", {"kind": "retention", "consent": "P4Y"})
        player.keep("post_proposal", proposed)
        player.keep("post_ruling", answer(bob, moved.json()["id"], reason="Checked against the company register."))
        answer(bob, proposed.json()["id"], approved=False)
        player.play("post_processing", body={"dry_run": True})
        player.keep("get_proposals", ada.call("GET", "/v1/proposals"))


def _webhooks(player: Player) -> None:
    """An endpoint, what is on its way to it, and what is done with both."""
    client = _client(player)
    client.portal.call(dispatch_events, client.app.state.services.database)  # type: ignore[attr-defined, union-attr]
    events = player.play("get_events")["events"]
    ended = next(each["id"] for each in events if each["type"].endswith(".withdrawn"))
    player.play("post_acknowledgement", body={"event": ended})
    endpoint = player.play("post_webhook", body={"types": None})["id"]
    player.api.ok("POST", "/v1/withdrawals", {"subject": {"type": "user", "id": "alice@example.fr"}})
    player.play("post_replays", {"id": endpoint})
    for use in ({"use": "webhook_secret", "webhook": endpoint}, {"use": "webhooks"}):
        player.play("post_signing_key", body=use)
    event = player.play("get_deliveries", {"id": endpoint})["items"][0]["event"]
    player.keep("get_deliveries", player.api.call("GET", f"/v1/webhooks/{endpoint}/deliveries?event={event}"))
    player.play("get_webhooks")
    player.play("patch_webhook", {"id": endpoint})


def _keys(player: Player) -> None:
    """Callers by key and by an issuer's token."""
    caller = player.play("post_key", body={"name": "chat server"})["id"]
    player.play("post_rotation", {"id": caller})
    player.play("patch_key", {"id": caller})
    player.play("get_keys")


def _staff(player: Player) -> None:
    """What staff have read, by themselves and on paper."""
    ada = person(player.api, "Ada", "audit:read")
    notice = player.api.ok("GET", "/v1/staff/notices")["items"][-1]
    shown = {"notice": notice["number"], "language": "fr"}
    player.play("post_staff_acknowledgement", body={**shown, "text_sha256": notice["texts"]["fr"]["sha256"]}, by=ada)
    member = player.play("post_member", body={"name": "Bob Exemple"})["id"]
    paper = {**shown, "member": member, "acknowledged_at": notice["published_at"]}
    player.api.ok("POST", "/v1/staff/acknowledgements", paper)
    player.play("patch_member", {"id": member}, body={"status": "left"})
    player.keep("get_coverage", player.api.call("GET", f"/v1/staff/coverage?member={member}"))
    player.play("get_notices", by=ada)


def _problems(player: Player, database: TestDatabase) -> None:
    """A refusal of each status."""
    api = player.api
    beginner = api.with_key(api.new_key("audit:read"))
    taken = proposal(player.document, operations(player.document)["post", "/v1/processings"])
    refused = [
        api.call("POST", "/v1/consents", b"{"),
        api.with_key(None).call("GET", "/v1/keys"),
        beginner.call("POST", "/v1/processings", taken),
        api.call("GET", "/v1/processings/ads-chat"),
        api.call("POST", "/v1/processings", taken),
        api.call("POST", "/v1/processings", {**taken, "retention": "x" * 2_000_000}),
        api.client.post("/v1/consents", content="a=b", headers={"Authorization": f"Bearer {api.key}"}),
        api.call("POST", "/v1/processings", {**taken, "id": "ads-chat", "purpose": "sales"}),
    ]
    execute(database, "UPDATE outbox SET written_at = now() - interval '40 days'")
    client, first = _client(player), api.ok("GET", "/v1/events?limit=1")["next"]
    served = client.app.state.services.database  # type: ignore[attr-defined]
    client.portal.call(lambda: trim_events(served, timedelta(days=30)))  # type: ignore[union-attr]
    refused += [
        api.call("GET", f"/v1/events?after={first}"),
        _asked_too_often(database),
        _without_database(api, database),
    ]
    assert [each.status_code for each in refused] == [400, 401, 403, 404, 409, 413, 415, 422, 410, 429, 503]
    for each in refused:
        player.keep(PROBLEMS, each)


def _asked_too_often(database: TestDatabase) -> Any:
    with running(database, rate_limits="searches=1/600") as limited:
        limited.ok("GET", "/v1/processings")
        return limited.call("GET", "/v1/processings")


def _without_database(api: Api, database: TestDatabase) -> Any:
    """What is answered while the database takes no connections."""
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database.name])
        try:
            return api.call("GET", "/v1/keys")
        finally:
            connection.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")


def _renewals(player: Player, database: TestDatabase) -> None:
    """Eleven months later a consent nears the end of its year, and a job finds it."""
    clock = player.api.clock
    assert clock is not None
    player.api.decide("paula@example.fr", "ads-mail")
    clock.at += timedelta(days=340)
    sweep(database, clock)
    client = _client(player)
    client.portal.call(_record_run, client.app.state.services.database)  # type: ignore[attr-defined, union-attr]
    player.play("get_renewals")
    player.play("get_job_runs")


async def _record_run(database: Database) -> None:
    """Record that the sweep ran, as the jobs process does after each."""
    async with database.write() as session:
        run = JobRun("renewals.sweep", await session.now(), timedelta(seconds=0.4), flagged=1, backlog=0)
        await record_job_run(session, run)


def _client(player: Player) -> TestClient:
    return player.api.client
