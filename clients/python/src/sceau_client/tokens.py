"""Verify decision tokens, where Sceau cannot be asked (`sceau-client[tokens]`; Sceau's docs/decision-tokens.md).

Call Sceau if you can: a token outlives a withdrawal, by at most a minute.
"""

import asyncio
import hmac
import json
import math
import ssl
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sceau_client.decisions import Decision
from sceau_client.questions import Question
from sceau_client.service import USUAL, Connections, service_url
from sceau_client.wire import CORRESPONDENCE
from sceau_client.words import Outcome

_PATH: Final = "/.well-known/jwks.json"
_KEPT_SECONDS: Final = 300
_AGAIN_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 1
_FETCH_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 0.25
_LONGEST_KEYS: Final = 64 * 1024
_SKEW_SECONDS: Final = 5
_LONGEST_TOKEN: Final = 8_192
_NO: Final = Decision(outcome=Outcome.DENY, reason="token_not_valid", local=True)


class TokenVerifier:
    """Tells whether a token permits what is about to be done. From any thread; in asyncio use `asyncio.to_thread`.

    The keys are fetched when they are needed: again after five minutes, and on an unknown key once a minute at most.
    That takes two seconds at most, in which other tokens wait; without keys it is tried again a second later.
    """

    def __init__(self, url: str, caller: str, *, issuer: str | None = None, connections: Connections = USUAL) -> None:
        """Verify tokens of the service at `url`, given to the caller of this id.

        `issuer` is Sceau's public address, where it is another than `url`.
        """
        base = service_url(url, plain_http=connections.plain_http)
        self._url = base.copy_with(path=base.path.rstrip("/") + _PATH)
        self._verify: ssl.SSLContext | bool = connections.ssl_context or True
        self._issuer = (issuer or url).rstrip("/")
        self._caller = caller
        self._lock = threading.Lock()
        self._keys: Mapping[str, Ed25519PublicKey] = {}
        self._fetched_at = self._tried_at = -math.inf

    def verify(self, token: str, question: Question) -> Decision:
        """A permit until the token ends, if it answers this question; else a deny (`token_not_valid`).

        Raises:
            ValueError: the question names no elements: say which ones will be read.

        """
        if not question.elements:
            raise ValueError("a token is verified for elements that are named")
        claims = self._claims(token)
        if claims is None or not self._answers(claims, question):
            return _NO
        ends = datetime.fromtimestamp(claims["exp"], UTC)
        reason = claims["reason"] if isinstance(claims.get("reason"), str) else None
        decision = Decision(outcome=Outcome.PERMIT, reason=reason, valid_until=ends, local=True)
        return decision or _NO

    def _claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token, if a key of this Sceau signed it."""
        parts = token.split(".")
        if len(parts) != len(("header", "payload", "signature")) or len(token) > _LONGEST_TOKEN:
            return None
        try:
            header, claims = json.loads(_bytes(parts[0])), json.loads(_bytes(parts[1]))
            if header["typ"] != "sceau-decision+jwt" or header["alg"] != "EdDSA" or not isinstance(claims, dict):
                return None
            key = self._key(str(header["kid"]))
            if key is None:
                return None
            key.verify(_bytes(parts[2]), f"{parts[0]}.{parts[1]}".encode())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidSignature):
            return None
        return claims

    def _answers(self, claims: Mapping[str, Any], question: Question) -> bool:
        """Whether these claims permit the question now."""
        handle = question.correspondence.handle(question.subject)
        expected = {
            "iss": self._issuer,
            "aud": self._caller,
            "processing": question.processing,
            "subject_type": question.subject.type,
            "subject_sha256": _hash(f"{handle}\n{question.subject.id}"),
            "correspondence_type": CORRESPONDENCE,
            "correspondence_sha256": _hash(handle),
        }
        elements, begins, ends = claims.get("elements"), claims.get("iat"), claims.get("exp")
        return (
            all(_same(claims.get(name), value) for name, value in expected.items())
            and question.automated
            and isinstance(elements, list)
            and all(element in elements for element in question.elements)
            and type(begins) is int
            and type(ends) is int
            and begins - _SKEW_SECONDS <= time.time() < ends
        )

    def _key(self, identifier: str) -> Ed25519PublicKey | None:
        now = time.monotonic()
        with self._lock:
            if now - self._fetched_at > _KEPT_SECONDS:
                self._keys = {}
            pause = _AGAIN_SECONDS if self._keys else _PAUSE_SECONDS
            if identifier not in self._keys and now - self._tried_at > pause:
                fetched = self._fetch()
                self._tried_at = time.monotonic()  # who waited meanwhile does not try in turn
                if fetched is not None:
                    self._keys, self._fetched_at = fetched, now
            return self._keys.get(identifier)

    def _fetch(self) -> Mapping[str, Ed25519PublicKey] | None:
        """Fetch the keys that Sceau publishes; None if that fails within the time allowed for it."""
        found: list[Mapping[str, Ed25519PublicKey] | None] = []

        def fetch() -> None:
            with suppress(OSError, RuntimeError):  # no file is left for an event loop
                found.append(asyncio.run(self._published()))

        # On an event loop, where one deadline bounds everything; in a thread, since the caller may be on a loop
        # already, and because the look-up of a name cannot be cut short: then the thread is left to it.
        thread = threading.Thread(target=fetch, name="sceau-client keys", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            return None
        thread.join(_FETCH_SECONDS + _GRACE_SECONDS)
        return found[0] if found else None

    async def _published(self) -> Mapping[str, Ed25519PublicKey] | None:
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_FETCH_SECONDS),
                httpx2.AsyncClient(verify=self._verify, trust_env=False, timeout=None) as http,  # bounded above
                http.stream("GET", self._url) as answer,
            ):
                async for part in answer.raise_for_status().aiter_bytes():
                    body += part
                    if len(body) > _LONGEST_KEYS:
                        return None
            keys = json.loads(body)["keys"]
            return {key["kid"]: _public(key) for key in keys if key["kty"] == "OKP" and key["crv"] == "Ed25519"}
        except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


def _public(key: Mapping[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))


def _hash(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode("utf-8", "surrogatepass")).digest()).decode().rstrip("=")


def _same(found: object, expected: str) -> bool:
    return isinstance(found, str) and hmac.compare_digest(found.encode(), expected.encode())


def _bytes(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515), and refuse everything else."""
    found = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(found).decode().rstrip("=") != text:
        raise ValueError("not base64url")
    return found
