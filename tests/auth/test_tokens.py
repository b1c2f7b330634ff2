"""What a token must be and say: RFC 7519, RFC 9068, RFC 8725; each rule with a token that differs in that alone."""

import base64
import hmac
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from app.auth.callers import Scope
from app.auth.issuer_trust import ALGORITHMS
from app.auth.key_sets import KeySet, read_key_set
from app.auth.tokens import LONGEST_TOKEN, BadTokenError, TokenRules, looks_like_token, read_token, verify_token
from tests.support.issuer import AUDIENCE, issuing, new_key, ref_of

SKEW = 30.0
MINUTE = 60
DAY = 86_400  # parameters are made when tests are collected, long before they are used


@pytest.fixture(scope="module")
def issuer():
    """One provider for all tests of this file: it only signs."""
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def rules(issuer):
    """What is taken of it."""
    return TokenRules(
        frozenset({issuer.url}),
        ref_of,
        AUDIENCE,
        frozenset({"ES256", "EdDSA", "RS256", "PS256"}),
        frozenset({"at+jwt"}),
        SKEW,
    )


def _keys(*keys, allowed=ALGORITHMS) -> KeySet:
    return read_key_set(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode(), allowed)


def _check(issuer, rules, text, *, keys=None, at=None):
    token = read_token(text, rules)
    fitting = (keys or _keys(issuer.key)).fitting(token.key_id, token.algorithm)
    return verify_token(token, fitting, rules, at if at is not None else time.time())


def _why(issuer, rules, text, **more):
    with pytest.raises(BadTokenError) as caught:
        _check(issuer, rules, text, **more)
    assert caught.value.why in BadTokenError.WORDS
    return caught.value.why


def test_a_good_token_says_who_it_is_about(issuer, rules):
    """Issuer, subject, client and end are those of the claims; the end is later by what clocks may differ."""
    expiry = int(time.time()) + 300
    token = _check(issuer, rules, issuer.token("ada", exp=expiry))
    assert (token.ref, token.client) == (ref_of(issuer.url, "ada"), "console")
    assert token.until.timestamp() == expiry + SKEW
    assert token.scopes is None


@pytest.mark.parametrize("kind", ["EC", "OKP", "RSA"])
@pytest.mark.parametrize("name", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_each_kind_of_key_signs(issuer, rules, kind, name):
    """ES256, EdDSA and RS256 are verified, under every way of writing the type (RFC 9068, 2.1)."""
    key = KEYS[kind]
    assert _check(issuer, rules, issuer.token(key=key, header={"typ": name}), keys=_keys(key))


KEYS = {kind: new_key(kind) for kind in ("EC", "OKP", "RSA")}


@pytest.mark.parametrize(
    ("why", "claims"),
    [
        ("audience", {"aud": None}),
        ("audience", {"aud": "https://another.example"}),
        ("audience", {"aud": AUDIENCE + "/"}),
        ("audience", {"aud": []}),
        ("audience", {"aud": {"0": AUDIENCE}}),
        ("issuer", {"iss": None}),
        ("issuer", {"iss": "https://another.example"}),
        ("issuer", {"iss": ["x"]}),
        ("claims", {"exp": None}),
        ("claims", {"exp": "tomorrow"}),
        ("claims", {"exp": True}),
        ("claims", {"exp": -1}),
        ("claims", {"exp": 1e300}),
        ("claims", {"exp": int(time.time() * 1000)}),
        ("claims", {"nbf": int(time.time()) + DAY}),
        ("claims", {"nbf": "now"}),
        ("claims", {"iat": int(time.time()) + DAY}),
        ("claims", {"sub": None}),
        ("claims", {"sub": ""}),
        ("claims", {"sub": "x" * 256}),
        ("claims", {"sub": 7}),
        ("claims", {"sub": "a\nb"}),
        ("claims", {"client_id": 7}),
        ("bound", {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
        ("type", {"at_hash": "x"}),
        ("type", {"events": {}}),
        ("type", {"typ": "ID"}),
        ("type", {"typ": "Refresh"}),
    ],
)
def test_a_claim_that_is_wrong_is_refused(issuer, rules, why, claims):
    """Each of these claims alone makes a token bad; without it the same token is good (the test above)."""
    assert _why(issuer, rules, issuer.token(**claims)) == why


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["https://another.example", AUDIENCE]},
        {"client_id": None, "azp": "console"},
        {"client_id": None},
        {"typ": "Bearer"},
        {"nbf": int(time.time())},
        {"iat": None},
        {"exp": time.time() + DAY + 0.5},
        {"unknown": {"deep": [1, 2]}},
    ],
)
def test_what_the_standards_leave_open_is_taken(issuer, rules, claims):
    """One audience of several, `azp` for the client or none, times with a fraction, claims that mean nothing here."""
    assert _check(issuer, rules, issuer.token(**claims)).ref == ref_of(issuer.url, "ada")


def test_clocks_may_differ_by_the_skew_and_no_more(issuer, rules):
    """A token is good from its `nbf` less the skew up to its `exp` and the skew, exclusive."""
    now = float(int(time.time()))
    text = issuer.token(nbf=now, iat=now, exp=now + MINUTE)
    assert _check(issuer, rules, text, at=now - SKEW)
    assert _why(issuer, rules, text, at=now - SKEW - 0.001) == "claims"
    assert _check(issuer, rules, text, at=now + MINUTE + SKEW - 0.001)
    assert _why(issuer, rules, text, at=now + MINUTE + SKEW) == "expired"


@pytest.mark.parametrize("kind", ["JWT", "", None, "dpop+jwt", "logout+jwt", "at+jwt; x"])
def test_another_type_is_refused(issuer, rules, kind):
    """An ID token, a logout token and one that says nothing of its type are no access tokens (RFC 8725, 3.11)."""
    assert _why(issuer, rules, issuer.token(header={"typ": kind})) == "type"


def test_an_older_issuer_s_type_is_taken_where_it_is_said_so(issuer, rules):
    """With JWT among the types, an access token of that type is taken, and an ID token still is not."""
    older = TokenRules(rules.issuers, ref_of, AUDIENCE, rules.algorithms, frozenset({"at+jwt", "jwt"}), SKEW)
    assert _check(issuer, older, issuer.token(header={"typ": "JWT"}))
    assert _why(issuer, older, issuer.token(header={"typ": "JWT"}, typ="ID")) == "type"


OF_NO_CLIENT = {"client_id": None, "azp": "console"}


@pytest.mark.parametrize(
    "claims",
    [
        OF_NO_CLIENT,
        {"nonce": "n-0S6_WzA2Mj"},
        {"scope": "openid", "nonce": "n-0S6_WzA2Mj"},
        {"s_hash": "x"},
        {"token_use": "id"},
        {"typ": "ID", "scope": "openid"},
    ],
)
def test_an_id_token_of_an_older_issuer_is_refused(issuer, claims):
    """With JWT among the types, what an ID token has, and the lack of what access tokens have, is a refusal.

    `at_hash` is not in every ID token (OpenID Connect Core, 3.1.3.6), and the audience is often the same.
    """
    assert _why(issuer, _older(issuer), issuer.token(header={"typ": "JWT"}, **claims)) == "type"


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {**OF_NO_CLIENT, "scope": "register:read"},
        {**OF_NO_CLIENT, "scp": ["register:read"]},
        {**OF_NO_CLIENT, "token_use": "access"},
        {**OF_NO_CLIENT, "typ": "Bearer", "nonce": "n-0S6_WzA2Mj"},
    ],
)
def test_an_access_token_of_an_older_issuer_is_taken(issuer, claims):
    """The control: each of what tells an access token is enough; Keycloak's word outweighs the nonce that it copied."""
    assert _check(issuer, _older(issuer), issuer.token(header={"typ": "JWT"}, **claims))


def _older(issuer):
    types = frozenset({"at+jwt", "jwt"})
    return TokenRules(frozenset({issuer.url}), ref_of, AUDIENCE, frozenset({"ES256"}), types, SKEW)


def _unsigned(issuer, algorithm):
    return f"{_encoded({'alg': algorithm, 'typ': 'at+jwt'})}.{_encoded(issuer.claims())}."


def _encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_no_signature_is_no_proof(issuer, rules, algorithm):
    """`alg: none`, however it is written, is refused (RFC 8725, 3.2)."""
    assert _why(issuer, rules, _unsigned(issuer, algorithm)) == "algorithm"


def test_a_public_key_is_no_shared_secret(issuer, rules):
    """A token signed with HS256 by the issuer's public key is refused (RFC 8725, 2.1)."""
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': issuer.key.kid})}.{_encoded(issuer.claims())}"
    for secret in (issuer.key.as_pem(private=False), json.dumps(issuer.key.as_dict(private=False)).encode()):
        signature = hmac.digest(secret, signed.encode(), "sha256")
        assert _why(issuer, rules, f"{signed}.{_encoded(signature)}") == "algorithm"


def test_only_allowed_algorithms_are_taken(issuer, rules):
    """A key that could sign by another algorithm does so in vain, and an allowed list that has it takes it."""
    key = KEYS["RSA"]
    text = issuer.token(key=key, header={"alg": "RS512"})
    assert _why(issuer, rules, text, keys=_keys(key)) == "algorithm"
    wider = TokenRules(rules.issuers, ref_of, AUDIENCE, frozenset({"RS512"}), rules.types, SKEW)
    assert _check(issuer, wider, text, keys=_keys(key))


def test_another_s_signature_is_refused(issuer, rules):
    """A key of the same id and kind that the issuer never published signs in vain."""
    stranger = ECKey.generate_key("P-256", {"kid": issuer.key.kid})
    assert _why(issuer, rules, issuer.token(key=stranger)) == "signature"


def test_a_token_that_was_altered_is_refused(issuer, rules):
    """Another subject under the same signature is refused."""
    head, _, signature = issuer.token("ada").split(".")
    other = issuer.token("bob").split(".")[1]
    assert _why(issuer, rules, f"{head}.{other}.{signature}") == "signature"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"kid": 7},
        {"kid": ["x"]},
        {"typ": 7},
        {"alg": ["ES256"]},
    ],
)
def test_a_header_that_is_not_understood_is_refused(issuer, rules, header):
    """Extensions that must be understood (`crit`), and members of another type, are refused before any key is used."""
    head, claims, signature = issuer.token().split(".")
    members = {**json.loads(base64.urlsafe_b64decode(head + "==")), **header}
    assert _why(issuer, rules, f"{_encoded(members)}.{claims}.{signature}") in {"malformed", "type", "algorithm"}


def test_keys_that_a_token_brings_are_not_used(issuer, rules):
    """A key in the header, or the address of one, is passed over (RFC 8725, 3.10): the signature stays bad."""
    stranger = ECKey.generate_key("P-256", {"kid": issuer.key.kid})
    for header in ({"jwk": stranger.as_dict(private=False)}, {"jku": "https://stranger.example/keys"}):
        assert _why(issuer, rules, issuer.token(key=stranger, header=header)) == "signature"


def test_members_that_stand_twice_are_refused(issuer, rules):
    """Claims of which two readers could read different ones are refused, though the issuer signed them."""
    claims = json.dumps(issuer.claims())
    twice = claims[:-1] + ', "sub": "root"}'
    assert _why(issuer, rules, issuer.signed(twice.encode())) == "malformed"
    for payload in (b"[]", b'"x"', b"\xff", b"", b"[" * 3_000):
        assert _why(issuer, rules, issuer.signed(payload)) == "malformed"


def test_a_token_has_a_longest_length(issuer, rules):
    """A token of more than so many bytes is refused, whatever it says."""
    assert _check(issuer, rules, issuer.token(note="x" * 5_000))
    assert _why(issuer, rules, issuer.token(note="x" * LONGEST_TOKEN)) == "malformed"


@given(st.text(max_size=60) | st.lists(st.text(alphabet="eyJab_-=1.", max_size=30)).map(".".join))
def test_any_text_is_refused_in_words(text):
    """Whatever is shown, it is a bad token and no failure."""
    rules = TokenRules(frozenset({"x"}), ref_of, AUDIENCE, frozenset({"ES256"}), frozenset({"at+jwt"}), SKEW)
    with pytest.raises(BadTokenError):
        read_token(text, rules)


def test_a_key_does_not_look_like_a_token(issuer):
    """Tokens are told from API keys by their form."""
    assert looks_like_token(issuer.token())
    assert not looks_like_token("sceau_" + "x" * 43)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, None),
        ({"scope": "register:read audit:read"}, {Scope.REGISTER_READ, Scope.AUDIT_READ}),
        ({"scope": "openid profile register:read"}, {Scope.REGISTER_READ}),
        ({"scope": "openid profile"}, set()),
        ({"scope": ""}, set()),
        ({"scp": ["register:read", "x"]}, {Scope.REGISTER_READ}),
        ({"scope": ["register:read", 7]}, {Scope.REGISTER_READ}),
        ({"scope": 7}, set()),
        ({"scope": "REGISTER:READ"}, set()),
    ],
)
def test_a_scope_claim_narrows(issuer, rules, claims, scopes):
    """A token that speaks of scopes opens those that it names and no others; one that does not narrows nothing."""
    narrowed = _check(issuer, rules, issuer.token(**claims)).scopes
    assert narrowed == (None if scopes is None else frozenset(scopes))


def test_a_scope_claim_may_be_ignored(issuer, rules):
    """Where the deployment says so, what an issuer puts into every token narrows nothing."""
    ignoring = TokenRules(rules.issuers, ref_of, AUDIENCE, rules.algorithms, rules.types, SKEW, scopes_narrow=False)
    assert _check(issuer, ignoring, issuer.token(scope="openid profile")).scopes is None
