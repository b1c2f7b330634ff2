"""Whoever was let in, and is revoked or narrowed while its request waits, does nothing any more with callers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Barrier, Event

import pytest

from app.auth.callers import Scope
from app.events.outbox import read_page
from tests.faults.service import eventually
from tests.support.api import running
from tests.support.databases import new_database
from tests.support.issuer import issuing
from tests.support.narrowings import NARROWINGS

HANG = 60
MANAGING = ["keys:manage", "audit:read"]
NEW = {"name": "made afterwards", "scopes": ["audit:read"]}


@pytest.fixture(scope="module")
def world():
    """An application that takes tokens, and the issuer of those."""
    with issuing() as issuer, new_database() as database, running(database, **issuer.settings) as api:
        yield api, issuer


def _manager(api):
    return api.ok("POST", "/v1/keys", {"name": "manager", "scopes": MANAGING})


def _late(api, call, narrow, monkeypatch):
    """The answer to a request whose transaction begins when what comes meanwhile has been answered."""
    writer = api.client.app.state.services.writer
    arrived, go, write = Event(), Event(), writer.write

    @asynccontextmanager
    async def held():
        monkeypatch.undo()  # the first one alone waits
        arrived.set()
        await asyncio.to_thread(go.wait, HANG)
        async with write() as session:
            yield session

    monkeypatch.setattr(writer, "write", held)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(call)
        try:
            assert arrived.wait(HANG)
            narrow()
        finally:
            go.set()
        return answer.result(HANG)


ACTS = {
    "POST /v1/keys": lambda _, __: ("POST", "/v1/keys", NEW),
    "POST of an identity": lambda issuer, __: (
        "POST",
        "/v1/keys",
        {**NEW, "identity": {"issuer": issuer.url, "subject": "late"}},
    ),
    "PATCH": lambda _, other: ("PATCH", f"/v1/keys/{other['id']}", {"scopes": ["keys:manage"]}),
    "rotation": lambda _, other: ("POST", f"/v1/keys/{other['id']}/rotations", {}),
    "DELETE": lambda _, other: ("DELETE", f"/v1/keys/{other['id']}", None),
    "end of a key": lambda _, other: ("PATCH", f"/v1/keys/{other['id']}", {"revoke_keys": [other["keys"][0]["id"]]}),
}

REFUSED = {name: 403 if name.endswith("taken away") else 401 for name in NARROWINGS}
"""What a caller is answered who was known, and what one is whose rights no longer reach."""


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_revoked_caller_s_request_that_waited_does_nothing(world, act, monkeypatch):
    """A revocation that was answered stops acts on callers that were let in before it: 401, and nothing is changed."""
    api, issuer = world
    made, other = _manager(api), _manager(api)
    revoke = NARROWINGS["caller revoked"](made, "ads")
    answer = _late(
        api, lambda: api.with_key(made["key"]).call(*act(issuer, other)), lambda: api.ok(*revoke), monkeypatch
    )
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:sceau:problem:unauthorized")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert [each for each in api.ok("GET", "/v1/keys?limit=500")["items"] if each.get("created_by") == made["id"]] == []
    assert api.ok("GET", f"/v1/keys?id={other['id']}")["items"][0] == {
        name: value for name, value in other.items() if name != "key"
    }


@pytest.mark.parametrize(("narrowing", "status"), REFUSED.items())
def test_whatever_was_taken_away_counts(world, narrowing, status, monkeypatch):
    """A key of several that ended, a scope and a list of processings count as the caller's revocation does."""
    api, _ = world
    made = _manager(api)
    narrow = lambda: api.ok(*NARROWINGS[narrowing](made, "ads"))  # noqa: E731
    answer = _late(api, lambda: api.with_key(made["key"]).call("POST", "/v1/keys", NEW), narrow, monkeypatch)
    assert answer.status_code == status, answer.text


def test_a_token_s_caller_too(world, monkeypatch):
    """A caller known by its tokens is asked about again like any other, and a token's own scopes still narrow it."""
    api, issuer = world
    identity = {"issuer": issuer.url, "subject": "ada"}
    made = api.ok("POST", "/v1/keys", {"name": "ada", "scopes": MANAGING, "identity": identity})
    narrow = api.with_key(issuer.token("ada", scope="keys:manage"))
    assert narrow.call("POST", "/v1/keys", NEW).json()["type"] == "urn:sceau:problem:scope-not-held"
    ada = api.with_key(issuer.token("ada"))
    assert ada.call("POST", "/v1/keys", NEW).status_code == 201
    revoke = lambda: api.ok("DELETE", f"/v1/keys/{made['id']}")  # noqa: E731
    assert _late(api, lambda: ada.call("POST", "/v1/keys", NEW), revoke, monkeypatch).status_code == 401


def test_who_waited_and_kept_its_rights_is_served(world, monkeypatch):
    """The control: what a caller keeps is enough, though something else was taken from it meanwhile."""
    api, _ = world
    made = api.ok("POST", "/v1/keys", {"name": "manager", "scopes": [scope.value for scope in Scope]})
    narrow = lambda: api.ok("PATCH", f"/v1/keys/{made['id']}", {"scopes": MANAGING})  # noqa: E731
    answer = _late(api, lambda: api.with_key(made["key"]).call("POST", "/v1/keys", NEW), narrow, monkeypatch)
    assert (answer.status_code, answer.json()["created_by"]) == (201, made["id"])


@pytest.mark.parametrize(("narrowing", "status"), REFUSED.items())
def test_who_waits_for_events_is_looked_at_again(world, narrowing, status, monkeypatch):
    """A call that waits tells nothing that its caller may not read any more when there is something to tell."""
    api, _ = world
    for name in ("not-stats", "stats"):
        if api.call("GET", f"/v1/processings/{name}").status_code == 404:
            api.register(name, purpose="statistics")
    made = api.ok("POST", "/v1/keys", {"name": "reader", "scopes": ["consents:read", "audit:read"]})
    place = api.ok("GET", "/v1/events?limit=500")["next"]
    waits = Event()

    async def read(*args, **more):
        page = await read_page(*args, **more)
        waits.set()
        return page

    monkeypatch.setattr("app.operations.webhooks.manage_webhooks.read_page", read)
    with ThreadPoolExecutor(1) as threads:
        path = f"/v1/events?wait=20&after={place}"
        answer = threads.submit(api.with_key(made["key"]).call, "GET", path)
        assert waits.wait(HANG)
        api.ok(*NARROWINGS[narrowing](made, "stats"))
        api.decide("alice", "stats")
        mine = api.decide("alice", "not-stats")["id"]
        result = answer.result(HANG)
    if narrowing != "processing taken away":
        assert (result.status_code, "events" in result.json()) == (status, False)
    else:
        assert {each["data"]["processing"] for each in result.json()["events"]} == {"not-stats"}
    after = f"/v1/events?limit=500&after={place}"  # until all is told: a transaction of another test may hold it back
    eventually(lambda: mine in {each["data"]["consent"] for each in api.ok("GET", after)["events"]})


def test_two_callers_who_change_each_other_do_not_block_each_other(world):
    """Rows are taken in one order: both are answered, whoever comes first, and neither by a deadlock's victim."""
    api, _ = world
    pair = [_manager(api), _manager(api)]
    barrier = Barrier(2, timeout=HANG)

    def rename(place):
        answers = []
        for _ in range(5):
            barrier.wait()
            path = f"/v1/keys/{pair[1 - place]['id']}"
            answers.append(api.with_key(pair[place]["key"]).call("PATCH", path, {"name": "x"}).status_code)
        return answers

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(rename, (0, 1))) == [[200] * 5] * 2
