"""Signing in to the console with an account of an issuer: to the issuer, back, and what does not count as an answer."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc.jwk import ECKey

from app.auth.sessions import session_digest
from tests.support.acts import trail
from tests.support.api import BOOTSTRAP, running
from tests.support.console import COOKIE, SITE, Seen, Visitor, forget_attempts
from tests.support.databases import new_database, rows
from tests.support.issuer import issuing

START, ANSWER = "/console/sign-in/account", "/console/sign-in/answer"
CLIENT: dict[str, Any] = {"console_client": "sceau-console", "public_url": SITE}


@pytest.fixture(scope="module")
def issuer():
    """An issuer, shared by the tests of this file."""
    with issuing() as made:
        yield made


@pytest.fixture
def provider(issuer):
    """That issuer, at which Ada signs in at once."""
    issuer.who, issuer.id_claims, issuer.mode, issuer.secret = "ada", {}, "good", None
    return issuer


@pytest.fixture(scope="module")
def place(issuer):
    """A deployment whose console takes accounts of that issuer, and knows Ada's; its database."""
    with new_database() as database, running(database, **issuer.settings, **CLIENT) as called:
        known(called, issuer, "ada", "audit:read", "register:read")
        yield called, database


@pytest.fixture
def api(place):
    """That deployment, without any failed attempt to sign in."""
    forget_attempts(place[0])
    return place[0]


def known(api, provider, subject, *scopes, client=None):
    """Register an account; its caller's id."""
    body = {"name": subject.title(), "kind": "person", "scopes": list(scopes)}
    identity = {"issuer": provider.url, "subject": subject, **({"client": client} if client else {})}
    return api.ok("POST", "/v1/keys", {**body, "identity": identity})["id"]


def begun(visitor, provider):
    """Go to the issuer: what it is asked, and where it would send the browser back to."""
    answer = visitor.client.get(f"{SITE}{START}?lang=en", follow_redirects=False)
    assert answer.status_code == 303
    query = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    return query, provider.authorize(query)


def back(visitor, address):
    """Come back from the issuer."""
    return Seen(visitor.client.get(address, follow_redirects=False))


def tried(visitor, provider):
    """Go to the issuer and come back: the page that follows."""
    return back(visitor, begun(visitor, provider)[1])


def signed_in(visitor, provider):
    """Sign in."""
    page = tried(visitor, provider)
    assert page.status == 200, page.text()


def test_there_and_back(api, provider, place):
    """The issuer is asked with state, nonce and PKCE; the answer begins a session of the registered account."""
    visitor = Visitor(api)
    query, address = begun(visitor, provider)
    assert (query["response_type"], query["scope"], query["code_challenge_method"]) == ("code", "openid", "S256")
    assert (query["client_id"], query["redirect_uri"]) == ("sceau-console", f"{SITE}{ANSWER}")
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    page = back(visitor, address)
    assert re.search(r'<meta http-equiv="refresh" content="0; url=/console\?lang=fr">', page.html)
    assert "<h1>Console</h1>" in visitor.get().html
    assert "Ada" in visitor.get().text()
    assert trail(place[1])[-1]["act"] == "console.signed_in"


def test_a_confidential_client_shows_its_secret(database, provider):
    """A confidential client exchanges the code with its secret, and a wrong secret signs no one in."""
    with running(database, **provider.settings, **{**CLIENT, "console_client": "sceau-console s3cret&more"}) as api:
        known(api, provider, "ada", "audit:read")
        for provider.secret, status in (("another", 403), ("s3cret&more", 200)):
            assert tried(Visitor(api), provider).status == status


def test_no_key_opens_the_console_then(api):
    """A console with an issuer asks for no key and refuses one that is sent."""
    visitor = Visitor(api)
    page = visitor.get("/console/sign-in")
    assert 'name="key"' not in page.html
    assert START in page.html
    refused = visitor.post("/console/sign-in", {"proof": "x", "key": BOOTSTRAP})
    assert refused.status == 403
    assert 'name="key"' in visitor.get("/staff/sign-in").html  # the staff notice takes keys and tokens as before


def test_without_a_client_keys_sign_in(database, provider):
    """An issuer alone changes nothing: the page asks for a key, and there is no way to the issuer."""
    with running(database, **provider.settings) as api:
        visitor = Visitor(api)
        assert 'name="key"' in visitor.get("/console/sign-in").html
        assert visitor.client.get(f"{SITE}{START}").status_code == 404


def test_an_unknown_account_is_told(api, provider):
    """An unregistered account, or one without a scope of the console, cannot sign in, and the page says so."""
    known(api, provider, "eve", "decisions:evaluate")
    for who in ("mallory", "eve"):
        provider.who = who
        visitor = Visitor(api)
        page = tried(visitor, provider)
        assert page.status == 403
        assert "Ce compte n'a aucun droit dans la console." in page.text()
        assert COOKIE not in visitor.client.cookies


def test_an_account_of_another_client_is_not_let_in(api, provider):
    """An account that is registered for one client's tokens is not let in by the console's."""
    known(api, provider, "ben", "audit:read", client="mail-tool")
    known(api, provider, "cleo", "audit:read", client="sceau-console")
    for who, status in (("ben", 403), ("cleo", 200)):
        provider.who = who
        assert tried(Visitor(api), provider).status == status


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["sceau-console", "another"]},
        {"azp": "another"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"sub": None},
    ],
)
def test_an_id_token_that_is_not_for_this(api, provider, claims):
    """A token of another sign-in, client, issuer or time begins no session; the control is the token as it is."""
    provider.id_claims = claims
    visitor = Visitor(api)
    assert tried(visitor, provider).status == 403
    provider.id_claims = {}
    assert tried(visitor, provider).status == 200


def test_a_forged_signature_begins_nothing(api, provider, monkeypatch):
    """A token that is signed by a key which the issuer does not publish is worth nothing."""
    visitor = Visitor(api)
    with monkeypatch.context() as patch:
        patch.setattr(provider, "key", ECKey.generate_key("P-256", {"kid": provider.key.kid}))
        assert tried(visitor, provider).status == 403
    assert tried(visitor, provider).status == 200


def sessions(place):
    """How many sessions are kept."""
    return rows(place[1], "SELECT count(*) FROM page_session")


def test_an_answer_counts_in_the_browser_that_asked(api, provider, place):
    """An answer counts only in the browser that asked, with its state, and once."""
    [(before,)] = sessions(place)
    victim, attacker = Visitor(api), Visitor(api)
    _, mine = begun(attacker, provider)
    attacker.client.cookies.clear()
    assert back(victim, mine).status == 403  # no attempt of this browser
    _, _address = begun(victim, provider)
    assert back(victim, mine).status == 403  # an attempt, and another's answer
    _, address = begun(victim, provider)
    assert back(victim, re.sub(r"state=\w+", "state=" + "0" * 64, address)).status == 403
    assert back(victim, address.replace("iss=http", "iss=https")).status == 403
    assert back(victim, re.sub(r"&iss=[^&]*", "", address)).status == 403  # the issuer says that it names itself
    assert back(victim, address).status == 200
    victim.client.cookies.clear()
    assert back(victim, address).status == 403  # the code is used up, and the cookie gone
    assert sessions(place) == [(before + 1,)]


def test_cookies_of_the_way(api, provider):
    """The cookie of the attempt comes back with the browser from the issuer; that of the session never does."""
    visitor = Visitor(api)
    sent = visitor.client.get(f"{SITE}{START}", follow_redirects=False)
    flow = sent.headers["set-cookie"].lower()
    assert flow.startswith("__host-sceau_flow=")
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= {each.strip() for each in flow.split(";")}
    address = provider.authorize(dict(parse_qsl(urlsplit(sent.headers["location"]).query)))
    answer = visitor.client.get(address, follow_redirects=False)
    session = next(each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE)).lower()
    assert "samesite=strict" in session
    assert session_digest(visitor.client.cookies[COOKIE])


def test_the_session_ends_with_the_account(api, provider):
    """Scopes that the account loses are gone at the next page, and a revoked account is signed out."""
    identifier = known(api, provider, "dora", "audit:read", "register:read")
    provider.who = "dora"
    visitor = Visitor(api)
    signed_in(visitor, provider)
    assert visitor.get("/console/register").status == 200
    api.ok("PATCH", f"/v1/keys/{identifier}", {"scopes": ["audit:read"]})
    assert visitor.get("/console/register").status == 403
    api.ok("DELETE", f"/v1/keys/{identifier}")
    assert START in visitor.get("/console").html


def test_signing_out_leads_on_to_the_issuer(api, provider):
    """Signing out ends the session here, and offers to sign out at the issuer too."""
    visitor = Visitor(api)
    signed_in(visitor, provider)
    page = visitor.post("/console/sign-out", {"proof": visitor.get().proof})
    assert "You are signed out of the console." in page.text()
    assert f"{provider.url}/end?client_id=sceau-console" in page.html
    assert START in visitor.get("/console").html


def test_an_issuer_that_is_away_is_told(database, provider):
    """While the issuer does not answer, the page says why signing in is not possible."""
    provider.mode = "error"
    with running(database, **provider.settings, **CLIENT) as api:
        page = Visitor(api).get(START)
    assert page.status == 503
    assert "The identity provider does not answer" in page.text()


def test_what_the_issuer_refuses(api, provider):
    """An answer without a code, as after a cancel, leads back to the sign-in page; too many are not processed."""
    visitor = Visitor(api)
    query, _ = begun(visitor, provider)
    refused = f"{SITE}{ANSWER}?error=access_denied&state={query['state']}&lang=en"
    page = back(visitor, refused)
    assert page.status == 403
    assert "Signing in did not succeed." in page.text()
    for _ in range(10):
        page = back(visitor, refused)
    assert page.status == 429


def test_nothing_of_it_is_logged(api, provider, capfd):
    """Neither the code, nor state, nor the subject stand in the log."""
    visitor = Visitor(api)
    query, address = begun(visitor, provider)
    back(visitor, address)
    printed = "".join(capfd.readouterr())
    for secret in (query["state"], "code-", provider.who + '"'):
        assert secret not in printed


def test_an_answer_that_nobody_asked_for_costs_nobody_a_sign_in(api, provider):
    """Unasked answers from an issuer, in any number, do not keep the next person from signing in."""
    visitor = Visitor(api)
    for _ in range(30):
        assert back(visitor, f"{SITE}{ANSWER}?code=x&state=y").status == 403
    signed_in(visitor, provider)


def test_a_second_sign_in_ends_the_first(api, provider):
    """A browser's session ends when it begins to sign in a second time."""
    visitor = Visitor(api)
    signed_in(visitor, provider)
    before = visitor.client.cookies[COOKIE]
    begun(visitor, provider)
    visitor.client.cookies.set(COOKIE, before)
    assert visitor.client.get(f"{SITE}/console", follow_redirects=False).status_code == 303
