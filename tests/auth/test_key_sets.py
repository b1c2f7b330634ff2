import json

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey
from joserfc.util import int_to_base64

from app.auth.issuer_trust import ALGORITHMS, IssuerUnavailableError
from app.auth.key_sets import read_key_set
from tests.support.issuer import new_key

EC, OKP, RSA = new_key("EC"), new_key("OKP"), new_key("RSA")


def _read(*jwks, allowed=ALGORITHMS):
    return read_key_set(json.dumps({"keys": list(jwks)}).encode(), allowed)


def _public(key, **more):
    return {**key.as_dict(private=False), **more}


def test_keys_fit_by_id_and_algorithm():
    """A key is found by its id and an algorithm of its kind, and by no other."""
    keys = _read(*map(_public, (EC, OKP, RSA)))
    assert [each.key_id for each in keys.fitting(EC.kid, "ES256")] == [EC.kid]
    assert [each.key_id for each in keys.fitting(RSA.kid, "PS384")] == [RSA.kid]
    assert [each.key_id for each in keys.fitting(OKP.kid, "EdDSA")] == [OKP.kid]
    for key_id, algorithm in ((EC.kid, "RS256"), (RSA.kid, "ES256"), (EC.kid, "ES384"), ("unknown", "ES256")):
        assert keys.fitting(key_id, algorithm) == []


def test_a_token_without_a_key_id_may_be_of_the_only_key():
    """No id means the one key that fits; with two of them it means none."""
    assert _read(_public(EC), _public(RSA)).fitting(None, "ES256")[0].key_id == EC.kid
    assert _read(_public(EC), _public(new_key("EC"))).fitting(None, "ES256") == []


UNUSABLE = {
    "for encryption": _public(EC, use="enc"),
    "for signing only": _public(EC, key_ops=["sign"]),
    "of another kind's algorithm": _public(EC, alg="RS256"),
    "of no algorithm": _public(EC, alg=7),
    "with a number for an id": _public(EC, kid=7),
    "with too long an id": _public(EC, kid="x" * 300),
    "no base64": _public(EC, x="!"),
    "no point of the curve": _public(EC, y=EC.as_dict(private=False)["x"]),
    "of no curve": _public(EC, crv="P-255"),
    "of another curve": _public(ECKey.generate_key("secp256k1", {"kid": "k"})),
    "for key agreement": _public(OKPKey.generate_key("X25519", {"kid": "k"})),
    "of a curve that EdDSA means elsewhere": _public(OKPKey.generate_key("Ed448", {"kid": "k"})),
    "a shared secret": OctKey.generate_key(256, {"kid": "k"}).as_dict(private=True),
    "too short": _public(RSA, n=RSA.as_dict(private=False)["n"][:170]),
    "too long": _public(RSA, n="_" * 3_000),
    "with too long an exponent": _public(RSA, e=int_to_base64((1 << 33) + 1)),
    "a number": _public(RSA, n=7),
    "of a kind to come": {"kty": "AKP", "kid": "k", "pub": "x"},
    "of no kind": {"kid": "k"},
    "nothing": {},
    "a text": "key",
    "null": None,
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_key_that_may_not_sign_is_passed_over(jwk):
    """Keys for other uses, shared secrets, weak, huge, broken and unknown ones are not used; others beside them are."""
    keys = _read(jwk, _public(OKP))
    assert [each.key_id for each in keys.keys] == [OKP.kid]


def test_only_allowed_algorithms_fit():
    """A key that fits none of the allowed algorithms is not used at all."""
    keys = _read(_public(EC), _public(RSA), allowed=["RS256"])
    assert [(each.key_id, each.algorithms) for each in keys.keys] == [(RSA.kid, {"RS256"})]


def test_a_key_s_own_algorithm_is_the_only_one():
    """A key that says which algorithm it is for fits no other of its kind."""
    keys = _read(_public(RSA, alg="PS256"))
    assert keys.fitting(RSA.kid, "PS256")
    assert keys.fitting(RSA.kid, "RS256") == []


def test_a_private_key_is_read_as_public():
    """An issuer that publishes its private key by mistake is read as if it had not: only the public half is kept."""
    (key,) = _read(EC.as_dict(private=True)).keys
    assert not key.key.is_private


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"\xff", b"[" * 100_000, b"<html>"],
    ids=lambda body: repr(body[:20]),
)
def test_a_document_that_is_no_key_set_is_refused(body):
    """What is no JWK Set is refused whole: it says nothing about keys."""
    with pytest.raises(IssuerUnavailableError):
        read_key_set(body, ALGORITHMS)
