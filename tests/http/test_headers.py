"""The security headers of every route and of every kind of error, and that no page of another origin reads anything."""

import pytest
import structlog

from app.api.http.exchange import DOCUMENT_HEADERS, MOST_BODY_BYTES, SECURITY_HEADERS, headers_of_every_answer
from app.api.http.security import scopes_by_route
from app.db.database import Database
from tests.support.api import question, running
from tests.support.databases import new_database

ID = "01990000-0000-7000-8000-000000000000"
PLACES = dict.fromkeys(("id", "event", "key", "token"), ID)
PLACES |= {"name": "sceau.css", "sha256": "0" * 64, "tile": "0/000", "number": "1"}
PAGES = ("/console", "/consent/", "/staff/")
KEPT = ("/docs/", "/assets/", "/.well-known/jwks.json", "/.well-known/authzen-configuration", "/proof/v1/keys")
EVALUATION = "/access/v1/evaluation"
HSTS = "strict-transport-security"
OTHERS = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}


@pytest.fixture(scope="module")
def shared():
    """An application that is reached over https."""
    with new_database() as database, running(database) as called:
        called.register("spam", purpose="unsolicited_content_detection")
        yield called


def _expected(path):
    """What an answer must carry; None where the value is the route's own."""
    wanted: dict[str, str | None] = {name.lower(): value for name, value in SECURITY_HEADERS.items()}
    wanted[HSTS] = "max-age=31536000"
    if path in {"/docs", "/docs/everything"} or path.startswith(PAGES):
        wanted |= {name.lower(): value for name, value in DOCUMENT_HEADERS.items()}
        wanted["content-security-policy"] = None
    if path.startswith(KEPT):
        wanted["cache-control"] = None
    return wanted


def _amiss(path, headers):
    """Which headers of an answer are not as they must be."""
    wrong = [name for name, value in _expected(path).items() if headers.get(name) != (value or headers.get(name))]
    wrong += [name for name in _expected(path) if name not in headers]
    policy = headers.get("content-security-policy", "")
    wrong += [part for part in ("default-src 'none'", "frame-ancestors 'none'") if part not in policy]
    wrong += [name for name in headers if name.startswith("access-control-") or name in {"server", "x-powered-by"}]
    return wrong


def test_every_route_carries_them(shared):
    """Every route's answer, with every scope or without a key, has the headers of its kind."""
    for method, template in scopes_by_route(shared.client.app):
        path = template.format(**PLACES)
        for caller in (shared, shared.with_key(None)):
            answer = caller.call(method, path, {} if method in {"POST", "PATCH"} else None)
            assert _amiss(path, answer.headers) == [], (method, template, answer.status_code)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/v1/keys", {}, 405),
        ("POST", EVALUATION, b"{", 400),
        ("POST", EVALUATION, b" " * (MOST_BODY_BYTES + 1), 413),
        ("POST", "/v1/keys", {"name": 1}, 422),
        ("GET", f"/v1/consents/{ID}", None, 404),
        ("GET", "/consent/unknown", None, 404),
        ("POST", "/consent/unknown", {}, 400),
        ("GET", "/docs/none", None, 422),
        ("HEAD", "/console", None, 405),
    ],
)
def test_errors_carry_them(shared, method, path, body, status):
    """An answer that refuses, or finds nothing, carries the security headers too."""
    answer = shared.call(method, path, body)
    assert answer.status_code == status
    assert _amiss(path, answer.headers) == []


def test_a_failure_carries_them(shared, monkeypatch):
    """The answer to an internal failure carries the security headers too."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer(key_order=["event"])])
    monkeypatch.setattr(Database, "read", lambda _: 1 / 0)
    for path in ("/v1/keys", "/console"):
        answer = shared.client.get(
            path, headers={"Authorization": f"Bearer {shared.key}", "Cookie": "__Host-sceau_session=x"}
        )
        assert answer.status_code == 500
        assert _amiss(path, answer.headers) == []


def test_the_hot_path_carries_the_same(shared):
    """A decision answered from memory has every header that one answered by the documented route has."""
    body = question("alice", "spam")
    hot = [shared.call("POST", EVALUATION, body) for _ in range(2)][-1]
    plain = shared.call("POST", EVALUATION, body, {"Accept": "text/plain"})
    documented = shared.call("POST", EVALUATION, {**body, "context": {"decision_token": True}})
    assert (hot.headers["content-type"], plain.text) == ("application/json", "permit")
    assert "decision_token" in documented.json()["context"]
    for answer in (hot, plain, documented):
        assert _amiss(EVALUATION, answer.headers) == []
    assert hot.headers.keys() == plain.headers.keys() == documented.headers.keys()


def test_pages_of_other_origins_read_nothing(shared):
    """No route grants another origin anything, and a preflight is granted nothing either (CORS is closed)."""
    for _, template in scopes_by_route(shared.client.app):
        path = template.format(**PLACES)
        for method in ("OPTIONS", "GET"):
            answer = shared.client.request(method, path, headers=OTHERS, follow_redirects=False)
            assert not [name for name in answer.headers if name.startswith("access-control-")], (method, path)
            assert answer.status_code not in {200, 204} or method == "GET", (method, path)


def test_https_alone_asks_for_https():
    """A deployment reached by plain HTTP does not tell browsers to use TLS; one reached by https does."""
    assert headers_of_every_answer("http://127.0.0.1:8080") == SECURITY_HEADERS
    assert HSTS in {name.lower() for name in headers_of_every_answer("https://sceau.example.fr")}


def test_a_header_that_is_missing_or_too_much_is_seen():
    """Control: an answer without one of them, or that grants another origin something, is found amiss."""
    right = {
        name: value or "default-src 'none'; frame-ancestors 'none'" for name, value in _expected("/v1/keys").items()
    }
    assert _amiss("/v1/keys", right) == []
    assert _amiss("/v1/keys", {**right, HSTS: "max-age=0"}) == [HSTS]
    assert _amiss("/console", right) != []
    assert _amiss("/v1/keys", {**right, "access-control-allow-origin": "*"}) == ["access-control-allow-origin"]
