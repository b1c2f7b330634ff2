"""Leases: the right to decide from memory, of this process and of programs of this host that decide by its leave.

Such a program is a leaf: docs/freshness.md, "Edges", gives the protocol. To a leaf this process is what the database is
to this process: it tells each change, hears when the leaf has forgotten it, and grants leases, none of which outlives
its own. What is told travels in order, so that a leaf that takes a lease has forgotten whatever was told before that
lease was granted. Both read one clock (CLOCK_BOOTTIME).
"""

import asyncio
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

_NUMBER_BYTES: Final = 6
_PATIENCE_SECONDS: Final = 0.5
"""A leaf that has not forgotten what it was told so long ago is granted no further lease until it has."""
_BARRED_TIMES: Final = 10
"""A caller gets no lease for so many times as long as a write has waited for one of its leaves."""
_MOST_OWED: Final = 20_000
_MOST_CHANGES: Final = 500
"""Of more at once each leaf forgets everything: it is told in one word, however many leaves there are."""
CALLER_KIND: Final = 3
"""As `ChangeKind.CALLER`, which is declared with the tables."""


def boot_seconds() -> float:
    """Seconds since the machine started, suspends included (CLOCK_BOOTTIME; a monotonic clock leaves them out)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """Ends by itself; extended by each beat, from the time before the beat was sent."""

    def __init__(self) -> None:
        """Not held yet."""
        self.end = 0.0

    def held(self) -> bool:
        """Whether memory may be used at this moment. Look it up after this, with nothing awaited between."""
        return boot_seconds() < self.end

    def extend(self, sent: float, seconds: float) -> None:
        """Hold it for some seconds from when the beat was sent."""
        self.end = sent + seconds

    def give_up(self) -> None:
        """Hold it no longer."""
        self.end = 0.0


class Leaf:
    """One of them, on one connection.

    `tell(number, forgotten, end)` sends a change: its number, the opaque numbers of what changed (None: everything),
    and whether its lease ends with it. `grant(end, ahead)` sends a lease: its end, and how far the database's clock is
    ahead of CLOCK_BOOTTIME, both in seconds. `doubt()` is called when its caller's rights may have changed: it holds no
    lease until `Leaves.admit`. `hang_up()` ends a connection on which too much is owed.
    """

    def __init__(
        self,
        caller: UUID,
        *,
        tell: Callable[[int, Sequence[int] | None, bool], None],
        grant: Callable[[float, float], None],
        doubt: Callable[[], None],
        hang_up: Callable[[], None],
    ) -> None:
        """Begin with an empty memory and no lease."""
        self.caller = caller
        self.tell, self.grant, self.doubt, self.hang_up = tell, grant, doubt, hang_up
        self.until = 0.0  # the end of the longest lease that it was granted
        self.limit = math.inf  # when its caller's credential ends, by CLOCK_BOOTTIME
        self.is_admitted = False
        self.is_connected = True
        # Changes that it has not forgotten yet: the number, when it was told, and until when it may decide without it.
        self.owed: deque[tuple[int, float, float]] = deque()
        self.ends_with = 0  # the change that ended its lease, if no lease was granted after it
        self.overdue = 0  # the change that it owed for too long when it was looked at last
        self._secret = secrets.token_bytes(16)

    def opaque(self, kind: int, ref: bytes) -> int:
        """The number under which this leaf knows a record. Another leaf knows it by another; none leads back to it."""
        keyed = blake2b(bytes((kind,)) + ref, key=self._secret, digest_size=_NUMBER_BYTES)
        return int.from_bytes(keyed.digest())

    def holds_until(self, number: int) -> float:
        """Until when it may decide on what was before a change; 0 where it has forgotten that."""
        # A lease never ends before an earlier one did: the last change up to that number counts.
        return next((until for owed, _, until in reversed(self.owed) if owed <= number), 0.0)

    def let_go(self) -> None:
        """Hold its connection no longer, so that what that holds is freed at once."""
        self.tell = self.grant = self.doubt = self.hang_up = _nothing

    def is_silent(self, now: float) -> bool:
        """Whether it has not forgotten in time what it was told."""
        return bool(self.owed) and now - self.owed[0][1] > _PATIENCE_SECONDS


def _nothing(*_: object) -> None:
    """Send nothing: there is no connection."""


class Leaves:
    """All leaves of this process. `number` is that of the last change that was told."""

    def __init__(self) -> None:
        """None yet."""
        self.number = 0
        self._all: set[Leaf] = set()
        self._barred: dict[UUID, float] = {}  # callers that held writes up: until when they get no lease
        self._end = self._ahead = 0.0
        self._closed = False
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        """How many are connected."""
        return sum(leaf.is_connected for leaf in self._all)

    def silent(self) -> int:
        """How many are connected and do not answer."""
        now = boot_seconds()
        return sum(leaf.is_connected and leaf.is_silent(now) for leaf in self._all)

    # --- what a connection tells -------------------------------------------------------------------------------------

    def join(self, leaf: Leaf) -> None:
        """Tell it of changes from now on. It has nothing in memory yet."""
        self._all.add(leaf)

    def admit(self, leaf: Leaf, limit: float) -> None:
        """Its caller's rights were found to stand, by a look under the lease and nothing awaited since.

        Args:
            leaf: which.
            limit: when the credential ends, by CLOCK_BOOTTIME.

        """
        leaf.is_admitted, leaf.limit = True, limit
        self._grant(leaf, boot_seconds())

    def forgot(self, leaf: Leaf, number: int) -> None:
        """It says that it has forgotten every change up to one."""
        while leaf.owed and leaf.owed[0][0] <= number:
            leaf.owed.popleft()
        if leaf.ends_with and number >= leaf.ends_with:
            leaf.until, leaf.ends_with = 0.0, 0
        self._move()

    def disconnected(self, leaf: Leaf) -> None:
        """Its connection has ended. It may go on deciding until its lease is over."""
        leaf.is_connected = leaf.is_admitted = False
        self._move()

    def ended(self, leaf: Leaf) -> None:
        """It decides no more: it has said so, or its process has ended."""
        leaf.is_connected = leaf.is_admitted = False
        self._all.discard(leaf)
        self._move()

    # --- what the feed tells -----------------------------------------------------------------------------------------

    def tell(self, changes: Collection[tuple[int, bytes]]) -> None:
        """These records have changed; a caller's leaves lose their lease until its rights are looked at again."""
        if not self._all or not changes:
            return
        if len(changes) > _MOST_CHANGES:
            self.forget_all()
            return
        self.number += 1
        callers = {UUID(bytes=ref) for kind, ref in changes if kind == CALLER_KIND}
        for leaf in self._living():
            if leaf.caller in callers:
                self._end_lease(leaf, doubt=True)
            else:
                numbers = [leaf.opaque(kind, ref) for kind, ref in changes if kind != CALLER_KIND]
                self._owe(leaf, numbers, end=False)

    def forget_all(self) -> None:
        """Anything may have changed."""
        self.number += 1
        for leaf in self._living():
            self._end_lease(leaf, doubt=True)

    def revoke(self) -> None:
        """This process holds no lease any more, so that its leaves may hold none."""
        self._end = 0.0
        self.number += 1
        for leaf in self._living():
            self._end_lease(leaf, doubt=False)

    def close(self) -> None:
        """Grant nothing more: this process is about to end."""
        self._closed = True
        self.revoke()

    def grant(self, end: float, ahead: float) -> None:
        """This process's lease was extended: so are those of its leaves, and to no later end."""
        self._end, self._ahead = end, ahead
        now = boot_seconds()
        for leaf in self._all:
            self._note_wait(leaf, now)
        self._barred = {caller: until for caller, until in self._barred.items() if until > now}
        for leaf in self._living():
            self._grant(leaf, now)

    # --- what waits for them -----------------------------------------------------------------------------------------

    def have_forgotten(self, number: int) -> bool:
        """Whether no leaf can decide on what was before a change."""
        return not self._holding(number, boot_seconds())

    def _holding(self, number: int, now: float) -> list[float]:
        """The ends of the leases by which leaves may still decide on what was before a change."""
        return [until for leaf in self._all if (until := leaf.holds_until(number)) > now]

    async def forgotten(self, number: int, *, seconds: float = math.inf) -> bool:
        """Wait until that is so, for so many seconds at most; whether it is."""
        now = boot_seconds()
        until = now + seconds
        while ends := self._holding(number, now):
            if now >= until:
                return False
            await self._next(min(until, *ends))
            now = boot_seconds()
        return True

    async def released(self) -> None:
        """Wait until no leaf holds a lease. Call `revoke` before."""
        while held := [leaf.until for leaf in self._living() if leaf.until > boot_seconds()]:
            await self._next(min(held))

    async def _next(self, at: float) -> None:
        """Wait until something is heard of a leaf, or an instant has come."""
        moved = self._moved
        try:
            async with asyncio.timeout(max(0.001, at - boot_seconds())):
                await moved.wait()
        except TimeoutError:
            return

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _living(self) -> list[Leaf]:
        """Those that are connected, or whose lease is not over; the others are forgotten here."""
        now = boot_seconds()
        gone = [leaf for leaf in self._all if not leaf.is_connected and leaf.until <= now]
        self._all.difference_update(gone)
        return list(self._all)

    def _note_wait(self, leaf: Leaf, now: float) -> None:
        """Bar the caller of a leaf that writes have waited for too long. A leaf that connects anew would owe nothing.

        The leaf must be overdue at two beats: this process may have been stopped itself, and reads between the two what
        the leaf has said in time.
        """
        number, told, until = next((each for each in leaf.owed if each[1] < each[2]), (0, now, now))
        over = min(now, until)
        if over - told <= _PATIENCE_SECONDS:
            return
        if leaf.overdue == number:
            self._barred[leaf.caller] = max(self._barred.get(leaf.caller, 0.0), over + _BARRED_TIMES * (over - told))
        leaf.overdue = number

    def _owe(self, leaf: Leaf, forgotten: Sequence[int] | None, *, end: bool) -> None:
        # Also where it is not connected: then nothing but the end of its lease keeps it from deciding without it.
        # Without a lease it holds nothing up, and one change that it owes tells that it does not answer.
        now = boot_seconds()
        if leaf.until > now or not leaf.owed:
            leaf.owed.append((self.number, now, leaf.until))
        if leaf.is_connected:
            leaf.tell(self.number, forgotten, end)
            if len(leaf.owed) > _MOST_OWED:
                leaf.hang_up()

    def _end_lease(self, leaf: Leaf, *, doubt: bool) -> None:
        leaf.ends_with = self.number
        self._owe(leaf, None, end=True)
        if doubt and leaf.is_connected:
            leaf.is_admitted = False
            leaf.doubt()

    def _grant(self, leaf: Leaf, now: float) -> None:
        end = min(self._end, leaf.limit)
        if self._closed or not (leaf.is_admitted and leaf.is_connected) or end <= now or leaf.is_silent(now):
            return
        if leaf.caller in self._barred:
            return
        leaf.until, leaf.ends_with = max(leaf.until, end), 0
        leaf.grant(end, self._ahead)
