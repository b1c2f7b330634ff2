"""Access tokens in the place of keys, over the whole application: on documented routes, in decisions, in memory."""

import time

import pytest

from app.auth.callers import key_digest
from tests.faults.service import eventually
from tests.freshness.gate import until
from tests.support.api import question, refused, running
from tests.support.console import COOKIE, Visitor
from tests.support.issuer import issuing, new_key

FIRST, BATCH = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def shared(token_taking):
    """An application that takes the tokens of `provider`."""
    return token_taking


def _register(api, provider, subject, *scopes, client=None, **more):
    identity = {"issuer": provider.url, "subject": subject} | ({"client": client} if client else {})
    scopes = scopes or ("decisions:evaluate", "register:read")
    return api.call("POST", "/v1/keys", {"name": subject, "scopes": scopes, "identity": identity, **more})


def _services(api):
    return api.client.app.state.services


def _refresh(api):
    """Have the process read the issuer's keys now."""
    (issuer,) = _services(api).token_check.issuers.values()
    issuer._tried = None
    api.client.portal.call(issuer.refresh)


def _statuses(api, token):
    """What a token gets of documented routes and of decisions, single and batch."""
    called, body = api.with_key(token), question("alice", "filter")
    batch = {"evaluations": [body, body]}
    return [
        called.call("GET", "/v1/processings").status_code,
        called.call("POST", FIRST, body).status_code,
        called.call("POST", BATCH, batch).status_code,
    ]


def _challenge(api, token, method="GET", path="/v1/processings", body=None):
    answer = api.with_key(token).call(method, path, body)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:sceau:problem:unauthorized"
    return answer.headers["www-authenticate"]


def test_a_registered_identity_is_let_in(shared, provider):
    """A token of an identity that was registered opens what was registered for it, on every way in."""
    made = _register(shared, provider, "ada", kind="person")
    assert made.status_code == 201
    body = made.json()
    assert body["identity"] == {"issuer": provider.url, "subject": "ada"}
    assert (body["kind"], body["keys"], "key" in body) == ("person", [], False)
    assert _statuses(shared, provider.token("ada")) == [200, 200, 200]
    assert shared.with_key(provider.token("ada")).call("GET", "/v1/keys").status_code == 403
    assert shared.ok("GET", f"/v1/keys?id={body['id']}")["items"][0]["identity"] == body["identity"]


def test_nobody_is_let_in_by_a_token_alone(shared, provider):
    """A good token of an identity that nobody registered is a 401 that says so little that it teaches nothing."""
    token = provider.token("stranger")
    assert _statuses(shared, token) == [401, 401, 401]
    assert _challenge(shared, token) == 'Bearer realm="sceau", error="invalid_token"'
    assert _challenge(shared, token) == _challenge(shared, "sceau_" + "x" * 43)
    assert _challenge(shared, None) == 'Bearer realm="sceau"'


@pytest.mark.parametrize(
    "spoil",
    [
        lambda provider: provider.token("bea", exp=int(time.time()) - 3600),
        lambda provider: provider.token("bea", aud="https://another.example"),
        lambda provider: provider.token("bea", iss="https://another.example"),
        lambda provider: provider.token("bea", header={"typ": "JWT"}),
        lambda provider: provider.token("bea", key=new_key()),
        lambda provider: provider.token("bea")[:-4] + "AAAA",
        lambda provider: provider.token("bea") + "." + "x" * 9_000,
        lambda _: "eyJ.eyJ.eyJ",
        lambda _: "ey..",
    ],
)
def test_a_bad_token_is_refused_alike(shared, provider, spoil):
    """Whatever is wrong with a token, each way in answers the same 401, which does not say what it was."""
    if not _services(shared).token_check.remembered(b""):
        _register(shared, provider, "bea")
    assert _statuses(shared, provider.token("bea")) == [200, 200, 200]
    token = spoil(provider)
    for method, path, body in (("GET", "/v1/processings", None), ("POST", FIRST, question("alice", "filter"))):
        assert _challenge(shared, token, method, path, body) == 'Bearer realm="sceau", error="invalid_token"'


def _answers_from_memory(shared, token):
    """Whether memory answers a decision on a token."""
    memory = _services(shared).memory
    hits = memory.hits
    assert shared.with_key(token).evaluate("alice", "filter")["decision"] is True
    return memory.hits > hits


def test_after_the_first_sight_memory_answers(shared, provider):
    """A token is checked once; from then on decisions on it come from memory, as those on keys do."""
    _register(shared, provider, "cleo")
    token, check = provider.token("cleo"), _services(shared).token_check
    accepted = check.accepted
    eventually(lambda: _answers_from_memory(shared, token))
    assert check.accepted == accepted + 1


def test_a_token_in_memory_ends_in_time(shared, provider):
    """Memory refuses a token from its end on: time is compared with each decision, not at the first sight only."""
    _register(shared, provider, "dora")
    issued, token, replica = time.time(), provider.token("dora"), _services(shared).memory.replica
    record = eventually(lambda: _answers_from_memory(shared, token) and replica.callers.get(key_digest(token)))
    assert issued + 300 < record.until <= time.time() + 331
    replica.callers.put(key_digest(token), type(record)(record.caller, replica.now(), record.use, record.signed_by))
    assert not _answers_from_memory(shared, token), "the documented route knows that it has not ended"


def test_a_token_that_has_expired_is_refused_everywhere(shared, provider):
    """A token that was good a moment ago is 401 once its end has come, wherever it is remembered."""
    _register(shared, provider, "eve")
    now = time.time()
    token = provider.token("eve", exp=now - 29.6)  # of which the skew leaves a moment
    first = _statuses(shared, token)
    assert set(first) <= {200, 401}
    shared.client.portal.call(until, lambda: time.time() > now + 0.5)
    assert _statuses(shared, token) == [401, 401, 401]


def _let_in(shared, provider, name):
    """A new caller, and its token, which memory holds."""
    made, token = _register(shared, provider, name).json(), provider.token(name)
    for _ in range(2):
        assert _statuses(shared, token) == [200, 200, 200]
    return made, token


def test_revoking_a_caller_ends_its_tokens_at_once(shared, provider):
    """Revoked, a caller's token opens nothing though it has not expired; registered again, the identity is another."""
    made, token = _let_in(shared, provider, "fay")
    taken = _register(shared, provider, "fay")
    assert refused(taken) == (409, "identity-taken")
    assert shared.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert _statuses(shared, token) == [401, 401, 401]
    again = _register(shared, provider, "fay").json()
    assert again["id"] != made["id"]
    assert _statuses(shared, token) == [200, 200, 200]


def test_a_caller_known_by_tokens_is_changed_like_any_other(shared, provider):
    """Scopes and processings taken away are gone at once for a token that memory holds; a key it is not given."""
    made, token = _let_in(shared, provider, "gil")
    shared.ok("PATCH", f"/v1/keys/{made['id']}", {"processings": ["ads"]})
    assert _statuses(shared, token) == [200, 403, 200]
    shared.ok("PATCH", f"/v1/keys/{made['id']}", {"scopes": ["register:read"]})
    assert _statuses(shared, token) == [200, 403, 403]
    assert refused(shared.call("POST", f"/v1/keys/{made['id']}/rotations", {})) == (409, "known-by-token")


def test_a_token_s_scopes_only_narrow(shared, provider):
    """A token that names scopes opens those of them that were registered, and none that were not."""
    _register(shared, provider, "hal")
    assert _statuses(shared, provider.token("hal", scope="decisions:evaluate")) == [403, 200, 200]
    assert _statuses(shared, provider.token("hal", scope="register:read keys:manage")) == [200, 403, 403]
    assert _statuses(shared, provider.token("hal", scope="openid profile")) == [403, 403, 403]
    wide = shared.with_key(provider.token("hal", scope="keys:manage"))
    refused = wide.call("GET", "/v1/keys")
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == 'Bearer realm="sceau", error="insufficient_scope"'


def test_an_identity_may_be_bound_to_a_client(shared, provider):
    """Registered with a client, a subject's tokens count only when that client got them."""
    _register(shared, provider, "ida", client="console")
    assert _statuses(shared, provider.token("ida")) == [200, 200, 200]
    assert _statuses(shared, provider.token("ida", client_id=None, azp="console")) == [200, 200, 200]
    for claims in ({"client_id": "another"}, {"client_id": None}):
        assert _statuses(shared, provider.token("ida", **claims)) == [401, 401, 401]


def test_an_identity_is_registered_with_care(shared, provider):
    """An issuer that is not taken, what the manager lacks, and what is no identity are refused."""
    other = {"name": "x", "scopes": ["register:read"], "identity": {"issuer": "https://other.example", "subject": "x"}}
    refused = shared.call("POST", "/v1/keys", other)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:sceau:problem:unknown-issuer")
    assert refused.json()["errors"][0]["field"] == "identity.issuer"
    manager = shared.with_key(shared.new_key("keys:manage"))
    assert _register(manager, provider, "jon").status_code == 403
    for identity in ({}, {"issuer": provider.url}, {"issuer": provider.url, "subject": ""}, "ada"):
        assert shared.call("POST", "/v1/keys", {**other, "identity": identity}).status_code == 422
    extra = {**other, "identity": {"issuer": provider.url, "subject": "x", "email": "x@example.fr"}}
    assert shared.call("POST", "/v1/keys", extra).status_code == 422
    ending = shared.call("POST", "/v1/keys", {**other, "expires_at": "2100-01-01T00:00:00Z"})
    assert (ending.status_code, ending.json()["errors"][0]["field"]) == (422, "expires_at")
    assert shared.call("POST", "/v1/keys", {**other, "identity": None}).json()["key"].startswith("sceau_")


def test_without_issuers_no_token_is_taken(database, provider):
    """A deployment without OIDC takes no token, and registers no identity."""
    with running(database) as api:
        assert _register(api, provider, "kim").status_code == 422
        assert _statuses(api, provider.token("kim")) == [401, 401, 401]


def test_without_memory_a_token_is_checked_once_too(database, provider):
    """A deployment that reads the primary for each decision takes tokens alike, and checks each signature once."""
    with running(database, cache="strict", **provider.settings) as api:
        api.register("filter", purpose="sorting")
        made, token = _register(api, provider, "lou").json(), provider.token("lou")
        for _ in range(3):
            assert _statuses(api, token) == [200, 200, 200]
        assert _services(api).token_check.accepted == 1
        assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        assert _statuses(api, token) == [401, 401, 401]


def test_a_token_signs_in_to_the_console(shared, provider):
    """A person may show a token at the sign-in in the place of a key; the session ends with the caller."""
    made = _register(shared, provider, "lea", "audit:read", kind="person").json()
    visitor = Visitor(shared)
    assert 'data-section="' in visitor.sign_in(provider.token("lea")).html
    assert 'data-section="' in visitor.get().html
    assert shared.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert 'data-section="' not in visitor.get().html


def test_the_last_use_of_a_token_is_seen(database):
    """A caller known by tokens is seen to have been used, as keys are."""
    with issuing() as provider:
        with running(database, **provider.settings) as api:
            made = _register(api, provider, "mia").json()
            api.with_key(provider.token("mia")).ok("GET", "/v1/processings")
        with running(database, **provider.settings) as api:
            assert "last_used_at" in api.ok("GET", f"/v1/keys?id={made['id']}")["items"][0]


def test_a_withdrawn_key_ends_what_memory_holds(database):
    """A key that the issuer withdraws takes with it tokens that memory answers for, in the process that hears of it."""
    with issuing() as provider, running(database, **provider.settings) as api:
        api.register("filter", purpose="sorting")
        _register(api, provider, "noa")
        token = provider.token("noa")
        for _ in range(3):
            assert _statuses(api, token) == [200, 200, 200]
        provider.key = new_key()
        provider.publish(provider.key)
        _refresh(api)
        assert _statuses(api, token) == [401, 401, 401]
        assert _statuses(api, provider.token("noa")) == [200, 200, 200]


def test_a_withdrawn_key_ends_the_sessions_that_it_began(database):
    """A session that began with a token ends with the key that signed it, also where a process never saw that key."""
    with issuing() as provider:
        with running(database, **provider.settings) as api:
            _register(api, provider, "oda", "audit:read", kind="person")
            visitor = Visitor(api)
            visitor.sign_in(provider.token("oda"))
            provider.rotate()
            _refresh(api)
            assert 'data-section="' in visitor.get().html
            provider.publish(provider.key)
            _refresh(api)
            assert 'data-section="' not in visitor.get().html
            assert 'data-section="' in visitor.sign_in(provider.token("oda")).html
            cookie = f"{COOKIE}={api.client.cookies[COOKIE]}"
        provider.mode = "error"
        with running(database, **provider.settings) as api:
            assert Visitor(api).get(Cookie=cookie).status == 503
            provider.mode = "good"
            _refresh(api)
            assert 'data-section="' in Visitor(api).get(Cookie=cookie).html
        provider.publish(new_key())
        with running(database, **provider.settings) as api:
            assert 'data-section="' not in Visitor(api).get(Cookie=cookie).html
        with running(database) as api:
            assert 'data-section="' not in Visitor(api).get(Cookie=cookie).html
