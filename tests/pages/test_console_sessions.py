from datetime import timedelta

import pytest

from app.auth.callers import Quota
from app.auth.sessions import session_digest
from tests.support.api import BOOTSTRAP, TestClock, running, utc
from tests.support.console import COOKIE, SITE, Visitor, forget_attempts
from tests.support.databases import rows

START = "2026-06-15T10:00:00Z"
TITLE, SIGN_IN = "<h1>Console</h1>", "<h1>Console: sign in</h1>"


@pytest.fixture
def visitor(shared):
    """A browser without a session, at a deployment without any failed attempt to sign in."""
    forget_attempts(shared)
    return Visitor(shared)


def sessions(database):
    """Every session kept, as text."""
    return rows(database, "SELECT token_sha256, page_session::text FROM page_session ORDER BY 1")


def test_signing_in_and_out(shared, visitor, shared_database):
    """A key of the scope opens the console; signing out closes it, also for who kept the cookie."""
    before = sessions(shared_database)
    page = visitor.sign_in(shared.new_key("audit:read"))
    assert TITLE in page.html
    token = shared.client.cookies[COOKIE]
    assert [digest for digest, _ in set(sessions(shared_database)) - set(before)] == [session_digest(token)]
    assert SIGN_IN in visitor.post("/console/sign-out", {"proof": page.proof}).html
    assert sessions(shared_database) == before
    shared.client.cookies.clear()
    assert SIGN_IN in visitor.get(Cookie=f"{COOKIE}={token}").html


def test_the_cookie_is_bound(shared, visitor):
    """Cookies go to this host alone, over TLS, from its own pages, and scripts do not see them."""
    proof = visitor.get("/console/sign-in").proof
    sent = {"proof": proof, "key": BOOTSTRAP}
    answer = shared.client.post(f"{SITE}/console/sign-in", data=sent, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console?lang=fr"
    kept = next(each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE))
    assert {part.strip().lower() for part in kept.split(";")[1:]} == {"httponly", "path=/", "samesite=strict", "secure"}


def test_the_sign_in_tells_of_cookies(visitor):
    """The page sets a cookie for its form before there is a session, and says so."""
    page = visitor.get("/console/sign-in")
    assert "only cookies that it needs" in page.text()


def test_over_plain_http_the_cookie_has_no_prefix(database):
    """Where the public address is plain HTTP, a cookie with the prefix would be dropped by the browser."""
    with running(database, public_url="http://127.0.0.1:8080") as api:
        answer = api.client.get("/console/sign-in")
    assert answer.headers["set-cookie"].startswith("sceau_form=")
    assert "secure" not in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("key", ["sceau_" + "x" * 43, "", "é", "x" * 600])
def test_a_wrong_key(visitor, key):
    """A missing, wrong or too long key shows the form again, which says so and does not repeat the key."""
    page = visitor.sign_in(key)
    assert page.status == 403
    assert "That key is not valid." in page.text()
    assert not key or key not in page.html
    assert SIGN_IN in visitor.get().html


def test_a_key_without_the_scope(shared, visitor):
    """A key that only asks and records opens nothing."""
    page = visitor.sign_in(shared.new_key("decisions:evaluate", "consents:write"))
    assert page.status == 403
    assert "opens no page of the console" in page.text()
    assert SIGN_IN in visitor.get().html


def test_a_revoked_key_ends_its_sessions_at_once(shared, visitor):
    """Revoking a key closes what it opened at the very next request, and it opens nothing any more."""
    made = shared.ok("POST", "/v1/keys", {"name": "operator", "scopes": ["audit:read"]})
    assert TITLE in visitor.sign_in(made["key"]).html
    shared.ok("DELETE", f"/v1/keys/{made['id']}")
    assert SIGN_IN in visitor.get().html
    assert visitor.sign_in(made["key"]).status == 403


def test_a_session_ends_by_itself(database):
    """After half an hour without a request, or twelve hours in all, the key is asked for again."""
    clock = TestClock(utc(START))
    with running(database, clock=clock) as api:
        visitor = Visitor(api)
        visitor.sign_in()
        for at in ("2026-06-15T10:29:00Z", "2026-06-15T10:58:00Z"):
            clock.at = utc(at)
            assert TITLE in visitor.get().html
        clock.at = utc("2026-06-15T11:28:01Z")
        assert SIGN_IN in visitor.get().html
        assert TITLE in visitor.sign_in().html
        while clock.at < utc("2026-06-15T23:00:00Z"):
            clock.at += timedelta(minutes=25)
            assert TITLE in visitor.get().html
        clock.at = utc("2026-06-15T23:28:02Z")
        assert SIGN_IN in visitor.get().html


def test_sessions_that_are_over_are_removed(database):
    """Signing in removes sessions that are over."""
    clock = TestClock(utc(START))
    with running(database, clock=clock) as api:
        for at in (START, "2026-06-15T12:00:00Z"):
            clock.at = utc(at)
            Visitor(api).sign_in()
    assert len(sessions(database)) == 1


def test_forms_of_other_browsers_and_sites_are_refused(shared, visitor, shared_database):
    """A form without this browser's cookie, with another's value, or from another site signs no one in or out."""
    before = sessions(shared_database)
    proof = visitor.get("/console/sign-in").proof
    fields = {"proof": proof, "key": BOOTSTRAP}
    assert visitor.post("/console/sign-in", fields, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert visitor.post("/console/sign-in", {**fields, "proof": "0" * 64}).status == 400
    assert visitor.post("/console/sign-in", {**fields, "more": "1"}).status == 400
    shared.client.cookies.clear()
    assert visitor.post("/console/sign-in", fields).status == 400
    assert sessions(shared_database) == before
    page = visitor.sign_in()
    assert visitor.post("/console/sign-out", {"proof": proof}).status == 400
    assert visitor.post("/console/sign-out", {"proof": page.proof}, **{"Sec-Fetch-Site": "same-site"}).status == 403
    assert len(sessions(shared_database)) == len(before) + 1


def test_attempts_are_bounded(shared, visitor):
    """After so many wrong keys the next is not looked at, right or wrong, until some time has passed."""
    bound = shared.client.app.state.services.sign_ins.quota
    assert bound == Quota(10, 300)
    for _ in range(bound.units):
        assert visitor.sign_in("wrong").status == 403
    page = visitor.sign_in()
    assert page.status == 429
    assert "Too many keys were tried" in page.text()


def test_right_keys_do_not_count(visitor):
    """Signing in with a key in force uses up nothing."""
    assert [visitor.sign_in().status for _ in range(12)] == [200] * 12


def test_the_key_stands_nowhere(shared, visitor, shared_database, capfd):
    """Neither the pages, nor their addresses, nor the log, nor the session's row has the key or the token."""
    key = shared.new_key("audit:read")
    page = visitor.sign_in(key)
    traces = page.html + visitor.get().html + str(sessions(shared_database)) + "".join(capfd.readouterr())
    for secret in (key, shared.client.cookies[COOKIE]):
        assert secret not in traces
