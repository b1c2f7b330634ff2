import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256

import psycopg
import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from app.operations.decisions.tokens import LEAD, OVERLAP
from tests.support.api import question, running, subject
from tests.support.databases import execute, new_database, rows

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # by a later RFC than many verifiers know

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
ASKS = {"context": {"decision_token": True}}
NOWHERE = "01990000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def pdp(shared):
    """One processing of each kind; alice consented to the two of IV, and to one of them for the subject line only."""
    shared.register("ads")
    shared.register("training", purpose="service_improvement", party_mode="all_local_users")
    shared.register("spam", purpose="unsolicited_content_detection")
    shared.decide("alice", "ads")
    shared.decide("alice", "training", elements=["subject_line"])
    return shared


def ask(pdp, name, identifier, **properties):
    """The context of the answer to a question that asks for a token."""
    return pdp.ok("POST", ONE, {**question(name, identifier, **properties), **ASKS})["context"]


def verified(pdp, token):
    """The header and the claims of a token that the published keys verify, with another library than the service's."""
    keys = KeySet.import_key_set(pdp.ok("GET", "/.well-known/jwks.json"))
    read = jwt.decode(token, keys, algorithms=["EdDSA"])
    return read.header, read.claims


def hashed(text):
    """Base64url, without padding, of a text's SHA-256."""
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip("=")


def test_a_permit_under_iv_carries_a_token_bound_to_all_that_it_says(pdp):
    """Issuer, caller, decision, processing, elements, user, correspondence, reason and deadlines are its claims."""
    before = int(time.time())
    body = question("alice", "ads", elements=["subject_line", "content"])
    body["resource"]["id"] = "poignée-1"
    context = pdp.ok("POST", ONE, {**body, **ASKS})["context"]
    header, claims = verified(pdp, context["decision_token"])
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("EdDSA", "sceau-decision+jwt")
    who = pdp.ok("GET", "/v1/keys")["items"][0]
    consent = pdp.ok("POST", "/v1/consents/search", {"subject": subject("alice"), "processing": "ads"})["items"][0]
    issued = claims.pop("iat")
    assert before - 5 <= issued <= time.time() + 5
    assert claims == {
        "iss": "https://sceau.example.fr",
        "aud": who["id"],
        "jti": context["id"],
        "exp": issued + 60,
        "processing": "ads",
        "elements": ["content", "subject_line"],
        "subject_ref": consent["subject_ref"],
        "subject_type": "user",
        "subject_sha256": hashed("poignée-1\nalice"),
        "correspondence_type": "correspondence",
        "correspondence_sha256": hashed("poignée-1"),
        "reason": "consent_in_force",
        "valid_until": context["valid_until"],
    }
    assert "alice" not in json.dumps(claims)


def test_a_permit_under_iii_carries_one_without_a_deadline_of_its_own(pdp):
    """An exempt processing's token covers all that it declares and has no `valid_until`."""
    _, claims = verified(pdp, ask(pdp, "nobody", "spam")["decision_token"])
    assert (claims["reason"], claims["elements"]) == ("exempt", ["content", "subject_line"])
    assert "valid_until" not in claims
    assert claims["exp"] == claims["iat"] + 60


@pytest.mark.parametrize(
    ("name", "identifier", "properties"),
    [
        ("bob", "ads", {}),
        ("alice", "nowhere", {}),
        ("alice", "ads", {"automated": False}),
        ("alice", "ads", {"elements": ["attachments"]}),
        ("alice", "training", {"elements": ["subject_line"]}),
        ("alice", "training", {"elements": ["content"], "participants": []}),
        ("nobody", "spam", {"private": False, "automated": False}),
    ],
)
def test_a_deny_never_carries_one(pdp, name, identifier, properties):
    """A deny has no token, for any reason."""
    answer = pdp.ok("POST", ONE, {**question(name, identifier, **properties), **ASKS})
    assert answer["decision"] is False
    assert "decision_token" not in answer["context"]


@pytest.mark.parametrize("context", [{}, {"decision_token": False}, {"other": True}])
def test_without_the_opt_in_there_is_none(pdp, context):
    """Only `decision_token: true` asks for one."""
    answer = pdp.ok("POST", ONE, {**question("alice", "ads"), "context": context})
    assert answer["decision"] is True
    assert "decision_token" not in answer["context"]


@pytest.mark.parametrize("opt_in", [1, "true", None, {}, []])
def test_an_opt_in_that_is_no_boolean_is_refused(pdp, opt_in):
    """`decision_token` is true or false: anything else is a 400 that names it, and never a quiet no."""
    answer = pdp.call("POST", ONE, {**question("alice", "ads"), "context": {"decision_token": opt_in}})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "context.decision_token"


def test_each_item_of_a_batch_asks_by_its_own_or_its_inherited_context(pdp):
    """An item's own context replaces the default one whole, the opt-in with it."""
    items = [{}, {"context": {}}, {"action": {"name": "spam"}}, {"subject": {"type": "user", "id": "bob"}}]
    body = {**question("alice", "ads"), "evaluations": [*items, {"context": {"decision_token": "x"}}]}
    opted = pdp.ok("POST", MANY, {**body, **ASKS})["evaluations"]
    assert [each["decision"] for each in opted] == [True, True, True, False, False]
    assert ["decision_token" in each["context"] for each in opted] == [True, False, True, False, False]
    assert opted[4]["context"]["error"]["status"] == 400
    tokens = [verified(pdp, opted[place]["context"]["decision_token"])[1] for place in (0, 2)]
    assert [each["jti"] for each in tokens] == [opted[place]["context"]["id"] for place in (0, 2)]
    own = pdp.ok("POST", MANY, {**body, "evaluations": [{}, ASKS]})["evaluations"]
    assert ["decision_token" in each["context"] for each in own] == [False, True]


def test_a_token_names_the_caller_that_asked(pdp):
    """The tokens of two callers have two audiences."""
    other = pdp.with_key(pdp.new_key("decisions:evaluate"))
    audiences = {verified(pdp, ask(each, "alice", "ads")["decision_token"])[1]["aud"] for each in (pdp, other)}
    assert len(audiences) == 2


def test_a_plain_answer_carries_none(pdp):
    """A plain-text answer is one word, without the token that was asked for."""
    answer = pdp.call("POST", ONE, {**question("alice", "ads"), **ASKS}, {"Accept": "text/plain"})
    assert answer.text == "permit"


def test_a_token_answers_nothing_at_sceau(pdp):
    """A token in place of a key is a 401, and a token in the context turns no deny into a permit."""
    token = ask(pdp, "alice", "ads")["decision_token"]
    assert pdp.with_key(token).call("POST", ONE, question("alice", "ads")).status_code == 401
    shown = {**question("bob", "ads"), "context": {"decision_token": True, "token": token}}
    assert pdp.ok("POST", ONE, shown)["decision"] is False


def test_an_altered_token_is_not_verified(pdp):
    """Control: the published keys do not verify a token whose claims were changed."""
    head, claims, signature = ask(pdp, "alice", "ads")["decision_token"].split(".")
    read = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    forged = urlsafe_b64encode(json.dumps({**read, "processing": "training"}).encode()).decode().rstrip("=")
    with pytest.raises(BadSignatureError):
        verified(pdp, f"{head}.{forged}.{signature}")


def test_the_published_keys_hold_public_halves_only(pdp):
    """The key set is JSON that may be kept for five minutes, of Ed25519 keys without `d`."""
    answer = pdp.with_key(None).call("GET", "/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("OKP", "Ed25519", "sig", "EdDSA")


def test_the_published_keys_may_be_asked_for_by_head(pdp):
    """A client that looks first whether its copy is old, as Rspamd does, gets the headers of a GET and no body."""
    head, get = (pdp.with_key(None).call(method, "/.well-known/jwks.json") for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "cache-control", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_a_token_ends_with_its_permit(clocked, clock):
    """A token ends when its permit ends, and there is no token once the permit has ended."""
    clocked.register("ads")
    until = datetime.fromisoformat(clocked.decide("alice", "ads")["expires_at"])
    clock.at = until - timedelta(seconds=20, milliseconds=500)
    token = ask(clocked, "alice", "ads")["decision_token"]
    _, claims = verified(clocked, token)
    assert claims["exp"] == int(until.timestamp())
    assert claims["exp"] - claims["iat"] == 21  # `iat` is the whole second before
    clock.at = until - timedelta(milliseconds=1)
    assert "decision_token" in ask(clocked, "alice", "ads")
    clock.at = until
    assert "decision_token" not in ask(clocked, "alice", "ads")


def rotate(api, **how):
    """Rotate the key, and return the new one's `kid`."""
    return api.ok("POST", "/v1/signing-keys", {"use": "decision_tokens", **how})["id"]


def kid(token):
    """The `kid` of a token."""
    head = token.split(".")[0]
    return json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def published(api):
    """The `kid` of each published key, the newest first."""
    return [key["kid"] for key in api.ok("GET", "/.well-known/jwks.json")["keys"]]


@pytest.fixture
def keys(database, clock):
    """An application whose keys may be rotated; its clock is one that tests set, at the time of the database."""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        (clock.at,) = connection.execute("SELECT clock_timestamp()").fetchall()[0]
    with running(database, clock=clock) as api:
        api.register("spam", purpose="unsolicited_content_detection")
        yield api


def test_a_new_key_is_published_before_it_signs(keys, clock):
    """The earlier key signs for a while after a rotation, so that clients with a copy of the old key set can verify."""
    (old,) = published(keys)
    new = rotate(keys)
    assert published(keys) == [new, old]
    assert kid(ask(keys, "x", "spam")["decision_token"]) == old
    clock.at += LEAD + timedelta(minutes=1)
    assert kid(ask(keys, "x", "spam")["decision_token"]) == new


def test_an_old_key_goes_once_what_it_signed_has_ended(keys, database):
    """An old key is published for longer than its last token lives, and is gone once it has retired."""
    assert LEAD + timedelta(seconds=60) <= OVERLAP
    (old,) = published(keys)
    new = rotate(keys)
    execute(database, "UPDATE decision_key SET retires_at = now() WHERE retires_at IS NOT NULL")
    keys.client.portal.call(keys.client.app.state.services.tokens.read_again)
    assert published(keys) == [new]
    assert old not in published(keys)


def test_a_leaked_key_goes_at_once(keys):
    """After a rotation at once, the new key signs, and tokens of the earlier keys are no longer verified."""
    token = ask(keys, "x", "spam")["decision_token"]
    rotate(keys)
    new = rotate(keys, at_once=True)
    assert published(keys) == [new]
    assert kid(ask(keys, "x", "spam")["decision_token"]) == new
    with pytest.raises(InvalidKeyIdError):
        verified(keys, token)


def test_rotation_is_for_callers_of_every_processing(pdp):
    """A caller limited to some processings may not rotate the key of all."""
    limited = pdp.with_key(pdp.new_key("keys:manage", processings=["spam"]))
    assert limited.call("POST", "/v1/signing-keys", {"use": "decision_tokens"}).status_code == 403


@pytest.mark.parametrize(
    ("scope", "other", "uses"),
    [
        ("keys:manage", "webhooks:manage", [{"use": "webhooks"}, {"use": "webhook_secret", "webhook": NOWHERE}]),
        ("webhooks:manage", "keys:manage", [{"use": "decision_tokens"}]),
    ],
)
def test_each_use_of_a_key_has_its_own_scope(pdp, scope, other, uses):
    """A caller with the scope of one use is refused each other use; the missing scope is named, and no key is made."""
    before, caller = published(pdp), pdp.with_key(pdp.new_key(scope))
    for use in uses:
        answer = caller.call("POST", "/v1/signing-keys", use)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:scope-missing")
        assert other in answer.json()["detail"]
    assert published(pdp) == before
    assert pdp.ok("GET", "/.well-known/webhook-keys") == {"keys": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "use"),
        ({"use": "nothing-we-know"}, "use"),
        ({"use": "webhook_secret"}, "webhook"),
        ({"use": "webhooks", "webhook": NOWHERE}, "webhook"),
        ({"use": "webhooks", "at_once": True}, "at_once"),
        ({"use": "decision_tokens", "at_once": "yes"}, "at_once"),
    ],
)
def test_what_belongs_to_another_use_is_refused(pdp, body, field):
    """422 names the member that is missing or is of another use, and repeats nothing that was sent."""
    answer = pdp.call("POST", "/v1/signing-keys", body)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field])
    assert "nothing-we-know" not in answer.text


def test_the_private_half_is_wrapped(keys, database):
    """The private half is not stored in the clear, and a process without its master key signs nothing."""
    tokens = keys.client.app.state.services.tokens
    private = tokens._open[0].private.private_bytes_raw()
    stored = rows(database, "SELECT wrapped_key, public_key FROM decision_key")
    assert all(private not in bytes(each) for row in stored for each in row)
    execute(database, "UPDATE decision_key SET master_key_id = 'gone'")
    keys.client.portal.call(tokens.read_again)
    answer = keys.ok("POST", ONE, {**question("x", "spam"), **ASKS})
    assert answer["decision"] is True
    assert "decision_token" not in answer["context"]


def test_each_start_finds_the_key_that_the_first_one_made():
    """Tokens of one process are verified by the keys that another publishes, and a durable log changes nothing."""
    with new_database() as database:
        with running(database) as first:
            first.agreed("ads", "alice")
            token = ask(first, "alice", "ads")["decision_token"]
            made = published(first)
        with running(database, decision_log="durable") as second:
            assert published(second) == made
            assert verified(second, token)[1]["reason"] == "consent_in_force"
            assert "decision_token" in ask(second, "alice", "ads")
