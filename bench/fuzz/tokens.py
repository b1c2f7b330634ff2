"""Decision tokens in answers: each signed by a published key, and bound to the very question, caller and decision."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.core.consent import EventKind
from bench.fuzz.facts import Facts, Holder, instant, reference
from bench.fuzz.oracle import Item

_LONGEST: Final = 60


@dataclass(slots=True)
class Tokens:
    """Checks tokens with the keys in the facts; `refs` are the pseudonyms seen, by subject."""

    facts: Facts
    checked: int = 0
    refs: dict[tuple[bytes, int], str] = field(default_factory=dict)

    def wrong(self, token: str | None, item: Item, holder: Holder, number: UUID, context: dict[str, Any]) -> str | None:
        """What is wrong with the token of a decision, or with there being one, or none."""
        if token is None:
            return None if item.asked is None or _ends_soon(context) else "there is no token"
        if item.asked is None:
            return "there is a token"
        claims = self._claims(token)
        if claims is None:
            return "its token is not signed by a key that is published"
        self.checked += 1
        asked = json.loads(item.asked)
        subject, resource = asked["subject"], asked["resource"]
        wanted = {
            "aud": holder.identifier,
            "jti": str(number),
            "processing": asked["action"]["name"],
            "elements": asked["elements"],
            "subject_type": subject["type"],
            "subject_sha256": _hash(f"{resource['id']}\n{subject['id']}"),
            "correspondence_type": resource["type"],
            "correspondence_sha256": _hash(resource["id"]),
            "reason": context["reason"],
        }
        for name, value in wanted.items():
            if claims.get(name) != value:
                return f"its token's {name} is {claims.get(name)}, not {value}"
        if claims.get("valid_until") != context.get("valid_until") or not 0 < claims["exp"] - claims["iat"] <= _LONGEST:
            return "its token lives too long"
        shown = claims.get("subject_ref")  # None under III: nothing is looked up about anybody
        account = reference(subject["type"], subject["id"])
        closed = sum(event.kind is EventKind.CLOSED for event in self.facts.events.get(account, ()))
        known = shown and self.refs.setdefault((account, closed), shown)
        return None if known == shown else "its token is about another subject"

    def _claims(self, token: str) -> dict[str, Any] | None:
        head, claims, signature = token.split(".")
        key = self.facts.jwks.get(json.loads(_decoded(head))["kid"])
        if key is None:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(_decoded(signature), f"{head}.{claims}".encode())
        except InvalidSignature:
            return None
        found: dict[str, Any] = json.loads(_decoded(claims))
        return found


def published(jwks: dict[str, Any]) -> dict[str, bytes]:
    """The keys of a JSON Web Key Set."""
    return {key["kid"]: _decoded(key["x"]) for key in jwks["keys"]}


def _ends_soon(context: dict[str, Any]) -> bool:
    """Whether a permit ends so soon that a token of it would live no whole second."""
    until = context.get("valid_until")
    return until is not None and instant(until) - datetime.now(UTC) < timedelta(seconds=2)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
