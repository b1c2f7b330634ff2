"""Quotas: so many units within so many seconds, counted for each key by a bucket that refills steadily.

Counted in this process alone, in plain numbers, and forgotten with it: no lock, no database. With several workers a
client has as many quotas as there are workers that it speaks to.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from math import ceil
from typing import Final, Self

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
