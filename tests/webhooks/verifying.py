"""What a receiver does with a request: verify it as Standard Webhooks 1.0.0 says."""

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.clients.scenes import Came


def signed_by(public_key: str, request: Came, body: bytes | None = None) -> bool:
    """Whether one of a request's `v1a` signatures is this key's, over the body that came or over another one.

    The library has no `v1a` in Python: this is the specification's, on `cryptography`.
    """
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + (body or request.body)
    for version, _, signature in (each.partition(",") for each in headers["webhook-signature"].split(" ")):
        if version == "v1a":
            try:
                key.verify(base64.b64decode(signature), signed)
            except InvalidSignature:
                continue
            return True
    return False
