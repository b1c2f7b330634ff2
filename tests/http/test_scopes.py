from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI

from app.api import callers, health, openapi
from app.api.consents import routes as consents
from app.api.decisions import explanations, routes
from app.api.http.security import Needs, UnguardedRouteError, open_to_all, scopes_by_route
from app.api.register import routes as processings
from app.auth.callers import Caller, Scope
from app.core.errors import ScopeMissingError
from tests.secrecy.requests import BODIES
from tests.support.api import UNLIMITED, running
from tests.support.databases import new_database
from tests.support.staff import person


@pytest.fixture(scope="module")
def shared():
    """An application that takes as many wrong keys as there are routes, and more."""
    with new_database() as database, running(database, **UNLIMITED) as called:
        yield called


UNKNOWN_ID = "01990000-0000-7000-8000-000000000000"
BEHIND_A_SIGN_IN = {
    "/console",
    "/console/acts/{name}",
    "/console/callers",
    "/console/callers/{id}",
    "/console/controllers",
    "/console/controllers/{id}",
    "/console/people",
    "/console/person",
    "/console/person/export",
    "/console/person/receipts/{id}",
    "/console/propose",
    "/console/register",
    "/console/register/{id}",
    "/console/register/{id}/new",
    "/console/renewals",
    "/console/renewals/due.csv",
    "/console/report",
    "/console/report/month",
    "/console/report/record.csv",
    "/console/staff",
    "/console/staff/{id}",
}
"""Pages find whoever is signed in by themselves, and check the scopes of each act (tests/pages)."""
PINNED = Path(__file__).with_name("scopes.txt")
"""Every route, with the scopes one of which it needs: `any` for a caller of any scope, `open` for everybody."""


def _routes(api):
    """Every route of the running application that needs a scope, with those of which it needs one."""
    found = scopes_by_route(api.client.app)
    return {route: scopes for route, scopes in found.items() if scopes}


ALONE = {
    "/v1/webhooks": {"url": "https://receiver.example/hook"},
    "/v1/keys": {"name": "x", "scopes": ["keys:manage"]},
    "/v1/signing-keys": {"use": "decision_tokens"},
}
"""What is sent where the usual body wants more than one scope."""
OTHERWISE = {
    ("/v1/proposals", "deployment:recover"): {"kind": "restore", "lost": "Nothing."},
    ("/v1/signing-keys", "webhooks:manage"): {"use": "webhooks"},
}
"""Bodies by which a route asks for another of its scopes."""


def _call(api, method, path, scope=None):
    usual = ALONE.get(path, BODIES.get((method, path), [None])[0]) if method in {"POST", "PATCH", "PUT"} else None
    body = OTHERWISE.get((path, scope), usual)
    identifier = UNKNOWN_ID if any(word in path for word in ("/keys", "/consents", "/webhooks", "/staff")) else "ads"
    filled = path.replace("{id}", identifier)
    return api.call(method, filled.replace("{number}", "1"), body)


def test_every_route_needs_the_scope_that_is_pinned(shared):
    """No route needs another scope than it did, or none, and no route is new, unless scopes.txt says so."""
    found = scopes_by_route(shared.client.app)
    documented = [
        f"{method} {path} {'open' if scopes is None else ' '.join(sorted(scopes)) or 'any'}"
        for (method, path), scopes in found.items()
    ]
    assert sorted(documented) == PINNED.read_text().splitlines()


def test_no_page_of_the_console_is_shown_without_a_session(shared):
    """Each address of the console but those of the sign-in leads there, whoever sends whatever key with it."""
    routes = [route for route in scopes_by_route(shared.client.app) if route[1] in BEHIND_A_SIGN_IN]
    assert len(routes) == len(BEHIND_A_SIGN_IN)
    for method, path in routes:
        sent = {"Authorization": f"Bearer {shared.key}", "Accept": "text/html"}
        filled = path.replace("{id}", UNKNOWN_ID).replace("{name}", "find")
        answer = shared.client.request(method, filled, headers=sent, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/console/sign-in?lang=fr"), path


def test_every_route_is_refused_without_a_key(shared):
    """No route that names a scope answers anything but 401 to nobody, or to a wrong key."""
    guarded = [route for route, scopes in scopes_by_route(shared.client.app).items() if scopes is not None]
    assert len(guarded) > len(_routes(shared))
    for method, path in guarded:
        for key in (None, "sceau_" + "x" * 43, "x"):
            answer = _call(shared.with_key(key), method, path)
            assert answer.status_code == 401, (method, path, key)
            assert answer.headers["www-authenticate"]


def test_every_route_is_refused_without_its_scope(shared):
    """With every scope but its own a route is 403 and says which ones it wants."""
    for (method, path), scopes in _routes(shared).items():
        others = [each.value for each in Scope if each not in scopes]
        answer = _call(_with_scopes(shared, "", *others), method, path)
        assert answer.status_code == 403, (method, path)
        assert answer.json()["type"] == "urn:sceau:problem:scope-missing"
        assert all(scope.value in answer.json()["detail"] for scope in scopes)


BESIDE = {"/replays": ("consents:read",)}
"""What a route whose path ends so needs beside its own scope: it hands out the past."""


FOR_PERSONS = frozenset({("/v1/proposals", "register:approve")})
"""Where a program that has the scope is refused before anything is looked at: it proposes nothing."""


def _with_scopes(api, path, *scopes):
    """The application called with a key of these scopes alone: a person's where the route is for persons."""
    return person(api, *scopes)[1] if (path, *scopes) in FOR_PERSONS else _of_scopes(api, *scopes)


@cache
def _of_scopes(api, *scopes):
    """A key of these scopes, made once for all routes that want them."""
    return api.with_key(api.new_key(*scopes))


def test_every_route_is_let_through_with_its_scope_alone(shared):
    """With one of its own scopes, and those beside it, no route is 401 or 403: the control of the tests above."""
    for (method, path), scopes in _routes(shared).items():
        more = BESIDE.get(path[path.rindex("/") :], ())
        for scope in scopes:
            answer = _call(_with_scopes(shared, path, scope.value, *more), method, path, scope.value)
            assert answer.status_code not in {401, 403, 500}, (method, path, answer.text)


def test_a_program_is_refused_what_is_for_persons(shared):
    """The control of the list: with its scope alone, a program is told that the route is for persons."""
    for path, scope in FOR_PERSONS:
        answer = _call(shared.with_key(shared.new_key(scope)), "POST", path)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:persons-only")


def test_an_act_of_one_scope_is_refused_to_a_caller_of_the_other(shared):
    """Where a route does several things, each asks for its own scope."""
    for (path, scope), body in OTHERWISE.items():
        for other in _routes(shared)["POST", path] - {scope}:
            _, caller = person(shared, other.value)
            answer = caller.call("POST", path, body)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:scope-missing")


def test_no_scope_at_all_is_no_permission():
    """A caller of every scope is refused where the scopes that are asked for are none, as left out by mistake."""
    caller = Caller(UUID(UNKNOWN_ID), "all", frozenset(Scope), None, datetime.now(UTC))
    with pytest.raises(ScopeMissingError):
        caller.require()
    caller.require(Scope.AUDIT_READ, Scope.STAFF_WRITE)


def _guarded():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for part in (routes, processings, consents, explanations, callers, health, openapi):
        app.include_router(part.router)
    scopes_by_route(app)
    return app


def _named(app):
    """What the refusal to start names."""
    with pytest.raises(UnguardedRouteError) as caught:
        scopes_by_route(app)
    return str(caught.value)


async def _surprise():
    return {}


def test_a_route_without_a_scope_keeps_the_application_from_starting():
    """A route that names no scope and is not marked as open is refused by name."""
    app = _guarded()
    app.get("/surprise")(_surprise)
    assert "/surprise" in _named(app)


def test_a_route_in_a_router_of_a_router_is_found_too():
    """However deep a route is included, its missing scope is seen."""
    app = _guarded()
    inner, outer = APIRouter(), APIRouter()
    inner.get("/surprise")(_surprise)
    outer.include_router(inner, prefix="/b")
    app.include_router(outer, prefix="/a")
    assert "/a/b/surprise" in _named(app)


def test_an_application_mounted_inside_is_refused():
    """What is mounted is no route that names a scope."""
    app = _guarded()
    app.mount("/mounted", FastAPI(openapi_url=None, docs_url=None, redoc_url=None))
    assert "/mounted" in _named(app)


def test_a_route_that_names_a_scope_or_is_open_is_accepted():
    """The control: with a scope among its dependencies, or marked as open, a route may start."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/open")
    @open_to_all
    async def let_in():
        return {}

    app.get("/guarded", dependencies=[Depends(Needs(Scope.AUDIT_READ))])(_surprise)
    assert scopes_by_route(app) == {
        ("GET", "/open"): None,
        ("GET", "/guarded"): frozenset({Scope.AUDIT_READ}),
    }
