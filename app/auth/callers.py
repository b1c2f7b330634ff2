"""Callers: authenticated clients of the API, what they may do, and about which processings."""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from app.core.errors import ProcessingNotAllowedError, ScopeMissingError


class Scope(StrEnum):
    """One permission of a caller."""

    AUDIT_READ = "audit:read"
    CONSENTS_IMPORT = "consents:import"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    DECISIONS_EVALUATE = "decisions:evaluate"
    DECISIONS_SEARCH = "decisions:search"
    DEPLOYMENT_RECOVER = "deployment:recover"
    EVENTS_ACKNOWLEDGE = "events:acknowledge"
    KEYS_MANAGE = "keys:manage"
    REGISTER_APPROVE = "register:approve"
    REGISTER_READ = "register:read"
    REGISTER_WRITE = "register:write"
    STAFF_WRITE = "staff:write"
    SUBJECTS_ERASE = "subjects:erase"
    SUBJECTS_READ = "subjects:read"
    WEBHOOKS_MANAGE = "webhooks:manage"


SCOPE_TOLD: Final[Mapping[Scope, str]] = {
    Scope.AUDIT_READ: "Read the decision log, explanations, the audit trail, job runs and the console's numbers.",
    Scope.CONSENTS_IMPORT: "Import what an older system recorded, each row at its own date.",
    Scope.CONSENTS_READ: "Read consents, their proof, the feed of events, and what is held about a person.",
    Scope.CONSENTS_WRITE: "Record consents, refusals, withdrawals and closures, and make links to the page.",
    Scope.DECISIONS_EVALUATE: "Ask whether a processing may analyse a correspondence: all that mail servers need.",
    Scope.DECISIONS_SEARCH: "List the users that a processing may analyse for, or the processings of a user.",
    Scope.DEPLOYMENT_RECOVER: "Say that a restored database has been dealt with, so that it answers again.",
    Scope.EVENTS_ACKNOWLEDGE: "Acknowledge that an analysis was stopped, or that derived data were erased.",
    Scope.KEYS_MANAGE: "Make, change, rotate and revoke callers and their keys.",
    Scope.REGISTER_APPROVE: "Approve or reject what another person proposed for the register.",
    Scope.REGISTER_READ: "Read the register: processings, their versions, controllers.",
    Scope.REGISTER_WRITE: "Register processings and controllers, add versions, suspend and retire.",
    Scope.STAFF_WRITE: "Publish the staff notice (L32-3, V), and note members and acknowledgements.",
    Scope.SUBJECTS_ERASE: "Erase a person's identifier from the vault.",
    Scope.SUBJECTS_READ: "Know who persons are: in the list of renewals, to remind them, and in the console.",
    Scope.WEBHOOKS_MANAGE: "Make, change and remove webhooks, see their deliveries, and send events again.",
}
"""Each scope in one sentence, for the API page and docs/reference/scopes.md."""


KEY_PREFIX: Final = "sceau_"
_KEY_BYTES: Final = 32


class CallerKind(StrEnum):
    """Whether a caller is a program or a person: a provider's staff have duties of their own (L32-3, V)."""

    MACHINE = "machine"
    PERSON = "person"


KEY_OVERLAP: Final = timedelta(days=7)
"""How long a rotated key of a caller, or of webhooks, is good beside its successor, unless the rotation says."""


def new_key() -> str:
    """A new API key: `sceau_` and 256 random bits, base64url."""
    return KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def without_scheme(text: str) -> str:
    """A credential without the word `Bearer` that was pasted with it: no key and no token holds a blank."""
    text = text.strip()
    return text[7:].strip() if text[:7].lower() == "bearer " else text


def bearer_of(authorization: str) -> str | None:
    """The credential in an `Authorization` of the scheme Bearer (RFC 6750, section 2.1); None if there is none."""
    scheme, _, text = authorization.partition(" ")
    return without_scheme(text) if scheme.lower() == "bearer" else None


def key_digest(key: str) -> bytes:
    """SHA-256 of a key: what is stored and looked up. A key is random, so it needs no salt and no slow hash."""
    return sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an issuer's tokens are about: their `iss` and `sub`, and the client that they were given to.

    In what is registered, `client` None takes the subject's tokens whichever client they were given to.
    """

    issuer: str
    subject: str
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token says that was found good.

    `ref` is the keyed reference of issuer and subject, by which its caller is found. `scopes` None: it does not narrow.
    From `until` on it is good for nothing. `signed_by` is the key's thumbprint.
    """

    ref: bytes
    client: str | None
    scopes: frozenset[Scope] | None
    until: datetime
    signed_by: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client. `processings` None: it may ask about every processing.

    `identity`: whose tokens it is known by; None for one that is known by keys.
    """

    id: UUID
    name: str
    scopes: frozenset[Scope]
    processings: frozenset[str] | None
    created_at: datetime
    created_by: UUID | None = None
    revoked_at: datetime | None = None
    kind: CallerKind = CallerKind.MACHINE
    identity: Identity | None = None

    def narrowed(self, scopes: frozenset[Scope] | None) -> "Caller":
        """The same caller with those of its scopes that are named; None names all."""
        return self if scopes is None else replace(self, scopes=self.scopes & scopes)

    def require(self, scope: Scope) -> None:
        """Refuse unless this caller has the scope.

        Raises:
            ScopeMissingError: it does not.

        """
        if scope not in self.scopes:
            message = f"This needs the scope {scope.value}, which the caller does not have."
            raise ScopeMissingError(message)

    def require_one_of(self, scopes: Collection[Scope]) -> None:
        """Refuse unless this caller has one of the scopes; none named is none needed.

        Raises:
            ScopeMissingError: it has none of them.

        """
        if scopes and self.scopes.isdisjoint(scopes):
            named = " or ".join(scope.value for scope in scopes)
            message = f"This needs the scope {named}, which the caller does not have."
            raise ScopeMissingError(message)

    def may_ask_about(self, processing: str) -> bool:
        """Whether the processing is one that this caller may name."""
        return self.processings is None or processing in self.processings

    def require_processing(self, processing: str | None) -> None:
        """Refuse unless this caller may name the processing; None stands for every processing.

        Raises:
            ProcessingNotAllowedError: it may not.

        """
        if self.processings is not None and (processing is None or processing not in self.processings):
            raise ProcessingNotAllowedError

    def covers(self, scopes: Iterable[Scope], processings: frozenset[str] | None) -> bool:
        """Whether this caller holds at least those scopes and processings itself."""
        enough = self.processings is None or (processings is not None and processings <= self.processings)
        return enough and frozenset(scopes) <= self.scopes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of a caller, without the key: good until `expires_at` (None: without end) or until it is revoked."""

    id: UUID
    caller: UUID
    created_at: datetime
    created_by: UUID | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Whether the key opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client presented: the SHA-256 by which it is remembered, and what it says if it is a token."""

    digest: bytes
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A caller as one of its credentials showed it: which one, and until when that one is good.

    `credential` is the id of a key, or of the caller itself where a token showed it; `signed_by` tells the token's key.
    `at` is when that was found, by the database's clock.
    """

    caller: Caller
    credential: UUID
    at: datetime
    until: datetime | None = None
    signed_by: str | None = None
