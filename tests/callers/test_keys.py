import pytest

from app.auth.callers import Scope
from tests.support.api import BOOTSTRAP, question, running

EVERYTHING = [scope.value for scope in Scope]


def _make(api, scopes, **more):
    return api.call("POST", "/v1/keys", {"name": "test", "scopes": scopes, **more})


def _listed(api):
    return api.ok("GET", "/v1/keys?limit=500")["items"]


def test_a_key_is_shown_once(shared):
    """A new key is told in its answer, and nowhere else ever again."""
    made = _make(shared, ["decisions:evaluate"], processings=["ads"])
    key = made.json()["key"]
    assert made.status_code == 201
    assert key.startswith("sceau_")
    assert len(key) >= 49
    listing = shared.call("GET", "/v1/keys?limit=500")
    assert key not in listing.text
    assert "key" not in listing.json()["items"][-1]
    members = {name: value for name, value in made.json().items() if name not in {"key", "unregistered"}}
    assert listing.json()["items"][-1] == members


def test_a_caller_is_a_machine_unless_it_is_said_to_be_a_person(shared):
    """The kind of a caller is `machine` by default, stands in the list, and is one of two words."""
    assert _make(shared, ["register:read"]).json()["kind"] == "machine"
    assert _make(shared, ["audit:read"], kind="person").json()["kind"] == "person"
    assert [item["kind"] for item in _listed(shared)[-2:]] == ["machine", "person"]
    assert _make(shared, ["audit:read"], kind="robot").status_code == 422


def test_keys_are_all_different(shared):
    """Two keys of one name are two keys, and two callers."""
    first, second = (_make(shared, ["register:read"]).json() for _ in range(2))
    assert first["key"] != second["key"]
    assert first["id"] != second["id"]


@pytest.mark.parametrize("scope", [scope for scope in EVERYTHING if scope != "keys:manage"])
def test_nobody_hands_out_a_scope_that_it_lacks(shared, scope):
    """A caller with `keys:manage` alone makes keys with nothing more."""
    manager = shared.with_key(shared.new_key("keys:manage"))
    refused = _make(manager, ["keys:manage", scope])
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:sceau:problem:scope-not-held")
    assert _make(manager, ["keys:manage"]).status_code == 201


def test_nobody_hands_out_a_processing_that_it_lacks(shared):
    """A caller with a list of processings makes keys for those alone, never for every one."""
    manager = shared.with_key(shared.new_key("keys:manage", "decisions:evaluate", processings=["ads", "stats"]))
    for more in ({}, {"processings": ["ads", "spam"]}, {"processings": ["spam"]}):
        assert _make(manager, ["decisions:evaluate"], **more).status_code == 403
    assert _make(manager, ["decisions:evaluate"], processings=["stats"]).status_code == 201


def test_a_revoked_key_is_refused_at_once(shared):
    """Once a revocation has been answered the key is good for nothing, on any route."""
    shared.register("spam", purpose="sorting")
    made = _make(shared, EVERYTHING).json()
    other = shared.with_key(made["key"])
    assert other.reason("alice", "spam") == "exempt"
    assert shared.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert other.call("POST", "/access/v1/evaluation", question("alice", "spam")).status_code == 401
    assert other.call("POST", "/access/v1/evaluations", question("alice", "spam")).status_code == 401
    assert other.call("GET", "/v1/processings").status_code == 401
    assert other.call("GET", "/v1/keys").status_code == 401


def test_a_key_is_revoked_once(shared):
    """Revoking again is a 204 that keeps the first time; an unknown id is 404."""
    made = _make(shared, ["register:read"]).json()
    times = []
    for _ in range(2):
        assert shared.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        times += [item["revoked_at"] for item in _listed(shared) if item["id"] == made["id"]]
    assert times[0] == times[1]
    assert shared.call("DELETE", "/v1/keys/01990000-0000-7000-8000-000000000000").status_code == 404
    assert shared.call("DELETE", "/v1/keys/test").status_code == 422


def test_keys_are_listed_by_pages(api):
    """A list of keys goes on by cursor, gives each once, and refuses a cursor of another caller."""
    for _ in range(4):
        _make(api, ["register:read"])
    page = api.ok("GET", "/v1/keys?limit=2")
    ids = [item["id"] for item in page["items"]]
    while "next_cursor" in page:
        page = api.ok("GET", f"/v1/keys?limit=2&cursor={page['next_cursor']}")
        ids += [item["id"] for item in page["items"]]
    assert ids == [item["id"] for item in _listed(api)]
    assert len(ids) == 5
    cursor = api.ok("GET", "/v1/keys?limit=2")["next_cursor"]
    manager = api.with_key(api.new_key("keys:manage"))
    assert manager.call("GET", f"/v1/keys?cursor={cursor}").status_code == 422


def test_an_invalid_key_is_refused(shared):
    """A key without name or scope, with an unknown one, or with a misspelt limit is 422."""
    for body in (
        {},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": "register:read"},
        {"name": "", "scopes": ["register:read"]},
        {"name": "a\nb", "scopes": ["register:read"]},
        {"name": "x", "scopes": ["register:read"], "processings": []},
        {"name": "x", "scopes": ["register:read"], "processings": ["A B"]},
        {"name": "x", "scopes": ["register:read"], "processing": ["ads"]},
        {"name": "x", "scopes": ["register:read"], "key": "sceau_chosen"},
    ):
        assert shared.call("POST", "/v1/keys", body).status_code == 422, body


def test_an_invalid_page_of_keys_is_refused(shared):
    """A limit out of bounds and a cursor that nobody handed out are 422."""
    for query in ("limit=0", "limit=501", "limit=x", "cursor=x"):
        assert shared.call("GET", f"/v1/keys?{query}").status_code == 422, query


def test_the_bootstrap_key_holds_every_scope(api):
    """The first caller of an empty database is the bootstrap key's, with every scope."""
    (first,) = _listed(api)
    assert (first["name"], first["kind"], sorted(first["scopes"])) == ("bootstrap", "machine", sorted(EVERYTHING))
    assert "processings" not in first


def test_a_bootstrap_key_makes_no_second_caller(database):
    """On a database that has callers another bootstrap key opens nothing, and the first stays."""
    another = "sceau_" + "c" * 43
    with running(database):
        pass
    with running(database, bootstrap_key=another) as api:
        assert api.with_key(another).call("GET", "/v1/keys").status_code == 401
        assert len(_listed(api.with_key(BOOTSTRAP))) == 1


def test_a_revoked_bootstrap_key_does_not_come_back(database):
    """The bootstrap key, once revoked, stays revoked when the service starts again."""
    with running(database) as api:
        manager = api.new_key("keys:manage", *[scope for scope in EVERYTHING if scope != "keys:manage"])
        bootstrap = _listed(api)[0]["id"]
        assert api.with_key(manager).call("DELETE", f"/v1/keys/{bootstrap}").status_code == 204
    with running(database) as api:
        assert api.call("GET", "/v1/keys").status_code == 401


def test_without_a_bootstrap_key_nobody_is_let_in(database):
    """An empty database without a bootstrap key has no caller at all."""
    with running(database, bootstrap_key=None) as api:
        assert api.call("GET", "/v1/keys").status_code == 401


def test_processings_that_nobody_has_registered_are_named(shared):
    """A mistyped id is told in the answer; one that is registered is not, and a caller of every one is told nothing."""
    shared.register("known")
    assert _make(shared, ["decisions:evaluate"], processings=["known", "asd"]).json()["unregistered"] == ["asd"]
    assert "unregistered" not in _make(shared, ["decisions:evaluate"], processings=["known"]).json()
    assert "unregistered" not in _make(shared, ["decisions:evaluate"]).json()
