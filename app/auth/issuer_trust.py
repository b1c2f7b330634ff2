"""What an issuer of access tokens must offer to be trusted, and what becomes of a request while keys are away.

Nothing here fetches keys.
"""

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
    """Whether keys may be read there: over TLS, or from this machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
