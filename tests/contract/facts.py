"""Real ids for generated requests: what a path or a body may name so that an operation can succeed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemathesis import Case

from app.jobs.tasks import append_all
from app.jobs.work import Work
from app.journal.files import KeptHeads
from app.operations.proof.append_entries import ProofPlan
from app.operations.webhooks.deliver_webhooks import dispatch_events
from tests.faults.service import eventually
from tests.support.api import Api, subject
from tests.support.consent_page import Person, link
from tests.support.consents import notice_of, proof, written
from tests.support.gate import propose_at_gate
from tests.support.invalidations import invalidate
from tests.support.staff import TEXT, publish
from tests.support.two_persons import add, person

AnyCase = Case[Any]
CONSENTED = "ads-mail"
ISSUER = "http://127.0.0.1:1/realms/staff"
"""Whose tokens the application takes; nobody shows any here, and nobody answers there."""
USERS = ("alice@example.fr", "bob@example.fr")
NAMES = ("nadia", "nadine")
IMPORT = "older"
ADDRESS = "https://www.exemple.example/"
INSTANTS = ("collected_at", "received_at", "effective_from", "at", "known_at", "expires_before", "expires_at")


@dataclass(frozen=True)
class Facts:
    """A caller of an application, and what it registered and recorded."""

    api: Api
    processings: tuple[str, ...]
    consents: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    person: str | None = None
    members: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    at_gate: tuple[str, ...] = ()
    approver: str | None = None
    ended: str = ""

    @classmethod
    def made_by(cls, api: Api) -> "Facts":
        """Register processings, record consents and make keys through the API itself."""
        processings = (CONSENTED, *(f"statistics-{number}" for number in range(8)))
        for identifier in processings:
            api.register(identifier)
        api.register("archive", purpose="other")
        api.register("filter", purpose="unsolicited_content_detection")
        consents = tuple(api.decide(name, CONSENTED)["id"] for name in USERS)
        made = [api.ok("POST", "/v1/keys", {"name": "test", "scopes": ["decisions:evaluate"]}) for _ in range(4)]
        carol = Person(api, link(api, "carol@example.fr", CONSENTED))
        text = carol.open().stated[CONSENTED]
        carol.press("refuse", CONSENTED)
        url = "https://receiver.example/hook"
        webhooks = tuple(api.ok("POST", "/v1/webhooks", {"url": url})["id"] for _ in range(4))
        callers = tuple((each["id"], each["keys"][0]["id"]) for each in made)
        names = (*processings, "archive", "filter")
        ada = api.ok("POST", "/v1/keys", {"name": "Ada", "kind": "person", "scopes": ["audit:read"]})["key"]
        publish(api)
        members = tuple(api.ok("POST", "/v1/staff/members", {"name": "Bob"})["id"] for _ in range(8))
        for member in members[::2]:
            api.ok("PATCH", f"/v1/staff/members/{member}", {"status": "left"})
        api.ok(
            "POST",
            "/v1/subjects/links",
            {**dict(zip(("from", "to"), map(subject, NAMES), strict=True)), "basis": "user_proved"},
        )
        importer = api.with_key(api.new_key("consents:import"))
        importer.ok("POST", "/v1/imports", {"import": IMPORT, "rows": []})
        events, (waiting, at_gate, approver) = _dispatched(api), _proposed(api)
        ended = _ended(api)
        services = api.client.app.state.services  # type: ignore[attr-defined]
        work = Work(
            services.database, services.deployment, log=ProofPlan("sceau.example.fr/ledger", KeptHeads(None), {})
        )
        api.client.portal.call(append_all, work)  # type: ignore[union-attr]
        told = (webhooks, events, waiting, at_gate, approver, ended)
        return cls(api, names, consents, callers, (text,), ada, members, *told)

    def key_for(self, path: str) -> str | None:
        """The key that a path is called with: a person's where only persons may call."""
        if path in {"/v1/rulings", "/v1/proposals"} and self.api.key is not None:
            return self.approver
        return self.person if path == "/v1/staff/acknowledgements" and self.api.key is not None else self.api.key

    def place(self, case: AnyCase, number: int) -> AnyCase:
        """Put real ids in the path and the body of a well-formed case; `number` chooses among them."""
        path = case.operation.path
        if "id" in case.path_parameters:
            ids = self._ids(path)
            case.path_parameters = {**case.path_parameters, "id": ids[number % len(ids)]}
        if "number" in case.path_parameters:
            case.path_parameters["number"] = 1
        if "tile" in case.path_parameters:
            case.path_parameters = {**case.path_parameters, "tile": "0/000.p/1"}
        if "name" in case.path_parameters:
            case.path_parameters = {**case.path_parameters, "name": IMPORT}
        if "sha256" in case.path_parameters:
            case.path_parameters = {**case.path_parameters, "sha256": self.texts[number % len(self.texts)]}
        if isinstance(case.body, dict):
            case.body = _of_one_kind(path, self._body(path, case.body, number))
        if number % 2 and case.query:
            case.query = {name: value for name, value in case.query.items() if name not in {"cursor", "after", "wait"}}
        return case

    def _ids(self, path: str) -> tuple[str, ...]:
        """Ids of what a path is about."""
        values = {
            "consents": self.consents,
            "consent-events": self.consents,
            "keys": tuple(caller for caller, _ in self.keys),
            "webhooks": self.webhooks,
            "staff": self.members,
            "controllers": ("joint",),
        }
        return values.get(path.split("/")[2], self.processings)

    def _body(self, path: str, body: dict[str, Any], number: int) -> dict[str, Any]:
        left_out = INSTANTS if number % 2 else ()
        made = {name: value for name, value in body.items() if name not in left_out}
        if path.startswith("/v1/processings") and "purpose" in made:
            made = {name: value for name, value in made.items() if name not in {"controllers", "recipients"}}
            made |= {"controller": "", "data_recipients": []}
        if path == "/v1/consents" and made.get("decision") == "granted":
            made |= {"collected_at": written(datetime.now(UTC)), "evidence": proof(notice_of(CONSENTED))}
        if path == "/v1/proposals":
            made = {"kind": "retention", "consent": "P4Y"}
        if path == "/v1/rulings":
            made = {name: made[name] for name in ("approved", "reason", "same_legal_person") if name in made}
            made |= self._waits(number)
        for name, real in self._real(path, number).items():
            if name in made:
                made[name] = real(made[name])
        if number % 3 == 0 and isinstance(made.get("page"), dict):
            made["page"] = {name: value for name, value in made["page"].items() if name != "cursor"}
        return made

    def _waits(self, number: int) -> dict[str, Any]:
        """What a person may answer: a version, or what waits at the gate."""
        if number % 2:
            return {"proposal": self.at_gate[number % len(self.at_gate)]}
        return {"processing": self.waiting[number % len(self.waiting)], "version": 2}

    def _of_some(self, path: str, number: int) -> dict[str, Callable[[Any], Any]]:
        if path == "/v1/acknowledgements":
            return {"event": _always(self.ended)}
        if path == "/v1/keys":
            return {"identity": lambda given: {**given, "issuer": ISSUER} if isinstance(given, dict) else given}
        if path == "/v1/signing-keys":
            return {"webhook": _always(self.webhooks[0])}
        if path == "/v1/keys/{id}":
            return {"revoke_keys": lambda given: given and [self.keys[number % len(self.keys)][1]]}
        if path == "/v1/subjects/links":
            return {"from": _always(subject(NAMES[0])), "to": _always(subject(NAMES[1]))}
        return {}

    def _real(self, path: str, number: int) -> dict[str, Callable[[Any], Any]]:
        real: dict[str, Callable[[Any], Any]] = {
            "subject": lambda _: subject(USERS[number % len(USERS)]),
            "processing": lambda given: given if given is None else CONSENTED,
        }
        if path == "/v1/rulings":
            del real["processing"]
        if path.startswith("/access/") or path == "/v1/explanations":
            real["action"] = lambda given: {**given, "name": CONSENTED} if isinstance(given, dict) else given
        if path.startswith("/v1/processings"):
            real |= _of_a_version(path)
        if path.startswith("/v1/controllers"):
            real |= {"kind": _always("other"), "identifier": _always(None)}
        if path == "/v1/consent-links":
            real |= {"processings": _always([CONSENTED]), "age_band": lambda given: None if given is None else "adult"}
        real |= self._of_some(path, number)
        if path.startswith("/v1/staff"):
            today = self.api.ok("GET", "/v1/staff/notices")["items"][-1]
            real |= {"notice": _always(today["number"]), "text_sha256": _always(today["texts"]["fr"]["sha256"])}
            real |= {language: _always(text) for language, text in TEXT.items()}
            real |= {
                "language": _always("fr"),
                "caller": _always(None),
                "member": _always(self.members[number % len(self.members)]),
                "acknowledged_at": _always(today["published_at"]),
            }
        if path.startswith("/v1/webhooks"):
            real["event"] = _always(self.events[number % len(self.events)])
            real["url"] = _always("https://receiver.example/hook")
        if path == "/v1/consents":
            real["version"] = lambda given: given if given is None else 1
            real["elements"] = lambda given: given if given is None else ["content"]
        return real


def _of_one_kind(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A body of which only some members go together, without the others."""
    alone = {"/v1/webhooks/{id}/replays": {"event"}}.get(path, set())
    if path == "/v1/webhooks/{id}" and body.get("status") == "removed":
        alone = {"status"}
    return {name: body[name] for name in alone} if alone <= body.keys() and alone else body


def _of_a_version(path: str) -> dict[str, Callable[[Any], Any]]:
    """What makes a version one that may be registered, whatever else it says."""
    registered: dict[str, Any] = {"retention": "P30D", "consent_validity": "P6M", "controller": "Exemple SAS"}
    registered |= dict.fromkeys(("derived_data_erased_within", "effective_from"))
    registered |= dict.fromkeys(("privacy_policy", "legal_notice", "accessibility_statement", "logo"), ADDRESS)
    if path.endswith("/versions"):
        registered |= {"purpose": "advertising", "material": True, "started_on": "2020-01-01"}
    if path.endswith("/invalidations"):
        registered |= {"version": 1, "text": None}
    return {name: _always(value) for name, value in registered.items()}


def _proposed(api: Api) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Processings of which a version waits, what waits at the gate, and the key of a person who may answer."""
    api.ok("PUT", "/v1/controllers/joint", {"kind": "other", "legal_name": "Exemple SA"})
    names = tuple(f"waiting-{number}" for number in range(8))
    ada, bob = person(api, "Ada"), person(api, "Bob", "register:read", "register:approve")
    for name in names:
        api.register(name)
        assert add(ada, name, notice={"fr": "Autre."}, reason="Clearer words.").status_code == 201
        assert invalidate(api, name).status_code == 201
    at_gate = tuple(propose_at_gate(api, ada) for _ in range(8))
    return names, at_gate, bob.key or ""


def _dispatched(api: Api) -> tuple[str, ...]:
    """The events told so far, once they are dispatched to the endpoints there are."""
    portal, database = api.client.portal, api.client.app.state.services.database  # type: ignore[attr-defined]
    assert portal is not None
    done = 0
    while done < len(USERS):
        done += portal.call(dispatch_events, database)
    return tuple(event["id"] for event in api.ok("GET", "/v1/events")["events"])


def _ended(api: Api) -> str:
    """An event that told of the end of a consent."""
    api.decide("oscar", CONSENTED)
    api.withdraw("oscar", CONSENTED)

    def told() -> list[str]:
        # A transaction of another test may hold an event back for a moment (app/events/deliveries.py).
        listed = api.ok("GET", "/v1/events?limit=100")["events"]
        return [event["id"] for event in listed if event["type"].endswith(".withdrawn")]

    return str(eventually(told)[0])


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value
