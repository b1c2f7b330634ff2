"""Signatures of Standard Webhooks 1.0.0: Ed25519 (`v1a`, RFC 8032) and HMAC-SHA-256 (`v1`), over the raw body.

What is signed is `{webhook-id}.{webhook-timestamp}.{body}`; the header is a space-delimited list, one signature for
each key in force, so that a key can be replaced without a receiver noticing.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_PREFIX: Final = "whpk_"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins, not one


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What signs a message: raw Ed25519 private keys (32 bytes each) and symmetric secrets, the newest first."""

    private_keys: Sequence[bytes] = field(repr=False)
    secrets: Sequence[bytes] = field(default=(), repr=False)


def public_text(raw: bytes) -> str:
    """A public key as the standard writes it: `whpk_` and base64."""
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def secret_text(raw: bytes) -> str:
    """A symmetric secret as the standard writes it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signature_headers(keys: SigningKeys, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message.

    Args:
        keys: what signs it.
        message: the id of the event, the same at each attempt; it holds no full stop.
        timestamp: when this attempt is made, in whole seconds since 1970.
        body: exactly what is sent.

    """
    signed = f"{message}.{timestamp}.".encode() + body
    made = [f"v1,{_text(hmac.digest(secret, signed, sha256))}" for secret in keys.secrets]
    made += [f"v1a,{_text(Ed25519PrivateKey.from_private_bytes(key).sign(signed))}" for key in keys.private_keys]
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(made)}


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()
