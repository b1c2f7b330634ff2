"""What an issuer must offer to be trusted, what becomes of a request while it is away, and what binds a sign-in.

Nothing here asks an issuer for anything.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be read now. `why` is a word for metrics and logs."""

    WORDS: Final = ("address", "connect", "discovery", "keys", "status", "timeout", "too_large", "waiting")

    def __init__(self, why: str) -> None:
        """Keep one of `WORDS`."""
        self.why = why
        super().__init__(why)


ALGORITHMS: Final = (
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
)
"""The algorithms that may be allowed. All are asymmetric: with a shared secret a verifier could sign too."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def is_safe(url: str) -> bool:
    """Return whether keys may be read there: over TLS, or from this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


class SignInFailedError(Exception):
    """The issuer refused, or its answer is not one that this browser asked for."""


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What ties an answer to the browser that asked: keyed hashes of one random value, which it keeps in a cookie.

    So nothing is kept here for people who never come back.
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def of(cls, cookie: str, keyed: Callable[[str, str], bytes]) -> "SignInAttempt":
        """Return the attempt of a cookie; `keyed` makes a keyed hash of a purpose and a text."""
        return cls(*(keyed(f"sign-in {part}", cookie).hex() for part in ("state", "nonce", "verifier")))

    @property
    def challenge(self) -> str:
        """What the issuer gets to know of the verifier (RFC 7636, 4.2, S256)."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
