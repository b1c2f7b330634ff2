"""How often each caller may do what. What a person takes back, and what L32-3 III exempts, is not counted.

Withdrawals, closures and erasures are never refused for having been many: taking back must be as easy as giving.
Questions about exempt processings are neither counted nor refused: the mail must not stop (law.md, trap 14).
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.auth.limits.quotas import Buckets, OverQuotaError, Quota, QuotaStatus
from app.auth.scopes import Scope


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
