"""How often a wrong key may be tried at the dashboard's sign-in: counted in this process, and forgotten with it.

A key has 256 random bits: it is not guessed. The bound keeps attempts from costing more than they should, and tells an
operator in the log that somebody tries. By peer, so that one does not shut out the others.
"""

from collections import OrderedDict, deque
from typing import Final

MOST: Final = 10
"""Wrong keys that one peer may try within `WITHIN`."""
WITHIN: Final = 300.0
"""Seconds."""
_PEERS: Final = 4_096


class Attempts:
    """The wrong keys of late, by peer; of so many peers at most, the oldest forgotten first."""

    def __init__(self) -> None:
        """None yet."""
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def allowed(self, peer: str, now: float) -> bool:
        """Whether this peer may try once more; `now` in seconds by a clock that only goes forward."""
        return len(self._recent(peer, now)) < MOST

    def failed(self, peer: str, now: float) -> None:
        """Note that this peer tried a wrong key."""
        recent = self._recent(peer, now)
        recent.append(now)
        self._failed[peer] = recent
        self._failed.move_to_end(peer)
        while len(self._failed) > _PEERS:
            self._failed.popitem(last=False)

    def _recent(self, peer: str, now: float) -> deque[float]:
        times = self._failed.get(peer, deque[float]())
        while times and times[0] <= now - WITHIN:
            times.popleft()
        return times
