"""Requests without a key in force are bounded by where they come from, so that guessing costs no database.

Two bounds, so that one client does not lock out another behind the same address: a credential that is tried again and
again uses up its own small quota first, and counts for its address no more after that; and a credential that was good
here before is never refused here, whatever else comes from its address. Nothing is decided by this: a key is looked
up as it always is.
"""

import time
from collections.abc import Callable
from typing import Final

from app.auth.limits.quotas import Buckets, OverQuotaError, Quota, QuotaStatus

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
