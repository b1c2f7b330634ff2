"""Callers: authenticated clients of the API, what they may do, about which processings, and how often."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from math import ceil
from typing import Final, Self
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
"""How long a rotated key of a caller, or of webhooks, is good beside its successor, unless stated otherwise."""


def new_key() -> str:
    """Return a new API key: `sceau_` and 256 random bits, base64url."""
    return KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def without_scheme(text: str) -> str:
    """Return a credential without a `Bearer` that was pasted with it: no key and no token holds a blank."""
    text = text.strip()
    return text[7:].strip() if text[:7].lower() == "bearer " else text


def bearer_of(authorization: str) -> str | None:
    """Return the credential in an `Authorization` of the scheme Bearer (RFC 6750, section 2.1); None without one."""
    scheme, _, text = authorization.partition(" ")
    return without_scheme(text) if scheme.lower() == "bearer" else None


def key_digest(key: str) -> bytes:
    """Return the SHA-256 of a key, which is stored and looked up. A key is random: no salt, no slow hash is needed."""
    return sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an issuer's tokens are about: their `iss` and `sub`, and the client that they were issued to.

    When registered with `client` None, it takes the subject's tokens issued to any client.
    """

    issuer: str
    subject: str
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid access token says.

    `ref` is the keyed reference of issuer and subject, by which its caller is found. `scopes` None: it does not narrow.
    `until`: when it ends. `signed_by` is the key's thumbprint.
    """

    ref: bytes
    client: str | None
    scopes: frozenset[Scope] | None
    until: datetime
    signed_by: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client. `processings` None: it may ask about every processing.

    `identity`: the one whose tokens it is known by; None for a caller that is known by keys.
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
        """Return the same caller with those of its scopes that are named; None names all."""
        return self if scopes is None else replace(self, scopes=self.scopes & scopes)

    def require(self, *scopes: Scope) -> None:
        """Refuse unless this caller has one of the scopes; if none is named, it has none of them.

        Raises:
            ScopeMissingError: it has none of them.

        """
        if self.scopes.isdisjoint(scopes):
            named = " or ".join(scope.value for scope in scopes)
            message = f"This needs the scope {named}, which the caller does not have."
            raise ScopeMissingError(message)

    def may_ask_about(self, processing: str) -> bool:
        """Return whether this caller may name the processing."""
        return self.processings is None or processing in self.processings

    def require_processing(self, processing: str | None) -> None:
        """Refuse unless this caller may name the processing; None stands for every processing.

        Raises:
            ProcessingNotAllowedError: it may not.

        """
        if self.processings is not None and (processing is None or processing not in self.processings):
            raise ProcessingNotAllowedError

    def covers(self, scopes: Iterable[Scope], processings: frozenset[str] | None) -> bool:
        """Return whether this caller holds at least those scopes and processings itself."""
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
        """Return whether the key opens anything at an instant."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client presented: its SHA-256, by which it is remembered, and what it says if it is a token."""

    digest: bytes
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A caller as found by one of its credentials: which one, and until when that is good.

    `credential` is the id of a key, or of the caller itself if it showed a token; `signed_by`: the key of that token.
    `at` is when that was found, by the database's clock.
    """

    caller: Caller
    credential: UUID
    at: datetime
    until: datetime | None = None
    signed_by: str | None = None


# How much each caller may ask: buckets that are charged, quotas, and a limit on unknown keys.

# Quotas: so many units within so many seconds, counted for each key by a bucket that refills steadily.
# Counted in this process alone, in plain numbers, and lost with it: no lock, no database. With several workers a
# client has a quota in each worker that it speaks to.

OFF: Final = "off"
_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})", re.ASCII)
_MOST_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """So many units within so many seconds; a client that was quiet may take all of them at once."""

    units: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return a quota as settings write it, such as `600/60`; None for `off`.

        Raises:
            ValueError: it is neither.

        """
        if text == OFF:
            return None
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise ValueError
        return cls(int(written[1]), int(written[2]))

    @property
    def rate(self) -> float:
        """Units that come back each second."""
        return self.units / self.seconds


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """How a client stands with a policy: whole units left, and the seconds until there is one (0: now)."""

    policy: str
    quota: Quota
    left: int
    wait: int

    def fields(self) -> tuple[str, str]:
        """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4).

        The effective window is the policy's own or, while nothing is left, the time to wait, so that a client that
        spreads the units left over the window stays within the quota.
        """
        window = self.wait or self.quota.seconds
        policy = f'"{self.policy}";q={self.quota.units};w={self.quota.seconds}'
        return policy, f'"{self.policy}";r={self.left};t={window}'


class UnauthorizedError(Exception):
    """No credential in force. `presented`: a credential was sent, and it is not in force."""

    def __init__(self, *, presented: bool = False) -> None:
        """Say whether anything was shown."""
        self.presented = presented
        super().__init__()


class OverQuotaError(Exception):
    """A client has used up a quota."""

    def __init__(self, standing: QuotaStatus) -> None:
        """Keep the quota's status."""
        super().__init__()
        self.standing = standing


class Buckets:
    """One policy's buckets by key. Times are seconds of a clock that only goes forward."""

    def __init__(self, policy: str, quota: Quota, *, most: int = _MOST_KEYS) -> None:
        """Begin with every bucket full; remember at most `most` keys."""
        self.policy = policy
        self.quota = quota
        self._most = most
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._levels)

    def standing(self, key: Hashable, now: float) -> QuotaStatus:
        """Return how a key stands."""
        return self._standing(self._level(key, now))

    def take(self, key: Hashable, now: float, units: int = 1) -> QuotaStatus:
        """Take units, if one is left; those beyond are owed, so that a large request is not refused for ever.

        Raises:
            OverQuotaError: none is left; nothing was taken.

        """
        level = self._level(key, now)
        if level < 1:
            raise OverQuotaError(self._standing(level))
        if key not in self._levels and len(self._levels) >= self._most:
            self._forget(now)
        self._levels[key] = (level - units, now)
        return self._standing(level - units)

    def _level(self, key: Hashable, now: float) -> float:
        level, at = self._levels.get(key, (float(self.quota.units), now))
        return min(self.quota.units, level + (now - at) * self.quota.rate)

    def _standing(self, level: float) -> QuotaStatus:
        wait = ceil((1 - level) / self.quota.rate) if level < 1 else 0
        return QuotaStatus(self.policy, self.quota, max(0, int(level)), wait)

    def _forget(self, now: float) -> None:
        """Forget the keys whose quota is full again; if more than half of `most` remain, also the oldest of them."""
        kept = {key: level for key, level in self._levels.items() if self._level(key, now) < self.quota.units}
        half = self._most // 2
        self._levels = dict(list(kept.items())[-half:]) if len(kept) > half else kept


# How often each caller may do what. What a person takes back, and what L32-3 III exempts, is not counted.
# Withdrawals, closures and erasures are never refused for their number: taking back must be as easy as giving.
# Questions about exempt processings are neither counted nor refused: the mail must not stop (law.md, trap 14).
class Counted(StrEnum):
    """What is counted together; each has its own quota, which bears this name in the RateLimit fields."""

    ADMINISTRATION = "administration"
    CONSENTS = "consents"
    DECISIONS = "decisions"
    SEARCHES = "searches"


_BY_SCOPE: Final[Mapping[Scope, Counted | None]] = {
    Scope.AUDIT_READ: Counted.SEARCHES,
    Scope.CONSENTS_IMPORT: Counted.CONSENTS,
    Scope.CONSENTS_READ: Counted.SEARCHES,
    Scope.CONSENTS_WRITE: Counted.CONSENTS,
    Scope.DECISIONS_EVALUATE: Counted.DECISIONS,
    Scope.DECISIONS_SEARCH: Counted.SEARCHES,
    Scope.REGISTER_READ: Counted.SEARCHES,
    Scope.SUBJECTS_ERASE: None,
}


def counted_by(scope: Scope) -> Counted | None:
    """Return what a route of that scope counts as, unless it says otherwise; None: it is not counted."""
    return _BY_SCOPE.get(scope, Counted.ADMINISTRATION)


class RateLimits:
    """The quotas of all callers."""

    def __init__(
        self,
        quotas: Mapping[Counted, Quota] | None = None,
        *,
        excepted: frozenset[UUID] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Limit what has a quota, for every caller that is not excepted; by default, limit nothing."""
        self._buckets = {of: Buckets(of.value, quota) for of, quota in (quotas or {}).items()}
        self._excepted = excepted
        self._clock = clock
        self.refused: Counter[Counted] = Counter()

    def limits(self, of: Counted) -> bool:
        """Return whether anything of this kind is limited."""
        return of in self._buckets

    def take(self, of: Counted, caller: UUID, units: int = 1) -> QuotaStatus | None:
        """Count for a caller; return what is left of its quota, None where no limit applies.

        Raises:
            OverQuotaError: its quota is used up, and only the refusal was counted.

        """
        buckets = self._buckets.get(of)
        if buckets is None or caller in self._excepted:
            return None
        try:
            return buckets.take(caller, self._clock(), units)
        except OverQuotaError:
            self.refused[of] += 1
            raise

    def used_up(self, of: Counted, caller: UUID) -> QuotaStatus | None:
        """Return the quota status of a caller whose next unit would be refused; None for one that may go on."""
        buckets = self._buckets.get(of)
        if buckets is None or caller in self._excepted:
            return None
        standing = buckets.standing(caller, self._clock())
        return standing if standing.wait else None


# Requests without a key in force are bounded by where they come from, so that guessing costs no database.
# Two bounds, so that one client does not lock out another behind the same address: a credential that is tried again
# and again uses up its own small quota first, and no longer counts for its address after that; and a credential that
# was good here before is never refused here, even if others from its address are. This decides nothing: a key is
# looked up as it always is.

POLICY: Final = "unknown-keys"
_SHARE: Final = 10
"""One credential may fail a tenth as often as an address."""
_MOST_KNOWN: Final = 10_000


class UnknownKeyLimiter:
    """Remembers which credentials failed lately, from which address, and which were good."""

    def __init__(self, quota: Quota | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without failures; without a quota no request is refused."""
        self._clock = clock
        self._peers = Buckets(POLICY, quota) if quota is not None else None
        own = Quota(max(1, quota.units // _SHARE), quota.seconds) if quota is not None else None
        self._credentials = Buckets(POLICY, own) if own is not None else None
        self._known: dict[bytes, None] = {}
        self.alert_until = 0.0
        """Until when some request may have to be refused; 0 nearly always, and most requests look at nothing else."""
        self.refused = 0

    def passed(self, credential: bytes) -> None:
        """Note that a credential (SHA-256 of what was presented) was good."""
        if credential not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known = dict.fromkeys(list(self._known)[_MOST_KNOWN // 2 :])
            self._known[credential] = None

    def failed(self, peer: str, credential: bytes) -> None:
        """Note that a request from an address was refused (401); its credential no longer counts as good."""
        self._known.pop(credential, None)
        if self._peers is None or self._credentials is None:
            return
        now = self._clock()
        try:
            own = self._credentials.take((peer, credential), now)
            wait = max(own.wait, self._peers.take(peer, now).wait)
        except OverQuotaError as error:
            wait = error.standing.wait
        if wait:
            self.alert_until = max(self.alert_until, now + wait)

    def refuses(self, peer: str, credential: bytes) -> QuotaStatus | None:
        """Return the quota status of a request that must not be looked up now; None if it may be."""
        if self._peers is None or self._credentials is None:
            return None
        now = self._clock()
        if now >= self.alert_until:
            self.alert_until = 0.0
            return None
        if credential in self._known:
            return None
        for standing in (self._credentials.standing((peer, credential), now), self._peers.standing(peer, now)):
            if standing.wait:
                self.refused += 1
                return standing
        return None
