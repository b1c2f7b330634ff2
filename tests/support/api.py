"""The application as production wires it, called in a few words; and a clock that tests set."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db.session import Clock
from app.main import create_app
from app.settings import Settings
from app.settings.environment import PREFIX, SettingsError
from tests.support.consents import EVIDENCE, notice_of, own_form, proven
from tests.support.databases import TestDatabase

BOOTSTRAP = "sceau_" + "b" * 43
PSEUDONYM_KEY = "11" * 32
MASTER_KEY = "first:" + "22" * 32

UNLIMITED: dict[str, Any] = {"rate_limits": "off"}
"""Settings for tests that send thousands of requests as one caller, wrong keys among them."""


class TestClock(Clock):
    """A clock in place of the database's, which stands where it was set."""

    __test__ = False

    def __init__(self, at: datetime) -> None:
        """Stand at an instant."""
        self.at = at

    def read(self, _: datetime) -> datetime:
        """The instant it stands at."""
        return self.at


def settings_for(database: TestDatabase, **more: Any) -> Settings:
    """Settings of a whole deployment on a test database."""
    values = {
        "database_url": database.app_url,
        "database_owner_url": database.owner_url,
        "pseudonym_key": PSEUDONYM_KEY,
        "register_approval": "one",
        "durability": "local",
        "master_key": MASTER_KEY,
        "bootstrap_key": BOOTSTRAP,
        "public_url": "https://sceau.example.fr",
        **more,
    }
    assert values.keys() <= Settings.model_fields.keys()  # what is no setting is passed over in silence
    return Settings(**values)


def refusal_of(monkeypatch: pytest.MonkeyPatch, **wrong: str) -> str:
    """The refusal that a person reads if the environment holds only these settings, named in lower case."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        for name, value in wrong.items():
            patch.setenv(PREFIX + name.upper(), value)
        with pytest.raises(SettingsError) as refused:
            Settings.load()
    return str(refused.value)


def put_controller(body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The request that states a controller, given with its id."""
    return "PUT", f"/v1/controllers/{body['id']}", {name: body[name] for name in body if name != "id"}


def subject(name: str, kind: str = "user") -> dict[str, str]:
    """A subject on the wire."""
    return {"type": kind, "id": name}


def processing(identifier: str, **more: Any) -> dict[str, Any]:
    """A processing to register: advertising on content and subject line, unless said otherwise."""
    return {
        "id": identifier,
        "controller": "Exemple SAS",
        "provider_kind": "operator",
        "service": "mail",
        "purpose": "advertising",
        "elements": ["content", "subject_line"],
        "automated": True,
        "party_mode": "user_only",
        "started_on": "2020-01-01",
        "consent_validity": "P1Y",
        "name": {"fr": "Traitement", "en": "Processing"},
        "notice": notice_of(identifier),
        "data_recipients": [],
        "retention": "P30D",
        "data_protection_contact": "dpo@exemple.example",
        **more,
    }


PARENT = {"parent": {"type": "user", "id": "a-parent@example.fr"}, "parent_checked_how": "identity_document"}
"""Which parent consents with or for a child, and how that was checked, where a test does not say."""


def refused(answer: Any) -> tuple[int, str]:
    """Status and kind of a problem."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:sceau:problem:")


OF_THE_REGISTER = ("/v1/processings", "/v1/rulings", "/v1/proposals")


class Api:
    """A caller of the API: requests in a few words, as the all-scopes caller or with another key."""

    def __init__(self, client: TestClient, key: str | None = BOOTSTRAP, clock: TestClock | None = None) -> None:
        """Call through a client with a key, None calls without one; `clock` is the application's, if it is a test's."""
        self.client = client
        self.key = key
        self.clock = clock
        self.registrar = key
        self.shown: dict[str, list[dict[str, Any]]] = {}
        """Versions as they were read last, until something is written to the register."""

    def with_key(self, key: str | None) -> "Api":
        """The same application, called with another key."""
        other = Api(self.client, key, self.clock)
        other.registrar = self.registrar  # what `decide` looks the notice up with, whatever the other key may do
        other.shown = self.shown
        return other

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """One request; a body of bytes is sent unchanged, as JSON."""
        if method != "GET" and path.startswith(OF_THE_REGISTER):
            self.shown.clear()
        sent = {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}
        if isinstance(body, bytes):
            sent["Content-Type"] = "application/json"
            return self.client.request(method, path, content=body, headers={**sent, **(headers or {})})
        return self.client.request(method, path, json=body, headers={**sent, **(headers or {})})

    def ok(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a request that must succeed."""
        answer = self.call(method, path, body, headers)
        assert answer.status_code in {200, 201, 204}, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def register(self, identifier: str, **more: Any) -> Any:
        """Register a processing."""
        return self.ok("POST", "/v1/processings", processing(identifier, **more))

    def decide(self, name: str, identifier: str, decision: str = "granted", **more: Any) -> Any:
        """Record a grant, with the proof that it must have, or a refusal."""
        if decision == "granted":
            now = self.clock.at if self.clock is not None else datetime.now(UTC)
            more = proven(more, self._versions(identifier), now)
        evidence = own_form({**EVIDENCE, **more.pop("evidence", {})}, name)
        if decision == "granted" and "parent" not in (capacity := more.get("capacity") or {}):
            by_parent = capacity.get("given_by") in {"both", "holder_of_parental_responsibility"}
            more |= {"capacity": {**capacity, **PARENT}} if by_parent else {}
        body = {"subject": subject(name), "processing": identifier, "decision": decision, "evidence": evidence, **more}
        return self.ok("POST", "/v1/consents", body)

    def agreed(self, identifier: str, *names: str, **more: Any) -> None:
        """Register a processing, to which these people then consent."""
        self.register(identifier, **more)
        for name in names:
            self.decide(name, identifier)

    def _versions(self, identifier: str) -> list[dict[str, Any]]:
        """A processing's versions in the register, or, if this caller may not read them, those that tests register."""
        if identifier in self.shown:
            return self.shown[identifier]
        answer = self.with_key(self.registrar).call("GET", f"/v1/processings/{identifier}/versions")
        if answer.status_code == 200:
            items = answer.json()["items"]
            self.shown[identifier] = [each for each in items if each["state"] == "approved"] or items
            return self.shown[identifier]
        return [{"number": 1, "effective_from": "1970-01-01T00:00:00Z", "notice": notice_of(identifier)}]

    def state_age(self, name: str, band: str, **more: Any) -> Any:
        """State a person's age, as the operator who knows it from the account, unless said otherwise."""
        statement = {"age_band": band, "stated_by": "operator", "checked_how": "account_data", **more}
        return self.ok("POST", "/v1/subjects/ages", {"subject": subject(name), **statement})

    def close(self, name: str) -> Any:
        """Close a person's account."""
        return self.ok("POST", "/v1/subjects/closures", {"subject": subject(name)})

    def erase(self, name: str) -> Any:
        """Erase a person."""
        return self.ok("POST", "/v1/subjects/erasures", {"subject": subject(name)})

    def link_names(self, one: str, other: str, basis: str = "user_proved") -> Any:
        """State that two names are one person's."""
        return self.ok("POST", "/v1/subjects/links", {"from": subject(one), "to": subject(other), "basis": basis})

    def withdraw(self, name: str, identifier: str | None = None, **more: Any) -> Any:
        """Withdraw from one processing, or from all."""
        named = {} if identifier is None else {"processing": identifier}
        return self.ok("POST", "/v1/withdrawals", {"subject": subject(name), **named, **more})

    def evaluate(self, name: str, identifier: str, **properties: Any) -> Any:
        """Ask one question; `elements` and `automated` are the action's properties, the rest the resource's."""
        return self.ok("POST", "/access/v1/evaluation", question(name, identifier, **properties))

    def reason(self, name: str, identifier: str, **properties: Any) -> str:
        """The reason of one decision."""
        reason: str = self.evaluate(name, identifier, **properties)["context"]["reason"]
        return reason

    def new_key(self, *scopes: str, processings: list[str] | None = None) -> str:
        """Make a key with those scopes."""
        body: dict[str, Any] = {"name": "test", "scopes": list(scopes)}
        if processings is not None:
            body["processings"] = processings
        key: str = self.ok("POST", "/v1/keys", body)["key"]
        return key


def question(name: str, identifier: str, **properties: Any) -> dict[str, Any]:
    """An AuthZEN evaluation request."""
    of_action = {key: value for key, value in properties.items() if key in {"elements", "automated"}}
    of_resource = {key: value for key, value in properties.items() if key not in of_action}
    return {
        "subject": subject(name),
        "action": {"name": identifier, "properties": of_action},
        "resource": {"type": "correspondence", "id": "handle", "properties": of_resource},
    }


@contextmanager
def running(database: TestDatabase, *, clock: TestClock | None = None, **settings: Any) -> Iterator[Api]:
    """The application on a test database, started and stopped as in production."""
    app = create_app(settings_for(database, **settings), clock=clock)
    loop = {"use_uvloop": True}  # as production has it
    with TestClient(app, base_url="http://testserver", raise_server_exceptions=False, backend_options=loop) as client:
        yield Api(client, clock=clock)


def utc(text: str) -> datetime:
    """An instant from RFC 3339."""
    return datetime.fromisoformat(text).astimezone(UTC)
