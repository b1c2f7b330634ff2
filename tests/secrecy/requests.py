"""Requests that carry marked identifiers in every place where a request can hold one, for every route there is."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from uuid import UUID

from tests.secrecy.markers import MARKERS
from tests.support.api import BOOTSTRAP, processing, subject
from tests.support.consents import SIGNED, grant
from tests.support.staff import TEXT

Route = tuple[str, str]
ISSUER = "http://127.0.0.1:9/login"
"""An issuer that is taken and that nobody can ask."""
"""Whose tokens the deployment takes."""


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _address(place: str) -> str:
    return MARKERS[place].address


def _question(**more: Any) -> dict[str, Any]:
    participants = [{"id": _address("participant"), "local": local} for local in (True, False)]
    return {
        "subject": subject(_address("subject")),
        "action": {"name": "ads-mail", "properties": {"elements": ["content"]}},
        "resource": {
            "type": "correspondence",
            "id": _address("resource"),
            "properties": {"participants": participants},
        },
        "context": {"about": _address("context")},
        **more,
    }


def _unknown_processing() -> dict[str, Any]:
    return _question(action={"name": _address("processing")})


_VERSION = {name: value for name, value in processing("ads-mail").items() if name != "id"}
_DECISION = grant(_address("subject"), "ads-mail", evidence=SIGNED)

BODIES: dict[Route, list[Any]] = {
    ("POST", "/access/v1/evaluation"): [
        _question(),
        _question(action={"name": "filter"}),
        _question(action={"name": "filter"}, context={"decision_token": True, "about": _address("context")}),
        _unknown_processing(),
    ],
    ("POST", "/access/v1/evaluations"): [
        {"evaluations": [_question(), _unknown_processing(), {"subject": _address("malformed")}]},
        {**_question(), "evaluations": [{}, {"subject": subject(_address("participant"))}, _address("malformed")]},
    ],
    ("POST", "/access/v1/search/subject"): [
        _question(subject={"type": "user", "id": _address("subject")}),
        _question(page={"limit": 1, "token": _address("malformed")}),
        _unknown_processing(),
    ],
    ("POST", "/access/v1/search/action"): [
        _question(action=_address("processing")),
        _question(page={"limit": 0, "properties": {"sort": _address("malformed")}}),
    ],
    ("POST", "/v1/processings"): [
        processing("ads-mail"),
        processing(_address("processing")),
        processing("ads-mail", dry_run=True),
    ],
    ("POST", "/v1/processings/{id}/versions"): [{**_VERSION, "material": False}],
    ("POST", "/v1/processings/{id}/invalidations"): [
        {"version": 1, "reason": "Unlawful.", "dry_run": True},
        {"text": _address("malformed"), "reason": "Unlawful."},
        {"text": "ab" * 32, "reason": "Unlawful."},
    ],
    ("POST", "/v1/proposals"): [{"kind": "retention", "consent": "P4Y"}, {"kind": "restore", "lost": "nothing"}],
    ("POST", "/v1/rulings"): [
        {"processing": "ads-mail", "version": 1, "approved": True, "reason": "Read and compared."},
        {"processing": _address("processing"), "version": 1, "approved": False, "reason": "Read too."},
        {"proposal": _address("malformed"), "approved": True, "reason": "Read too."},
    ],
    ("PUT", "/v1/controllers/{id}"): [
        {"kind": "other", "legal_name": "Exemple SAS", "country": "FR"},
        {"kind": "siren", "identifier": _address("malformed"), "legal_name": "x"},
    ],
    ("PATCH", "/v1/processings/{id}"): [{"status": "active"}],
    ("POST", "/v1/consents"): [
        {**_DECISION, "decision": "granted"},
        {**_DECISION, "decision": "refused", "capacity": {"age_band": "under_15", "given_by": "both"}},
        {**_DECISION, "decision": "granted", "processing": "filter"},
        {**_DECISION, "decision": "granted", "processing": "unknown"},
    ],
    ("POST", "/v1/consents/batch"): [
        {"items": [{**_DECISION, "decision": "granted"}, {**_DECISION, "decision": _address("malformed")}]},
        {"items": _address("malformed")},
    ],
    ("POST", "/v1/consent-links"): [
        {
            "subject": subject(_address("subject")),
            "processings": ["ads-mail"],
            "authentication": "mailbox",
            "kind": kind,
            "by_person": True,
            "request_reference": "ticket-1",
        }
        for kind in ("decide", "withdraw")
    ],
    ("POST", "/consent/{token}"): [{"form": _address("malformed"), "press": "accept"}],
    ("POST", "/console/sign-in"): [{"proof": _address("malformed"), "key": _address("apikey")}],
    ("POST", "/console/acts/{name}"): [{"proof": _address("malformed"), "about": _address("subject")}],
    ("POST", "/console/sign-out"): [{"proof": _address("malformed")}],
    ("POST", "/staff/sign-in"): [{"proof": _address("malformed"), "key": _address("apikey")}],
    ("POST", "/staff/sign-out"): [{"proof": _address("malformed")}],
    ("POST", "/staff/notice"): [{"proof": _address("malformed"), "notice": "1", "language": "fr", "sha256": "0"}],
    ("POST", "/v1/staff/notices"): [TEXT],
    ("POST", "/v1/staff/acknowledgements"): [
        {"notice": 1, "language": "fr", "text_sha256": "0" * 64},
        {"member": str(UUID(int=1)), "notice": 1, "language": "fr", "acknowledged_at": "2026-01-01T00:00:00Z"},
        {"member": _address("malformed"), "notice": 1, "language": "fr", "acknowledged_at": _address("malformed")},
    ],
    ("POST", "/v1/staff/members"): [
        {"name": _address("staff")},
        {"name": _address("staff"), "caller": str(UUID(int=1))},
    ],
    ("PATCH", "/v1/staff/members/{id}"): [{"status": "left"}, {"erase_name": True}],
    ("POST", "/v1/withdrawals"): [{"subject": subject(_address("subject")), "processing": "ads-mail"}],
    ("POST", "/v1/withdrawals/batch"): [
        {"items": [{"subject": subject(_address("subject")), "processing": "ads-mail"}, _address("malformed")]}
    ],
    ("POST", "/v1/subjects/closures"): [{"subject": subject(_address("subject"))}],
    ("POST", "/v1/subjects/ages"): [
        {
            "subject": subject(_address("subject")),
            "age_band": "under_15",
            "stated_by": "operator",
            "checked_how": "account_data",
        }
    ],
    ("POST", "/v1/subjects/links"): [
        {"from": subject(_address("subject")), "to": subject(_address("participant")), "basis": "user_proved"},
        {"from": subject(_address("subject")), "to": subject(_address("participant")), "linked": False},
        {"from": subject(_address("subject")), "to": subject(_address("malformed")), "linked": False},
    ],
    ("POST", "/v1/imports"): [
        {
            "import": "older",
            "rows": [
                {
                    "source_id": _address("subject"),
                    "subject": subject(_address("subject")),
                    "processing": "ads-mail",
                    "decision": "granted",
                    "at": "2026-01-01T00:00:00Z",
                },
                {"source_id": _address("malformed"), "subject": subject(_address("malformed"))},
            ],
        },
        {"import": _address("malformed"), "rows": []},
    ],
    ("POST", "/v1/subjects/mailboxes"): [
        {"subject": subject("shared@exemple.fr"), "shared": True},
        {"subject": subject(_address("subject")), "shared": False},
    ],
    ("POST", "/v1/acknowledgements"): [
        {"event": str(UUID(int=1)), "effect": "stopped"},
        {"event": _address("malformed"), "effect": "stopped"},
    ],
    ("POST", "/v1/renewals/declined"): [{"subject": subject(_address("subject")), "processing": "ads-mail"}],
    ("POST", "/v1/subjects/erasures"): [{"subject": subject(_address("subject"))}],
    ("POST", "/v1/subjects/exports"): [
        {"subject": subject(_address("subject"))},
        {"subject": {"type": "user", "id": [_address("malformed")]}},
    ],
    ("POST", "/v1/consents/search"): [
        {"subject": subject(_address("subject")), "processing": "ads-mail", "state": "in_force"},
        {"subject": subject(_address("subject")), "page": {"cursor": _address("malformed")}},
    ],
    ("POST", "/v1/explanations"): [_question(), _unknown_processing(), _question(at="2026-01-01T00:00:00Z")],
    ("POST", "/v1/decisions/search"): [
        {
            "subject": subject(_address("subject")),
            "correspondence": {"type": "correspondence", "id": _address("resource")},
            "processing": "ads-mail",
        },
        {"processing": _address("processing")},
        {"page": {"cursor": _address("malformed")}},
    ],
    ("POST", "/v1/audit-trail/search"): [
        {"subject": subject(_address("subject")), "object": {"type": "processing", "id": "ads-mail"}},
        {"object": {"type": "processing", "id": _address("processing")}},
        {"page": {"cursor": _address("malformed")}},
    ],
    ("POST", "/v1/webhooks"): [{"url": "https://receiver.example/hook", "include_subject": True}],
    ("PATCH", "/v1/webhooks/{id}"): [{"include_subject": False}, {"status": "removed"}],
    ("POST", "/v1/webhooks/{id}/replays"): [
        {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
        {"event": str(UUID(int=1))},
        {"event": _address("malformed")},
    ],
    ("POST", "/v1/signing-keys"): [
        {"use": "webhooks"},
        {"use": "webhook_secret", "webhook": str(UUID(int=1))},
        {"use": _address("malformed"), "webhook": _address("malformed")},
        {"use": "decision_tokens", "at_once": False},
    ],
    ("POST", "/v1/keys"): [
        {"name": "mail server", "kind": "person", "scopes": ["decisions:evaluate"]},
        {
            "name": "ada",
            "scopes": ["audit:read"],
            "identity": {"issuer": ISSUER, "subject": "6f7a", "client": "console"},
        },
    ],
    ("PATCH", "/v1/keys/{id}"): [
        {"scopes": ["decisions:evaluate"], "processings": [_address("processing")]},
        {"revoke_keys": [str(UUID(int=1))]},
        {"revoke_keys": [_address("malformed")]},
    ],
    ("POST", "/v1/keys/{id}/rotations"): [{"overlap": "P7D"}, {"compromised": True}],
}
"""What each route that takes a body is sent; routes without one need no line."""

KNOWN: dict[Route, list[str]] = {
    ("GET", "/docs/{name}"): ["start.js", "swagger-ui.css"],
    ("GET", "/assets/{name}"): ["sceau.css"],
    ("GET", "/v1/presented-texts/{sha256}"): ["0" * 64],
    ("PUT", "/v1/controllers/{id}"): ["exemple"],
    **{(method, "/consent/{token}"): [f"Z{MARKERS['token'].word}"] for method in ("GET", "HEAD", "POST")},
    **{
        (method, f"/v1/keys/{{id}}{more}"): [str(UUID(int=1))]
        for method, more in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotations"))
    },
    ("PATCH", "/v1/staff/members/{id}"): [str(UUID(int=1))],
}
"""What stands in the path of a route, where it is not a processing or a consent."""

FREE_WORDS = frozenset({"name", "controller", "service", "legal_name", "identifier", "lost", "reason"})
"""What an administrator calls callers, controllers and services, and why: their own words, kept as they are."""

UNKNOWN_PATHS = ("/{}", "/v1/consents/{}/nothing", "/access/v1/{}", "/docs/{}/more", "/%2e%2e/{}", "//{}")
LOUD_HEADERS = (
    "User-Agent",
    "Referer",
    "Cookie",
    "From",
    "Forwarded",
    "X-Forwarded-For",
    "X-Marque",
    "Accept-Language",
)


_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _headers(**more: str) -> dict[str, str]:
    """The key of every scope, and a marked value in every header that a client may set."""
    marked = {name: f"a={_address('header')}" for name in LOUD_HEADERS}
    # A trace that is recorded, with what its caller may hang on to it.
    marked |= {"traceparent": _TRACEPARENT, "tracestate": f"v={MARKERS['header'].word}"}
    marked |= {"baggage": f"who={_address('header')}"}
    return {**marked, "Authorization": f"Bearer {BOOTSTRAP}", "X-Request-ID": _address("requestid"), **more}


_WRONG_KEYS = cycle(
    (
        f"Bearer sceau_{MARKERS['apikey'].word}",
        f"Bearer {_address('apikey') * 40}",
        f"Bearer {BOOTSTRAP}{_address('apikey')}",
        f"Basic {_address('apikey')}",
    )
)
"""Who asks is found out before any route is: each route has one of these, and each of these has many routes."""


def _malformed(body: Any) -> Iterator[bytes]:
    """What a body can look like when it is not what it should be, with a marker in each."""
    marked = _address("malformed")
    text = json.dumps(body)
    yield text[:-1].encode() + b', "' + marked.encode()
    yield json.dumps(marked).encode()
    yield b"\xff\xfe" + marked.encode("utf-16-le")
    yield f'{{"{marked}": 1, "{marked}": 2}}'.encode()
    yield f'{{"subject": {{"type": "user", "id": "{marked}\\u0000"}}}}'.encode()
    if isinstance(body, dict):
        for name in body:
            yield json.dumps({**body, name: {"id": marked, marked: marked}}).encode()
            if name not in FREE_WORDS:
                yield json.dumps({**body, name: marked}).encode()


def _in_path(route: Route, consent: str) -> list[str]:
    """The paths of a route that exist, or could."""
    _, template = route
    of_consent = template.startswith(("/v1/consents/", "/v1/consent-events/"))
    of_webhook = template.startswith("/v1/webhooks/")
    ids = KNOWN.get(route, [consent if of_consent else str(UUID(int=1)) if of_webhook else "ads-mail"])
    named = ("id", "name", "token", "sha256", "event", "key", "tile")
    return [template.format(**dict.fromkeys(named, each), number=1) for each in ids]


def well_formed(route: Route, consent: str) -> Iterator[Sent]:
    """The requests of a route that get as far as the database: with a key in force, and a body as it should be."""
    method, _ = route
    for path in _in_path(route, consent):
        for body in BODIES.get(route, [None]):
            kind = {} if body is None else {"Content-Type": "application/json"}
            yield Sent(method, path, None if body is None else json.dumps(body).encode(), _headers(**kind))


def requests_for(route: Route, consent: str) -> Iterator[Sent]:
    """Every request that this route is sent."""
    method, template = route
    bodies: list[Any] = BODIES.get(route, [None])
    json_type = {"Content-Type": "application/json"}
    for path in _in_path(route, consent):
        path_asked = f"{path}?cursor={_address('query')}&limit={_address('query')}&{_address('query')}=1"
        for number, body in enumerate(bodies):
            if body is None:
                yield Sent(method, path, None, _headers())
                yield Sent(method, path_asked, None, _headers())
                continue
            sent = json.dumps(body).encode()
            once = {"Idempotency-Key": f"{_address('idempotency')} {method} {template} {number}"}
            yield Sent(method, path_asked, sent, _headers(**json_type, **once))
            yield Sent(method, path, sent, _headers(**json_type, **once))
            yield Sent(method, path, sent + b" ", _headers(**json_type, **once))  # the same key on another body
            yield Sent(method, path, sent, _headers(**json_type))
            yield Sent(method, path, sent, _headers(**{"Content-Type": f"text/{MARKERS['header'].word}"}))
            extra = {**body, MARKERS["member"].word: _address("member"), "note": [_address("member")]}
            yield Sent(method, path, json.dumps(extra).encode(), _headers(**json_type))
        wrong = list(_malformed(bodies[0]))
        for each in wrong if route in BODIES else wrong[:1]:  # where no body is read, one is enough
            yield Sent(method, path, each, _headers(**json_type))
        headers = {**_headers(**json_type), "Authorization": next(_WRONG_KEYS)}
        yield Sent(method, path, json.dumps(bodies[0]).encode(), headers)
    if "{" in template:
        places = dict.fromkeys(("id", "name", "sha256", "event", "key", "tile", "number"), _address("path"))
        # A token is random, and looked up by its hash: one that could be guessed is no token.
        marked = template.format(**places, token=f"Z{_address('token')}")
        yield Sent(method, marked, json.dumps(bodies[0]).encode(), _headers(**json_type))


def requests_beside_every_route() -> Iterator[Sent]:
    """Requests that no route answers."""
    for method in ("GET", "POST", "PUT", "OPTIONS", "TRACE", MARKERS["path"].word.upper()[:20]):
        for path in UNKNOWN_PATHS:
            yield Sent(method, path.format(_address("path")), None, _headers())
        yield Sent(method, f"/v1/keys?{_address('query')}", None, _headers())
