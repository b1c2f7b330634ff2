"""The records that a replica holds in memory, and the reads under way for those that it lacks.

Nothing here knows when a record may be used: `app.snapshot.replica` checks the lease first. Not thread-safe: one event
loop owns it, and no method awaits between a look-up and the action that depends on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from app.db.database import DatabaseUnavailableError

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
        found: asyncio.Future[Mapping[bytes, _Value]] = loop.create_future()
        self._waiting.append((keys, found))
        self._keys_waiting += len(keys)
        if not self._due and len(self._running) < _MOST_RUNNING:
            self._due = True
            loop.call_soon(self._begin)
        try:
            async with asyncio.timeout(self._deadline):
                return await found
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    def _begin(self) -> None:
        self._due = False
        while self._waiting and len(self._running) < _MOST_RUNNING:
            taken, number = 0, 0
            while taken < len(self._waiting) and (taken == 0 or number < _MOST_KEYS):
                number += len(self._waiting[taken][0])
                taken += 1
            together, self._waiting = self._waiting[:taken], self._waiting[taken:]
            self._keys_waiting -= number
            together = [each for each in together if not each[1].done()]  # the others' requests have been given up
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
            found = await self._read({key for keys, _ in together for key in keys})
        except BaseException as error:
            told = error if isinstance(error, Exception) else DatabaseUnavailableError()
            for _, each in together:
                if not each.done():
                    each.set_exception(told)
            if not isinstance(error, Exception):
                raise
        else:
            for _, each in together:
                if not each.done():
                    each.set_result(found)


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
    """

    def __init__(self, capacity: int) -> None:
        """Hold at most `capacity` records (at least two)."""
        self._half = max(1, capacity // 2)
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._forgotten: dict[Key, Value] = {}
        self._flights: dict[Key, Flight[Value]] = {}

    def __len__(self) -> int:
        """Return how many records are held."""
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return the record, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self._keep(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Keep a record, in place of any other under its key."""
        self._old.pop(key, None)
        self._keep(key, value)

    def drop(self, key: Key) -> None:
        """Forget a record; a read of it that is under way becomes stale, and no later request joins that read."""
        for generation in (self._young, self._old, self._forgotten):
            generation.pop(key, None)
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.stale = True

    def drop_where(self, matches: Callable[[Value], bool]) -> None:
        """Forget the records that match, and mark every read under way stale, since what it will find is unknown."""
        for generation in (self._young, self._old):
            for key in [key for key, value in generation.items() if matches(value)]:
                del generation[key]
        self._mark_flights()

    def drop_all(self) -> None:
        """Forget every record and mark every read under way stale."""
        self._young, self._old, self._forgotten = {}, {}, {}
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
        if keep and not flight.stale:
            self._keep(key, value)
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
