"""The keys that sign decision tokens, as a process holds them: read at its start, and again every half minute.

Signing needs no database, so a token adds no round trip to a decision, and permits under III carry theirs while the
database is away. A new key is published before it signs, and an old one for as long as a token that it signed may live,
so that a verifier that keeps the published keys for a while can always verify.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.auth.callers import Caller
from app.core.decision import LONGEST_SECONDS, correspondence_hash, lifetime, subject_hash
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession
from app.keyring import DECISION_KEYS, WrappedKey, base64url, keys_in_force, signed_jws
from app.ledger.identifiers import VaultError
from app.operations.decisions.judging import Judged, Question, instant
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import opened

TOKEN_TYPE: Final = "sceau-decision+jwt"  # noqa: S105 - the `typ` of its header
KEPT_AT_MOST: Final = timedelta(minutes=5)
"""How long a verifier may keep the published keys."""
LEAD: Final = 2 * KEPT_AT_MOST
"""How long a new key is published before it signs, unless it is the only one."""
OVERLAP: Final = LEAD + timedelta(seconds=LONGEST_SECONDS) + KEPT_AT_MOST
"""How long older keys stay published beside a new one: until it signs, for the longest life of a token, and longer."""
_READ_AGAIN_SECONDS: Final = 30

log = structlog.get_logger("sceau.keys")


@dataclass(frozen=True, slots=True)
class _OpenKey:
    """A key that can sign."""

    stored: WrappedKey
    private: Ed25519PrivateKey = field(repr=False)


class DecisionTokens:
    """Signs decision tokens, and publishes the keys that verify them."""

    def __init__(self, database: Database, deployment: Deployment) -> None:
        """Hold no key yet."""
        self._database = database
        self._deployment = deployment
        self._open: Sequence[_OpenKey] = ()
        self.published: Sequence[WrappedKey] = ()

    async def read_keys(self, session: ReadSession) -> None:
        """Hold the keys that are in force now. One that its master key no longer opens is published only."""
        now = await session.instant()
        self.published = await keys_in_force(session, DECISION_KEYS, now)
        self._open = [each for key in self.published if (each := self._opened(key)) is not None]

    async def read_again(self) -> None:
        """Hold the keys that are in force now; while the database is away, keep those that are held."""
        with suppress(DatabaseUnavailableError):
            async with self._database.read() as session:
                await self.read_keys(session)

    async def keep(self) -> None:
        """Read the keys again every half minute."""
        while True:
            await asyncio.sleep(_READ_AGAIN_SECONDS)
            await self.read_again()

    def of(  # noqa: PLR0917 - what a token is bound to
        self, source: str, caller: Caller, at: float, question: Question, judged: Judged, identifier: UUID
    ) -> str | None:
        """Return the token of a permit that was given at an epoch time; None for a deny, or when none can be made.

        The ids that the caller sent stand in it as hashes made with the correspondence's handle, which it does not
        carry.
        """
        decision = judged.decision
        given_at = datetime.fromtimestamp(at, UTC)
        life = lifetime(given_at, decision.valid_until) if decision.permitted else None
        if life is None:
            return None
        issued, ends = life
        (kind, name), (of, handle) = question.subject_id, question.correspondence
        claims: dict[str, Any] = {
            "iss": source,
            "aud": str(caller.id),
            "jti": str(identifier),
            "iat": issued,
            "exp": ends,
            "processing": question.processing,
            "elements": sorted(decision.elements or ()),
            **({} if judged.subject_ref is None else {"subject_ref": judged.subject_ref.hex()}),
            "subject_type": kind,
            "subject_sha256": base64url(subject_hash(handle, name)),
            "correspondence_type": of,
            "correspondence_sha256": base64url(correspondence_hash(handle)),
            "reason": decision.reason.value,
        }
        if decision.valid_until is not None:
            claims["valid_until"] = instant(decision.valid_until)
        return self.sign(claims, given_at, datetime.fromtimestamp(ends, UTC))

    def sign(self, claims: Mapping[str, Any], at: datetime, ends: datetime) -> str | None:
        """Return a token of these claims, or None when no key can sign one.

        Args:
            claims: the payload.
            at: when it is issued.
            ends: when it ends; a key that retires sooner does not sign it.

        """
        standing = [key for key in self._open if key.stored.retires_at is None or key.stored.retires_at >= ends]
        ready = (key for key in standing if key.stored.created_at + LEAD <= at)
        key = next(ready, standing[-1] if standing else None)
        return None if key is None else signed_jws(key.private, str(key.stored.id), TOKEN_TYPE, claims)

    def _opened(self, key: WrappedKey) -> _OpenKey | None:
        try:
            return _OpenKey(key, Ed25519PrivateKey.from_private_bytes(opened(self._deployment, DECISION_KEYS, key)))
        except VaultError:
            log.error("a decision key cannot be opened: SCEAU_MASTER_KEY lacks its master key", key=str(key.id))  # noqa: TRY400 - the cause says nothing more
            return None
