"""How much each caller may ask: buckets that are charged, quotas, and a limit on unknown keys."""

import re
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final, Self
from uuid import UUID

from app.auth.callers import Scope

# Quotas: so many units within so many seconds, counted for each key by a bucket that refills steadily.
# Counted in this process alone, in plain numbers, and forgotten with it: no lock, no database. With several workers a
# client has as many quotas as there are workers that it speaks to.

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
        """A quota as settings write it, such as `600/60`; None for `off`.

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
    """How a client stands with a policy: whole units left, and the seconds until one is there again (0: now)."""

    policy: str
    quota: Quota
    left: int
    wait: int

    def fields(self) -> tuple[str, str]:
        """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4).

        The effective window is the policy's own, and while nothing is left the time to wait: what is left over that
        time is never a rate that the quota does not bear.
        """
        window = self.wait or self.quota.seconds
        policy = f'"{self.policy}";q={self.quota.units};w={self.quota.seconds}'
        return policy, f'"{self.policy}";r={self.left};t={window}'


class OverQuotaError(Exception):
    """A client has used up a quota."""

    def __init__(self, standing: QuotaStatus) -> None:
        """Keep the quota's status."""
        super().__init__()
        self.standing = standing


class Buckets:
    """One policy's buckets by key. Times are seconds of a clock that only goes forward."""

    def __init__(self, policy: str, quota: Quota, *, most: int = _MOST_KEYS) -> None:
        """Every bucket is full; of so many keys at most something is remembered."""
        self.policy = policy
        self.quota = quota
        self._most = most
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def __len__(self) -> int:
        """How many keys something is remembered of."""
        return len(self._levels)

    def standing(self, key: Hashable, now: float) -> QuotaStatus:
        """How a key stands."""
        return self._standing(self._level(key, now))

    def take(self, key: Hashable, now: float, units: int = 1) -> QuotaStatus:
        """Take units, if there is one; more than there are is owed, so that a large request is not refused for ever.

        Raises:
            OverQuotaError: there is none; nothing was taken.

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
        """Forget the keys that have all of their quota again; if that is not half of them, those begun first too."""
        kept = {key: held for key, held in self._levels.items() if self._level(key, now) < self.quota.units}
        half = self._most // 2
        self._levels = dict(list(kept.items())[-half:]) if len(kept) > half else kept


# How often each caller may do what. What a person takes back, and what L32-3 III exempts, is not counted.
# Withdrawals, closures and erasures are never refused for having been many: taking back must be as easy as giving.
# Questions about exempt processings are neither counted nor refused: the mail must not stop (law.md, trap 14).
class Counted(StrEnum):
    """What is counted together; each has a quota of its own, named so in the RateLimit fields."""

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
    """What a route of that scope counts as, unless it says otherwise; None: it is not counted."""
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
        """Limit what has a quota, for every caller that is not excepted; nothing by default."""
        self._buckets = {of: Buckets(of.value, quota) for of, quota in (quotas or {}).items()}
        self._excepted = excepted
        self._clock = clock
        self.refused: Counter[Counted] = Counter()

    def limits(self, of: Counted) -> bool:
        """Whether anything of this kind is limited for anybody."""
        return of in self._buckets

    def take(self, of: Counted, caller: UUID, units: int = 1) -> QuotaStatus | None:
        """Count for a caller; returns what is left of its quota, None where no limit applies.

        Raises:
            OverQuotaError: its quota is used up, and nothing was counted but the refusal.

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
        """The quota status of a caller whose next unit would be refused; None for one that may go on."""
        buckets = self._buckets.get(of)
        if buckets is None or caller in self._excepted:
            return None
        standing = buckets.standing(caller, self._clock())
        return standing if standing.wait else None


# Requests without a key in force are bounded by where they come from, so that guessing costs no database.
# Two bounds, so that one client does not lock out another behind the same address: a credential that is tried again
# and again uses up its own small quota first, and counts for its address no more after that; and a credential that
# was good here before is never refused here, whatever else comes from its address. Nothing is decided by this: a key
# is looked up as it always is.

POLICY: Final = "unknown-keys"
_SHARE: Final = 10
"""One credential may fail a tenth as often as an address."""
_MOST_KNOWN: Final = 10_000


class UnknownKeyLimiter:
    """Who failed lately, from where, and who did not."""

    def __init__(self, quota: Quota | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """No failures yet; without a quota no request is refused."""
        self._clock = clock
        self._peers = Buckets(POLICY, quota) if quota is not None else None
        own = Quota(max(1, quota.units // _SHARE), quota.seconds) if quota is not None else None
        self._credentials = Buckets(POLICY, own) if own is not None else None
        self._known: dict[bytes, None] = {}
        self.alert_until = 0.0
        """Until when anybody may have to be refused; 0 nearly always, which is all that most requests look at."""
        self.refused = 0

    def passed(self, credential: bytes) -> None:
        """A credential (SHA-256 of what was presented) was somebody's."""
        if credential not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known = dict.fromkeys(list(self._known)[_MOST_KNOWN // 2 :])
            self._known[credential] = None

    def failed(self, peer: str, credential: bytes) -> None:
        """A request from there was refused (401); a credential that fails is not known to be good any more."""
        self._known.pop(credential, None)
        if self._peers is None or self._credentials is None:
            return
        now = self._clock()
        try:
            own = self._credentials.take((peer, credential), now)
        except OverQuotaError as error:
            own = error.standing
        else:
            try:
                own = max(own, self._peers.take(peer, now), key=lambda standing: standing.wait)
            except OverQuotaError as error:
                own = error.standing
        if own.wait:
            self.alert_until = max(self.alert_until, now + own.wait)

    def refuses(self, peer: str, credential: bytes) -> QuotaStatus | None:
        """The quota status of a request that must not be looked up now; None if it may be."""
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
