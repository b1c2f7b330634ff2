"""Rate limits as callers see them: the fields, the 429, what is never refused, and that nobody locks out another."""

import pytest

from app.operations.decisions.judging import OVER_QUOTA
from tests.support.acts import trail
from tests.support.api import Api, TestClock, processing, question, refusal_of, running, subject, utc
from tests.support.databases import new_database, rows

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
POLICY, LIMIT = "ratelimit-policy", "ratelimit"

LONG = 86_400  # so long a window that nothing comes back while a test runs


@pytest.fixture(scope="module", params=["leased", "strict"])
def limited(request):
    """An application whose callers may ask ten questions under IV, by memory and by the documented route alike."""
    with new_database() as database, running(database, cache=request.param, rate_limits=f"decisions=10/{LONG}") as api:
        for identifier, purpose in (("ads", "advertising"), ("spam", "unsolicited_content_detection")):
            api.register(identifier, purpose=purpose)
        yield api


@pytest.fixture
def caller(limited):
    """A caller of that application with all of its quota."""
    return limited.with_key(limited.new_key("decisions:evaluate"))


def _batch(*processings, semantic="execute_all"):
    items = [question("alice", each) for each in processings]
    return {"evaluations": items, "options": {"evaluations_semantic": semantic}}


def _refused(answer):
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:sceau:problem:rate-limited"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers[LIMIT].endswith(f";r=0;t={answer.headers['retry-after']}")
    assert "permit" not in f"{answer.text} {answer.headers}".lower()  # what clients without JSON look for
    return True


def test_questions_are_counted_and_refused(caller):
    """Each answer says how many are left; after the last the next is 429, and says when to come back."""
    for left in range(9, -1, -1):
        answer = caller.call("POST", ONE, question("alice", "ads"))
        assert answer.status_code == 200
        assert answer.headers[POLICY] == f'"decisions";q=10;w={LONG}'
        assert answer.headers[LIMIT].startswith(f'"decisions";r={left};t=')
    assert _refused(caller.call("POST", ONE, question("alice", "ads")))
    assert _refused(caller.call("POST", ONE, question("bob", "unknown")))


def test_each_item_of_a_batch_counts(caller):
    """A batch takes as many as it asks; one that is larger than what is left is answered, and what is too much owed."""
    assert caller.call("POST", MANY, _batch(*["ads"] * 4)).headers[LIMIT].startswith('"decisions";r=6;')
    assert caller.call("POST", MANY, _batch(*["ads"] * 20)).status_code == 200
    assert _refused(caller.call("POST", MANY, _batch("ads")))


def test_exempt_processings_are_never_refused(caller):
    """Questions under III are neither counted nor refused, alone or in a batch with others."""
    unlimited = caller.call("POST", ONE, question("alice", "spam"))
    assert (unlimited.json()["decision"], LIMIT in unlimited.headers) == (True, False)
    assert LIMIT not in caller.call("POST", MANY, _batch("spam", "spam")).headers
    caller.call("POST", MANY, _batch(*["ads"] * 10))
    assert _refused(caller.call("POST", ONE, question("alice", "ads")))
    assert caller.evaluate("alice", "spam")["decision"]
    assert caller.call("POST", ONE, question("alice", "spam"), {"Accept": "text/plain"}).text == "permit"
    mixed = caller.call("POST", MANY, _batch("spam", "ads", "spam"))
    assert mixed.status_code == 200
    assert [each["decision"] for each in mixed.json()["evaluations"]] == [True, False, True]
    assert mixed.json()["evaluations"][1]["context"] == {"error": {"status": 429, "message": OVER_QUOTA}}
    assert mixed.headers[LIMIT].startswith('"decisions";r=0;')


@pytest.mark.parametrize(
    ("semantic", "expected"), [("deny_on_first_deny", [True, False]), ("permit_on_first_permit", [True])]
)
def test_an_item_without_quota_is_a_deny(caller, semantic, expected):
    """An item without quota counts as a deny, and ends a batch that ends at a deny."""
    caller.call("POST", MANY, _batch(*["ads"] * 10))
    answer = caller.ok("POST", MANY, _batch("spam", "ads", "spam", semantic=semantic))
    assert [each["decision"] for each in answer["evaluations"]] == expected


def test_one_caller_does_not_use_up_anothers(limited, caller):
    """A caller whose quota is used up does not use up another caller's."""
    caller.call("POST", MANY, _batch(*["ads"] * 10))
    assert _refused(caller.call("POST", ONE, question("alice", "ads")))
    other = limited.with_key(limited.new_key("decisions:evaluate"))
    assert other.call("POST", ONE, question("alice", "ads")).status_code == 200


def test_a_key_and_the_next_are_one_caller(limited):
    """A rotated key does not begin with a new quota: callers are counted, not keys."""
    made = limited.ok("POST", "/v1/keys", {"name": "x", "scopes": ["decisions:evaluate"]})
    limited.with_key(made["key"]).call("POST", MANY, _batch(*["ads"] * 10))
    rotated = limited.ok("POST", f"/v1/keys/{made['id']}/rotations", {})
    assert _refused(limited.with_key(rotated["key"]).call("POST", ONE, question("alice", "ads")))


def test_by_default_decisions_have_no_limit_and_no_header(api):
    """By default decisions have no limit, and their answers no rate-limit headers."""
    api.register("ads")
    for path, body in ((ONE, question("alice", "ads")), (MANY, _batch("ads"))):
        answer = api.call("POST", path, body)
        assert not {POLICY, LIMIT} & set(answer.headers)


@pytest.fixture(scope="module")
def tight():
    """An application in which one administrative request, one search and one consent are allowed each day.

    Beside it one that makes callers of it, which it does not count, and their database.
    """
    one = f"1/{LONG}"
    with (
        new_database() as database,
        running(database, rate_limits=f"administration={one},searches={one},consents={one}") as api,
        running(database) as unlimited,
    ):
        yield api, unlimited, database


def _fresh(tight, *scopes):
    """A caller with all of its quotas."""
    api, unlimited, _ = tight
    return Api(api.client, unlimited.new_key(*scopes))


@pytest.mark.parametrize(
    ("scope", "policy", "sent"),
    [
        ("register:write", "administration", ("POST", "/v1/processings", processing("new"))),
        ("keys:manage", "administration", ("GET", "/v1/keys", None)),
        ("webhooks:manage", "administration", ("GET", "/v1/webhooks", None)),
        ("audit:read", "searches", ("POST", "/v1/audit-trail/search", {})),
        ("consents:read", "searches", ("POST", "/v1/consents/search", {})),
        ("register:read", "searches", ("GET", "/v1/processings", None)),
        ("consents:write", "consents", ("POST", "/v1/consent-links", {})),
    ],
)
def test_what_a_route_counts_as(tight, scope, policy, sent):
    """Each kind of route has a quota of its own; a refused one is not done, and says so."""
    caller = _fresh(tight, scope)
    first = caller.call(*sent)
    assert first.status_code in {200, 201, 422}
    assert first.headers[POLICY] == f'"{policy}";q=1;w={LONG}'
    assert _refused(caller.call(*sent))


def test_taking_back_is_never_refused(tight):
    """Withdrawals, closures and erasures go on however many there were, and whatever else the caller did."""
    caller = _fresh(tight, "consents:write", "subjects:erase")
    assert caller.call("POST", "/v1/consent-links", {}).status_code == 422
    assert _refused(caller.call("POST", "/v1/consent-links", {}))
    for _ in range(3):
        for path in ("/v1/withdrawals", "/v1/subjects/closures", "/v1/subjects/erasures"):
            answer = caller.call("POST", path, {"subject": subject("alice")})
            assert (answer.status_code, LIMIT in answer.headers) == (200, False)


def test_refused_attempts_are_counted_before_they_are_recorded(tight):
    """A caller without the scope uses up its quota like any other: it does not write the trail for ever."""
    caller, (*_, database) = _fresh(tight, "audit:read"), tight
    assert caller.call("POST", "/v1/processings", processing("x")).status_code == 403
    before = len(trail(database))
    assert _refused(caller.call("POST", "/v1/processings", processing("x")))
    assert len(trail(database)) == before


@pytest.mark.parametrize(
    "sent", [("/v1/processings?sinse=1", {}), ("/v1/processings", b"{"), ("/v1/processings", b"[]")]
)
def test_what_cannot_be_read_is_counted_too(tight, sent):
    """What is wrong with a query or a body is told to a caller that the route admits, and takes from its quota."""
    caller = _fresh(tight, "register:write")
    assert caller.call("POST", *sent).status_code in {400, 422}
    assert _refused(caller.call("POST", *sent))
    assert _fresh(tight, "audit:read").call("POST", *sent).status_code == 403


def test_what_is_refused_stores_nothing(tight):
    """A write that is refused with 429 stores nothing."""
    caller, (*_, database) = _fresh(tight, "register:write"), tight
    assert caller.call("POST", "/v1/processings", processing("kept")).status_code == 201
    assert _refused(caller.call("POST", "/v1/processings", processing("lost")))
    assert rows(database, "SELECT id FROM processing WHERE id IN ('kept', 'lost')") == [("kept",)]


def test_excepted_callers_are_not_limited(database):
    """A caller that the settings except is counted nowhere."""
    with running(database) as api:
        api.register("ads")
        made = api.ok("POST", "/v1/keys", {"name": "mail", "scopes": ["decisions:evaluate", "register:read"]})
    one = f"1/{LONG}"
    with running(database, rate_limits=f"decisions={one},searches={one},except={made['id']}") as api:
        for _ in range(3):
            for method, path, body in (("POST", ONE, question("alice", "ads")), ("GET", "/v1/processings", None)):
                answer = api.with_key(made["key"]).call(method, path, body)
                assert (answer.status_code, LIMIT in answer.headers) == (200, False)


def test_wrong_keys_are_refused_without_a_look(database):
    """Many wrong keys from one address end in 429; a key that was good here before goes on, by memory and by routes."""
    with running(database, rate_limits=f"unknown_keys=20/{LONG}") as api:
        api.register("ads")
        mail = api.with_key(api.new_key("decisions:evaluate"))
        assert mail.call("POST", ONE, question("alice", "ads")).status_code == 200
        late = api.new_key("register:read")
        statuses = [api.with_key(f"sceau_{number}").call("GET", "/v1/keys").status_code for number in range(25)]
        assert statuses == [401] * 20 + [429] * 5
        refused = api.with_key("sceau_another").call("POST", ONE, question("alice", "ads"))
        assert _refused(refused)
        assert refused.headers[POLICY] == f'"unknown-keys";q=20;w={LONG}'
        assert mail.call("POST", ONE, question("alice", "ads")).status_code == 200
        assert api.call("GET", "/v1/keys").status_code == 200
        assert api.with_key(late).call("GET", "/v1/processings").status_code == 429  # never seen here before
        for path in ("/livez", "/readyz", "/metrics", "/docs", "/.well-known/jwks.json", "/console/sign-in"):
            assert api.with_key(None).call("GET", path).status_code == 200


def test_a_stale_key_does_not_lock_out_who_shares_its_address(database):
    """A client that goes on with a wrong key, or without one, does not lock out a good key from its address."""
    with running(database, rate_limits=f"unknown_keys=20/{LONG}") as api:
        late = api.new_key("register:read")
        for key in ("sceau_stale", None):
            statuses = {api.with_key(key).call("GET", "/v1/keys").status_code for _ in range(30)}
            assert statuses == {401, 429}
        assert api.with_key(late).call("GET", "/v1/processings").status_code == 200


def test_behind_a_trusted_proxy_addresses_are_told_apart(database):
    """Clients that one proxy speaks for are bounded each by itself, on the word of that proxy alone."""
    with running(database, rate_limits=f"unknown_keys=20/{LONG}", trusted_proxies="127.0.0.1/32") as api:
        api.client._transport.client = ("127.0.0.1", 1)  # type: ignore[attr-defined]  # who connects
        late = api.with_key(api.new_key("register:read"))
        headers = {"X-Forwarded-For": "203.0.113.9"}
        statuses = [api.with_key(f"sceau_{n}").call("GET", "/v1/keys", headers=headers).status_code for n in range(25)]
        assert statuses[-1] == 429
        assert late.call("GET", "/v1/processings", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 429
        assert late.call("GET", "/v1/processings", headers={"X-Forwarded-For": "203.0.113.10"}).status_code == 200


def test_metrics_count_refusals_by_policy(database):
    """What was refused is told by policy, without a name."""
    with running(database, rate_limits=f"searches=1/{LONG},unknown_keys=10/{LONG}") as api:
        for _ in range(3):
            api.call("GET", "/v1/processings")
            api.with_key("sceau_x").call("GET", "/v1/keys")
        metrics = api.with_key(None).call("GET", "/metrics").text
    assert 'sceau_over_quota_total{policy="searches"} 2.0' in metrics
    assert 'sceau_over_quota_total{policy="unknown-keys"} 2.0' in metrics
    assert 'sceau_over_quota_total{policy="decisions"} 0.0' in metrics
    assert 'sceau_http_requests_total{method="GET",route="/v1/processings",status="429"} 2.0' in metrics
    assert "sceau_unread_total" in metrics


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate_limits", "many"),
        ("rate_limits", "searches=0/60"),
        ("rate_limits", "consents=60"),
        ("rate_limits", "administration=none"),
        ("rate_limits", "unknown_keys=1/0"),
        ("rate_limits", "letters=1/60"),
        ("rate_limits", "searches"),
        ("rate_limits", "searches=1/60,searches=off"),
        ("rate_limits", "except=mail server"),
        ("trusted_proxies", "10.0.0.0/8;fd00::/8"),
    ],
)
def test_a_wrong_limit_keeps_the_service_from_starting(monkeypatch, name, value):
    """A limit that cannot be read is refused by its name; it is never taken for none."""
    assert f"SCEAU_{name.upper()} must be " in refusal_of(monkeypatch, **{name: value})


def test_quotas_come_back(database):
    """A quota comes back after its window, by the process's clock and not by the database's."""
    with running(database, clock=TestClock(utc("2026-06-15T12:00:00Z")), rate_limits="searches=1/60") as api:
        assert api.call("GET", "/v1/processings").status_code == 200
        assert api.call("GET", "/v1/processings").status_code == 429
        limits = api.client.app.state.services.limits  # type: ignore[attr-defined]
        before = limits._clock
        limits._clock = lambda: before() + 60
        assert api.call("GET", "/v1/processings").status_code == 200
