"""A decision token permits exactly what it was given for, and only while its key and its time last."""

import json
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sceau_client import Client, Element, Question, Subject, tokens
from sceau_client.tokens import TokenVerifier
from tests.clients.scenes import LETTER, dripping_body, dripping_headers, endless_body, saying, scene, silent
from tests.faults.service import eventually

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
HANDLE = LETTER.handle(Subject("alice"))
QUESTION = Question("alice", "training", LETTER, elements=[Element.CONTENT])
ISSUER = "https://sceau.example.fr"


def encoded(value):
    """Base64url without padding: of bytes, or of a value as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).decode().rstrip("=")


def claims(**changes):
    """The claims of a token for the question, some of them changed (or left out: None)."""
    now = int(time.time())
    payload = {
        "iss": ISSUER,
        "aud": "caller-1",
        "iat": now,
        "exp": now + 60,
        "processing": "training",
        "elements": ["content", "subject_line"],
        "reason": "consent_in_force",
        "subject_type": "user",
        "subject_sha256": encoded(sha256(f"{HANDLE}\nalice".encode()).digest()),
        "correspondence_type": "correspondence",
        "correspondence_sha256": encoded(sha256(HANDLE.encode()).digest()),
    }
    return {name: value for name, value in {**payload, **changes}.items() if value is not None}


def token(payload=None, key=KEY, **header):
    """A token of claims."""
    head = {"alg": "EdDSA", "kid": "k1", "typ": "sceau-decision+jwt", **header}
    signed = f"{encoded(head)}.{encoded(claims() if payload is None else payload)}"
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def published(**keys):
    """What publishes keys by their ids."""
    jwks = [
        {"kty": "OKP", "crv": "Ed25519", "kid": name, "x": encoded(key.public_key().public_bytes_raw())}
        for name, key in keys.items()
    ]
    return saying({"keys": jwks})


@pytest.fixture(scope="module")
def server(stage):
    """A server that publishes keys."""
    return stage.enter(scene(published(k1=KEY)))


@pytest.fixture
def verifier(server):
    """A verifier of tokens that were given to one caller."""
    server.behave = published(k1=KEY)
    server.came.clear()
    return TokenVerifier(server.url, "caller-1", issuer=ISSUER)


def test_a_token_for_the_question_permits_until_it_ends(verifier):
    """The control of all refusals below."""
    payload = claims()
    decision = verifier.verify(token(payload), QUESTION)
    assert decision
    assert (decision.reason, decision.valid_until.timestamp()) == ("consent_in_force", payload["exp"])


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://else.example"},
        {"aud": "caller-2"},
        {"processing": "ads-mail"},
        {"subject_type": "mxid"},
        {"subject_sha256": encoded(sha256(f"{HANDLE}\nbob".encode()).digest())},
        {"correspondence_type": "conversation"},
        {"correspondence_sha256": encoded(sha256(b"another").digest())},
        {"elements": ["subject_line"]},
        {"elements": "content"},
        {"elements": None},
        {"exp": 0},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 9999999999.5},
        {"iat": None},
        {"iat": 9999999998, "exp": 9999999999},
        {"aud": ["caller-1"]},
        {"subject_sha256": None},
    ],
    ids=str,
)
def test_a_token_for_anything_else_does_not(verifier, change):
    """Each claim that binds a token is looked at."""
    assert verifier.verify(token(claims(**change)), QUESTION).reason == "token_not_valid"


@pytest.mark.parametrize(
    "forged",
    [
        token(key=OTHER),
        token(kid="k2"),
        token(kid=7),
        token(typ="JWT"),
        token(alg="none"),
        token(alg="HS256"),
        token()[:-4] + "AAAA",
        token() + "=",
        ".".join([*token().split(".")[:2], ""]),
        token().rpartition(".")[0],
        token([]),
        "permit",
        "..",
        "é.é.é",
        "a" * 100_000,
    ],
    ids=range(15),
)
def test_what_this_sceau_did_not_sign_does_not(verifier, forged):
    """Another key, another kind of token, another algorithm, a signature that is none: no permit, and no exception."""
    assert verifier.verify(forged, QUESTION).reason == "token_not_valid"


def test_a_question_that_a_human_would_read_is_not_permitted(verifier):
    """A token is about machines."""
    human = Question("alice", "training", LETTER, elements=[Element.CONTENT], automated=False)
    assert not verifier.verify(token(), human)


def test_elements_must_be_named(verifier):
    """A question for all that is declared cannot be held against a token."""
    with pytest.raises(ValueError, match="elements"):
        verifier.verify(token(), Question("alice", "training", LETTER))


def test_the_keys_are_kept(verifier, server):
    """One fetch serves many tokens."""
    assert [bool(verifier.verify(token(), QUESTION)) for _ in range(3)] == [True] * 3
    assert [request.line for request in server.came] == ["GET /.well-known/jwks.json HTTP/1.1"]


def test_an_unknown_key_is_asked_for_once_a_minute(verifier, server):
    """Forged tokens do not make a verifier fetch again and again; a new key is found a minute later."""
    assert verifier.verify(token(), QUESTION)
    server.behave = published(k1=KEY, k2=OTHER)
    for _ in range(3):
        assert not verifier.verify(token(key=OTHER, kid="k2"), QUESTION)
    assert len(server.came) == 1
    verifier._tried_at -= 61
    assert verifier.verify(token(key=OTHER, kid="k2"), QUESTION)


def test_a_key_that_is_published_no_more_is_forgotten(verifier, server):
    """After five minutes the keys are fetched anew: what is gone is gone."""
    assert verifier.verify(token(), QUESTION)
    server.behave = published(k2=OTHER)
    verifier._fetched_at -= 301
    verifier._tried_at -= 301
    assert not verifier.verify(token(), QUESTION)


@pytest.mark.parametrize("behave", [silent, dripping_headers, dripping_body, endless_body])
def test_keys_that_do_not_come_to_an_end_are_not_waited_for(verifier, server, monkeypatch, behave):
    """A server that is silent, or sends a little again and again, holds up a token for the time of one fetch.

    Proven by order: a client that is more patient still waits. The tokens after it are denied without another fetch.
    """
    monkeypatch.setattr(tokens, "_FETCH_SECONDS", 0.1)
    server.behave = silent
    with closing(Client(server.url, "key", refresh=None, deadline=30)) as patient, ThreadPoolExecutor(4) as pool:
        waiting = pool.submit(patient.evaluate, QUESTION)
        eventually(lambda: server.came)
        server.behave = behave
        denied = list(pool.map(lambda _: verifier.verify(token(), QUESTION).reason, range(3)))
        still = not waiting.done()
        patient.close()
    assert still
    assert denied == ["token_not_valid"] * 3
    # A busy server may not have read the one request for the keys before the client hung up.
    assert [request.line[:4] for request in server.came] in (["POST"], ["POST", "GET "])


async def test_a_token_is_verified_within_an_event_loop(verifier):
    """It waits there as elsewhere; better is `asyncio.to_thread`."""
    assert verifier.verify(token(), QUESTION)


@pytest.mark.parametrize(
    "answer", [saying({}, 503), saying(b"[]"), saying({"keys": [7]}), saying({"keys": [{"kid": "k1"}]})]
)
def test_keys_that_cannot_be_had_permit_nothing(verifier, server, answer):
    """No keys, no permit; the next attempt may succeed."""
    server.behave = answer
    assert not verifier.verify(token(), QUESTION)
    server.behave = published(k1=KEY)
    verifier._tried_at -= 2
    assert verifier.verify(token(), QUESTION)
