import pytest

from tests.support.api import question


@pytest.fixture
def mailer(shared):
    """A caller that may ask about two processings."""
    body = {"name": "mailer", "scopes": ["decisions:evaluate", "register:read"], "processings": ["one", "two"]}
    return shared.ok("POST", "/v1/keys", body)


@pytest.fixture(autouse=True, scope="module")
def _registered(shared):
    for identifier in ("one", "two", "three"):
        shared.register(identifier, purpose="sorting")


def _change(api, caller, **body):
    return api.call("PATCH", f"/v1/keys/{caller['id']}", body)


def _status(api, caller, identifier="one"):
    called = api.with_key(caller["key"])
    return called.call("POST", "/access/v1/evaluation", question("alice", identifier)).status_code


def test_a_processing_taken_away_is_refused_at_once(shared, mailer):
    """Once a shorter list has been answered, questions about what it leaves out are 403, the others go on."""
    assert [_status(shared, mailer, each) for each in ("one", "two")] == [200, 200]
    assert _change(shared, mailer, processings=["two"]).json()["processings"] == ["two"]
    assert [_status(shared, mailer, each) for each in ("one", "two")] == [403, 200]


def test_a_scope_taken_away_is_refused_at_once(shared, mailer):
    """Once fewer scopes have been answered, what they left out is 403."""
    assert _status(shared, mailer) == 200
    assert _change(shared, mailer, scopes=["register:read"]).json()["scopes"] == ["register:read"]
    assert _status(shared, mailer) == 403
    assert shared.with_key(mailer["key"]).call("GET", "/v1/processings").status_code == 200


def test_what_is_added_works(shared, mailer):
    """A longer list, and none at all, let a caller ask about more."""
    assert _status(shared, mailer, "three") == 403
    assert _change(shared, mailer, processings=["one", "three"]).status_code == 200
    assert _status(shared, mailer, "three") == 200
    every = _change(shared, mailer, processings=None)
    assert "processings" not in every.json()
    assert _status(shared, mailer, "two") == 200


def test_what_is_left_out_stays(shared, mailer):
    """A change of the name alone leaves all else as it is."""
    changed = _change(shared, mailer, name="other").json()
    members = {name: value for name, value in mailer.items() if name not in {"key", "name"}}
    assert changed == {**members, "name": "other"} | {k: changed[k] for k in ("last_used_at",) if k in changed}
    assert _change(shared, mailer).json() == changed


def test_nobody_changes_a_caller_that_holds_more(shared, mailer):
    """A caller changes none with more than it has, and gives none more than it has."""
    manager = shared.with_key(shared.new_key("keys:manage", "register:read"))
    assert _change(manager, mailer, scopes=["register:read"]).status_code == 403
    weaker = shared.ok("POST", "/v1/keys", {"name": "weaker", "scopes": ["register:read"], "processings": ["one"]})
    assert _change(manager, weaker, scopes=["register:read", "audit:read"]).status_code == 403
    assert _change(manager, weaker, processings=["one", "two"]).status_code == 200
    within = shared.with_key(shared.new_key("keys:manage", "register:read", processings=["one", "two"]))
    assert _change(within, weaker, processings=None).status_code == 403
    assert _change(within, weaker, processings=["two"]).status_code == 200


def test_a_revoked_caller_is_not_changed(shared, mailer):
    """Revoked is final: a change is 409, and of nobody 404."""
    assert shared.call("DELETE", f"/v1/keys/{mailer['id']}").status_code == 204
    assert _change(shared, mailer, name="again").status_code == 409
    assert _change(shared, {"id": "01990000-0000-7000-8000-000000000000"}, name="x").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "person"},
        {"scopes": []},
        {"scopes": None, "processings": []},
        {"scope": ["register:read"]},
        {"name": ""},
        {"revoke_keys": []},
        {"revoke_keys": ["01990000-0000-7000-8000-000000000000"] * 51},
        {"revoke_keys": ["mine"]},
    ],
)
def test_a_change_that_makes_no_sense_is_refused(shared, mailer, body):
    """A kind cannot change, empty lists are none, and a misspelt member is seen."""
    assert _change(shared, mailer, **body).status_code == 422


def test_callers_are_shown_to_those_who_may_name_as_much(shared, mailer):
    """A manager with a list of processings is shown the callers within it, and reads no other."""
    within = shared.with_key(shared.new_key("keys:manage", processings=["one", "two"]))
    outside = shared.with_key(shared.new_key("keys:manage", processings=["one"]))
    listed = {item["id"] for item in within.ok("GET", "/v1/keys?limit=500")["items"]}
    assert mailer["id"] in listed
    assert all("processings" in within.ok("GET", f"/v1/keys?id={each}")["items"][0] for each in listed)
    assert mailer["id"] not in {item["id"] for item in outside.ok("GET", "/v1/keys?limit=500")["items"]}
    for unseen in (mailer["id"], "01990000-0000-7000-8000-000000000000"):
        assert outside.ok("GET", f"/v1/keys?id={unseen}") == {"items": []}
    assert shared.ok("GET", f"/v1/keys?id={mailer['id']}")["items"][0]["name"] == "mailer"
