"""Memory and the right to decide from it: leases of this process and of programs on its host, and the records held.

Such a program is a leaf; docs/freshness.md, "Edges", gives the protocol. This process is to a leaf what the database is
to this process: it sends each change, hears when the leaf has forgotten it, and grants leases, none of which outlives
this process's own. Messages travel in order, so a leaf that takes a lease has already forgotten every change that was
sent before that lease. Both sides read one clock (CLOCK_BOOTTIME).
"""

import asyncio
import math
import secrets
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from app.db.database import DatabaseUnavailableError, within
from app.db.session import ChangeKind

_NUMBER_BYTES: Final = 6
_PATIENCE_SECONDS: Final = 0.5
"""A leaf that has not confirmed a change within this time gets no further lease until it has."""
_BARRED_TIMES: Final = 10
"""A caller whose leaf held up a write gets no lease for this many times as long as the write waited."""
_LOOK_SECONDS: Final = 0.1
"""How often leaves are looked at, and how late a look may be: after that, this process may have been stopped."""
_MOST_OWED: Final = 20_000
_MOST_CHANGES: Final = 500
"""If more records than this change at once, each leaf is sent one message: forget everything."""


def boot_seconds() -> float:
    """Return the seconds since boot, suspends included (CLOCK_BOOTTIME; a monotonic clock omits them)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_clock() -> str:
    """Return which clock that is: that of this time namespace (time_namespaces(7)); "" if the kernel has none."""
    try:
        return str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return ""


class Lease:
    """A right that lapses by itself. Each beat extends it, counting from the time before the beat was sent."""

    def __init__(self) -> None:
        """Start without a right to use memory."""
        self.end = 0.0

    def held(self) -> bool:
        """Return whether memory may be used now. Look the record up after this call, and await nothing in between."""
        return boot_seconds() < self.end

    def extend(self, sent: float, seconds: float) -> None:
        """Extend the lease to `seconds` after `sent`, the time at which the beat was sent."""
        self.end = sent + seconds

    def give_up(self) -> None:
        """End the lease now."""
        self.end = 0.0


class OwedChange(NamedTuple):
    """A change that a leaf has not confirmed: its number, when it was sent, and until when it may decide without it."""

    number: int
    sent: float
    until: float


class Leaf:
    """One leaf, on one connection.

    `tell(number, forgotten, end)` sends a change: its number, the opaque numbers of the records that changed (None: all
    of them), and whether the change ends the leaf's lease. `grant(end)` sends a lease. `doubt()` is called when the
    rights of the leaf's caller may have changed: the leaf gets no lease until `Leaves.admit`. `hang_up()` ends a
    connection whose leaf owes too much.
    """

    def __init__(
        self,
        caller: UUID,
        *,
        tell: Callable[[int, Sequence[int] | None, bool], None],
        grant: Callable[[float], None],
        doubt: Callable[[], None],
        hang_up: Callable[[], None],
    ) -> None:
        """Begin with an empty memory and no lease."""
        self.caller = caller
        self.tell, self.grant, self.doubt, self.hang_up = tell, grant, doubt, hang_up
        self.until = 0.0  # the end of the longest lease that this leaf was granted
        self.limit = math.inf  # when the credential of the leaf's caller ends, by CLOCK_BOOTTIME
        self.is_admitted = False
        self.is_connected = True
        self.owed: deque[OwedChange] = deque()
        self.ends_with = 0  # the change that ended its lease, if no lease was granted after it
        self._secret = secrets.token_bytes(16)

    def opaque(self, kind: int, ref: bytes) -> int:
        """Return this leaf's number for a record. It differs from leaf to leaf, and cannot be traced to the record."""
        keyed = blake2b(bytes((kind,)) + ref, key=self._secret, digest_size=_NUMBER_BYTES)
        return int.from_bytes(keyed.digest())

    def holds_until(self, number: int) -> float:
        """Return until when the leaf may decide on facts older than a change; 0 if it has forgotten them."""
        # No lease ends before an earlier one, so the last unconfirmed change up to `number` gives the latest time.
        return next((each.until for each in reversed(self.owed) if each.number <= number), 0.0)

    def let_go(self) -> None:
        """Drop the references to the connection, so that what it holds is freed at once."""
        self.tell = self.grant = self.doubt = self.hang_up = _nothing

    def is_silent(self, now: float) -> bool:
        """Return whether the leaf has failed to confirm a change in time."""
        return bool(self.owed) and now - self.owed[0].sent > _PATIENCE_SECONDS


def _nothing(*_: object) -> None:
    """Send nothing: there is no connection."""


class Leaves:
    """All leaves of this process. `number` is the number of the last change that was sent."""

    def __init__(self) -> None:
        """Start with no leaves."""
        self.number = 0
        self._all: set[Leaf] = set()
        self._barred: dict[UUID, float] = {}  # callers whose leaves held up writes: until when they get no lease
        self._end = self._looked = 0.0
        self._closed = False
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        """Return how many leaves are connected."""
        return sum(leaf.is_connected for leaf in self._all)

    def silent(self) -> int:
        """Return how many leaves are connected but do not answer."""
        now = boot_seconds()
        return sum(leaf.is_connected and leaf.is_silent(now) for leaf in self._all)

    # --- what a connection reports -----------------------------------------------------------------------------------

    def join(self, leaf: Leaf) -> None:
        """Send a leaf the changes from now on. Its memory is still empty."""
        self._all.add(leaf)

    def admit(self, leaf: Leaf, limit: float) -> None:
        """Admit a leaf whose caller's rights were just checked under the lease, with nothing awaited since.

        Args:
            leaf: the leaf to admit.
            limit: when the caller's credential ends, by CLOCK_BOOTTIME.

        """
        leaf.is_admitted, leaf.limit = True, limit
        self._grant(leaf, boot_seconds())

    def forgot(self, leaf: Leaf, number: int) -> None:
        """Record that a leaf has confirmed forgetting every change up to `number`."""
        while leaf.owed and leaf.owed[0].number <= number:
            leaf.owed.popleft()
        if leaf.ends_with and number >= leaf.ends_with:
            leaf.until, leaf.ends_with = 0.0, 0
        self._move()

    def disconnected(self, leaf: Leaf) -> None:
        """Record that a leaf's connection has ended. The leaf may still decide until its lease is over."""
        leaf.is_connected = leaf.is_admitted = False
        self._move()

    def ended(self, leaf: Leaf) -> None:
        """Remove a leaf that decides no more: it has said so, or its process has ended."""
        leaf.is_connected = leaf.is_admitted = False
        self._all.discard(leaf)
        self._move()

    # --- what the feed reports ---------------------------------------------------------------------------------------

    def tell(self, changes: Collection[tuple[int, bytes]]) -> None:
        """Send these changes to every leaf. A leaf whose own caller changed has no lease until it is admitted again."""
        if not self._all or not changes:
            return
        if len(changes) > _MOST_CHANGES:
            self.forget_all()
            return
        self.number += 1
        callers = {UUID(bytes=ref) for kind, ref in changes if kind == ChangeKind.CALLER}
        for leaf in self._living():
            if leaf.caller in callers:
                self._end_lease(leaf, doubt=True)
            else:
                numbers = [leaf.opaque(kind, ref) for kind, ref in changes if kind != ChangeKind.CALLER]
                self._owe(leaf, numbers, end=False)

    def forget_all(self) -> None:
        """End every lease and have every leaf forget everything, because anything may have changed."""
        self.number += 1
        for leaf in self._living():
            self._end_lease(leaf, doubt=True)

    def revoke(self) -> None:
        """End the leases of all leaves, because this process no longer holds its own."""
        self._end = 0.0
        self.number += 1
        for leaf in self._living():
            self._end_lease(leaf, doubt=False)

    def close(self) -> None:
        """Grant nothing more, because this process is about to end."""
        self._closed = True
        self.revoke()

    def grant(self, end: float) -> None:
        """Extend the leaves' leases, because this process's own lease was extended: none ends later than `end`."""
        self._end = end
        now = boot_seconds()
        self._barred = {caller: until for caller, until in self._barred.items() if until > now}
        for leaf in self._living():
            self._grant(leaf, now)

    # --- what leaves hold up ------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at the leaves ten times a second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Bar the callers whose leaves hold up writes for too long, since a new connection would owe nothing.

        A look that comes late judges nobody: this process may have been stopped, and until the next look it reads what
        leaves had sent in time.
        """
        now = boot_seconds()
        is_late, self._looked = now - self._looked >= 2 * _LOOK_SECONDS, now
        if is_late:
            return
        for leaf in self._all:
            first = next((each for each in leaf.owed if each.sent < each.until), None)
            over = min(now, first.until) if first is not None else 0.0
            if first is not None and over - first.sent > _PATIENCE_SECONDS:
                barred = over + _BARRED_TIMES * (over - first.sent)
                self._barred[leaf.caller] = max(self._barred.get(leaf.caller, 0.0), barred)

    # --- what waits for the leaves -----------------------------------------------------------------------------------

    def have_forgotten(self, number: int) -> bool:
        """Return whether no leaf can still decide on facts older than a change."""
        return not self._holding(number, boot_seconds())

    def _holding(self, number: int, now: float) -> list[float]:
        """Return the ends of the leases under which leaves may still decide on facts older than a change."""
        return [until for leaf in self._all if (until := leaf.holds_until(number)) > now]

    async def forgotten(self, number: int, *, seconds: float = math.inf) -> bool:
        """Wait at most `seconds` until no leaf can decide on facts older than a change; return False if one can."""
        now = boot_seconds()
        until = now + seconds
        while ends := self._holding(number, now):
            if now >= until:
                return False
            await self._next(min(until, *ends))
            now = boot_seconds()
        return True

    async def released(self) -> None:
        """Wait until no leaf holds a lease. Call `revoke` first."""
        while ends := [leaf.until for leaf in self._living() if leaf.until > boot_seconds()]:
            await self._next(min(ends))

    async def _next(self, at: float) -> None:
        """Wait until a leaf reports something, or until the time `at` (CLOCK_BOOTTIME) has come."""
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
        """Return the leaves that are connected or whose lease has not ended; remove the others."""
        now = boot_seconds()
        gone = [leaf for leaf in self._all if not leaf.is_connected and leaf.until <= now]
        self._all.difference_update(gone)
        return list(self._all)

    def _owe(self, leaf: Leaf, forgotten: Sequence[int] | None, *, end: bool) -> None:
        # Also recorded for a leaf that is not connected: only the end of its lease keeps it from deciding without the
        # change. A leaf without a lease holds nothing up; one owed change is then enough to show that it does not
        # answer.
        now = boot_seconds()
        if leaf.until > now or not leaf.owed:
            leaf.owed.append(OwedChange(self.number, now, leaf.until))
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
        leaf.grant(end)


# The records in memory, and the reads under way for those that it lacks. Nothing below knows when a record may be used:
# `app.snapshot.replica` checks the lease first. It is not thread-safe: one event loop owns it, and no method awaits
# between a look-up and the action that depends on it.

# Gathered reads: the records asked for while a statement runs are read together by the next statement. A statement
# begins after everything that it reads was asked for, so each reader sees what was committed before it asked. Under
# load a few statements serve many requests; when none is running, a read begins at the end of this pass of the event
# loop, without waiting for more. A read fails if it waits beyond the deadline or too many are waiting.

_Value = TypeVar("_Value")
_MOST_RUNNING: Final = 2
_MOST_KEYS: Final = 500
_MOST_WAITING: Final = 5_000
"""The most records that may wait to be read: five rounds of statements, which fill the deadline on a slow database."""


class GatheredReads(Generic[_Value]):
    """Reads records by key, several requests to a statement; not thread-safe."""

    def __init__(
        self, read: Callable[[Collection[bytes]], Awaitable[Mapping[bytes, _Value]]], *, deadline: float
    ) -> None:
        """Read with `read`, which returns a value for each key that it is given, within `deadline` seconds."""
        self._read = read
        self._deadline = deadline
        self._keys_waiting = 0
        self._waiting: list[tuple[Collection[bytes], asyncio.Future[Mapping[bytes, _Value]]]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._due = False

    async def read(self, keys: Collection[bytes]) -> Mapping[bytes, _Value]:
        """Return the records of these keys, and perhaps of others.

        Raises:
            DatabaseUnavailableError: too many records wait already, or the deadline passed.
            Exception: what the statement that read them raised.

        """
        if self._waiting and self._keys_waiting + len(keys) > _MOST_WAITING:
            raise DatabaseUnavailableError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Mapping[bytes, _Value]] = loop.create_future()
        self._waiting.append((keys, future))
        self._keys_waiting += len(keys)
        if not self._due and len(self._running) < _MOST_RUNNING:
            self._due = True
            loop.call_soon(self._begin)
        async with within(self._deadline):
            return await future

    def _begin(self) -> None:
        self._due = False
        while self._waiting and len(self._running) < _MOST_RUNNING:
            count, number = 0, 0
            while count < len(self._waiting) and (count == 0 or number < _MOST_KEYS):
                number += len(self._waiting[count][0])
                count += 1
            together, self._waiting = self._waiting[:count], self._waiting[count:]
            self._keys_waiting -= number
            together = [read for read in together if not read[1].done()]  # the others' requests have been given up
            if not together:
                continue
            running = asyncio.get_running_loop().create_task(self._run(together))
            self._running.add(running)
            running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    async def _run(self, together: list[tuple[Collection[bytes], asyncio.Future[Mapping[bytes, _Value]]]]) -> None:
        try:
            values = await self._read({key for keys, _ in together for key in keys})
        except BaseException as error:
            failure = error if isinstance(error, Exception) else DatabaseUnavailableError()
            for _, future in together:
                if not future.done():
                    future.set_exception(failure)
            if not isinstance(error, Exception):
                raise
        else:
            for _, future in together:
                if not future.done():
                    future.set_result(values)


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class Flight(Generic[Value]):
    """One read of one record under way. `stale` says that the record has changed since the read began."""

    result: asyncio.Future[Value] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stale: bool = False


class RecordCache(Generic[Key, Value]):
    """A bounded map of records, in which concurrent reads of a missing record share one flight.

    Two generations approximate "least recently used": a record that is looked up moves to the young one; when that is
    full, the old one is forgotten and the young one becomes the old. So a hit costs no bookkeeping. Forgotten records
    are freed two at a time, because freeing all at once would hold up every answer meanwhile.

    A record that a call waits for is kept for it, whatever else is read meanwhile, until it is dropped: so a call never
    puts together records of which one has changed.
    """

    def __init__(self, capacity: int) -> None:
        """Hold at most `capacity` records (at least two)."""
        self._half = max(1, capacity // 2)
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._forgotten: dict[Key, Value] = {}
        self._flights: dict[Key, Flight[Value]] = {}
        self._expected: Counter[Key] = Counter()
        self._arrived: dict[Key, Value] = {}

    def __len__(self) -> int:
        """Return how many records are held."""
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return the record, or None."""
        record = self._young.get(key)
        if record is None:
            record = self._old.pop(key, None)
            if record is not None:
                self._keep(key, record)
            elif self._arrived:
                return self._arrived.get(key)
        return record

    def expect(self, keys: Iterable[Key]) -> None:
        """Keep what is read of these keys until `release`, for a call that needs all of them at once."""
        self._expected.update(keys)

    def release(self, keys: Iterable[Key]) -> None:
        """End `expect`."""
        for key in keys:
            self._expected[key] -= 1
            if not self._expected[key]:
                del self._expected[key]
                self._arrived.pop(key, None)

    def put(self, key: Key, value: Value) -> None:
        """Keep a record, in place of any other under its key."""
        self._old.pop(key, None)
        self._keep(key, value)

    def drop(self, key: Key) -> None:
        """Forget a record; a read of it that is under way becomes stale, and no later request joins that read."""
        for generation in (self._young, self._old, self._forgotten, self._arrived):
            generation.pop(key, None)
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.stale = True

    def drop_where(self, matches: Callable[[Value], bool]) -> None:
        """Forget the records that match, and mark every read under way stale, since what it will find is unknown."""
        for generation in (self._young, self._old):
            for key in [key for key, value in generation.items() if matches(value)]:
                del generation[key]
        self._arrived.clear()  # what is expected is read again
        self._mark_flights()

    def drop_all(self) -> None:
        """Forget every record and mark every read under way stale."""
        self._young, self._old, self._forgotten, self._arrived = {}, {}, {}, {}
        self._mark_flights()

    def flight(self, key: Key) -> Flight[Value] | None:
        """Return the read under way that may be joined: one that no change has overtaken."""
        return self._flights.get(key)

    def lead(self, keys: Iterable[Key]) -> dict[Key, Flight[Value]]:
        """Begin to read some records; other requests for them may join meanwhile."""
        flights = {key: Flight[Value]() for key in keys}
        self._flights.update(flights)
        return flights

    def land(self, key: Key, flight: Flight[Value], value: Value, *, keep: bool = True) -> None:
        """End a read: keep what it found unless a change overtook it, and give it to the requests that joined."""
        if not flight.stale:
            if keep:
                self._keep(key, value)
            if key in self._expected:
                self._arrived[key] = value
        self._leave(key, flight)
        if not flight.result.done():
            flight.result.set_result(value)

    def fail(self, key: Key, flight: Flight[Value], error: BaseException) -> None:
        """End a read that failed, for its leader and for the requests that joined."""
        self._leave(key, flight)
        if not flight.result.done():
            flight.result.set_exception(error)
            flight.result.exception()  # marks the exception as retrieved: perhaps no request joined

    def _mark_flights(self) -> None:
        for flight in self._flights.values():
            flight.stale = True
        self._flights = {}

    def _leave(self, key: Key, flight: Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _keep(self, key: Key, value: Value) -> None:
        self._young[key] = value
        for _ in range(min(2, len(self._forgotten))):
            self._forgotten.popitem()
        if len(self._young) >= self._half:
            self._forgotten, self._old, self._young = self._old, self._young, {}
