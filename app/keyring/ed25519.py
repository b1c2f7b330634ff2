"""Ed25519 (RFC 8032) as the deployment uses it: new keys, and compact JWS signed by them (RFC 7515, RFC 8037)."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ALGORITHM: Final = "EdDSA"
"""Of JWS (RFC 8037, section 3.1); with a key on this curve it says Ed25519."""


def new_private_key() -> tuple[bytes, bytes]:
    """A new Ed25519 key: its raw private and public halves, 32 bytes each."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed_jws(key: Ed25519PrivateKey, identifier: str, kind: str, claims: Mapping[str, Any]) -> str:
    """A compact JWS of claims.

    Args:
        key: what signs.
        identifier: its `kid`.
        kind: the `typ` of the header, by which one kind of token is never taken for another (RFC 8725, 3.11).
        claims: the payload, as JSON.

    """
    header = {"alg": ALGORITHM, "kid": identifier, "typ": kind}
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{base64url(key.sign(signed.encode()))}"


def public_jwk(identifier: str, public: bytes) -> dict[str, str]:
    """The public half of a key as a JSON Web Key (RFC 7517; RFC 8037, section 2)."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64url(public),
        "kid": identifier,
        "use": "sig",
        "alg": ALGORITHM,
    }


def base64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
