"""Decision tokens that nobody gave: signed with a key of the tests, with claims as a test likes."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.mail.world import AUDIENCE, HANDLE_SECRET, TRAINING

ISSUER = "http://127.0.0.1:8080"  # as the README has it


def base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def handle_of(kind: str, user: str, name: str) -> str:
    """An opaque handle as the clients make it."""
    message = f"{kind}\n{user}\n{name}".encode()
    return hmac.new(HANDLE_SECRET.encode(), message, hashlib.sha256).hexdigest()[:32]


def claims_for(user: str, message: bytes, kind: str = "spam") -> dict[str, Any]:
    """The claims of a token that is in order, by docs/decision-tokens.md."""
    handle = handle_of(f"learn-{kind}", user, hashlib.sha256(message).hexdigest())
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 60,
        "processing": TRAINING,
        "elements": ["attachments", "content", "subject_line"],
        "reason": "consent_in_force",
        "subject_sha256": base64url(hashlib.sha256(f"{handle}\n{user}".encode()).digest()),
        "correspondence_sha256": base64url(hashlib.sha256(handle.encode()).digest()),
    }


class Forger:
    """Holds a key that Rspamd was told to trust."""

    def __init__(self) -> None:
        """Make the key."""
        self._key = Ed25519PrivateKey.generate()

    @property
    def key_set(self) -> str:
        """The public half as a JSON Web Key Set."""
        x = base64url(self._key.public_key().public_bytes_raw())
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "forged", "use": "sig", "x": x}]})

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        """A token with these claims; `header` replaces parts of what it should be."""
        head = {"alg": "EdDSA", "kid": "forged", "typ": "sceau-decision+jwt", **header}
        signed = ".".join(base64url(json.dumps(each).encode()) for each in (head, claims))
        return f"{signed}.{base64url(self._key.sign(signed.encode()))}"
