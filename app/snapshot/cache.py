"""The records that a replica holds in memory, and the reads under way for those that it does not.

Nothing here knows when a record may be used: `app.snapshot.replica` asks the lease first. Not thread-safe: one event
loop owns it, and no method awaits between a look and what follows from it.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class Flight(Generic[Value]):
    """One read of one record under way. `stale`: the record changed since the read began."""

    result: asyncio.Future[Value] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stale: bool = False


class RecordCache(Generic[Key, Value]):
    """A bounded map of records with single flight for those that are missing.

    Two generations stand for "least recently used": a record that is looked up moves to the young one; when that is
    full, the old one is forgotten and the young one becomes the old. That costs no bookkeeping on a hit.
    """

    def __init__(self, capacity: int) -> None:
        """Hold at most `capacity` records (at least two)."""
        self._half = max(1, capacity // 2)
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._flights: dict[Key, Flight[Value]] = {}

    def __len__(self) -> int:
        """How many records are held."""
        return len(self._young) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """The record, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self._keep(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Keep a record in the place of any other under its key."""
        self._old.pop(key, None)
        self._keep(key, value)

    def drop(self, key: Key) -> None:
        """Forget a record; a read of it that is under way is stale from now on, and no read joins it any more."""
        self._young.pop(key, None)
        self._old.pop(key, None)
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.stale = True

    def drop_where(self, matches: Callable[[Value], bool]) -> None:
        """Forget the records that match; what reads under way will find is unknown, so every one of them is stale."""
        for generation in (self._young, self._old):
            for key in [key for key, value in generation.items() if matches(value)]:
                del generation[key]
        self._mark_flights()

    def drop_all(self) -> None:
        """Forget every record; every read under way is stale."""
        self._young, self._old = {}, {}
        self._mark_flights()

    def flight(self, key: Key) -> Flight[Value] | None:
        """The read under way that may be joined: one that no change has overtaken."""
        return self._flights.get(key)

    def lead(self, keys: Iterable[Key]) -> dict[Key, Flight[Value]]:
        """Begin to read some records; others that want them meanwhile may join."""
        flights = {key: Flight[Value]() for key in keys}
        self._flights.update(flights)
        return flights

    def land(self, key: Key, flight: Flight[Value], value: Value, *, keep: bool = True) -> None:
        """A read has ended: keep what it found unless it was overtaken, and give it to those who joined."""
        if keep and not flight.stale:
            self._keep(key, value)
        self._leave(key, flight)
        if not flight.result.done():
            flight.result.set_result(value)

    def fail(self, key: Key, flight: Flight[Value], error: BaseException) -> None:
        """A read has failed, for its leader and for those who joined."""
        self._leave(key, flight)
        if not flight.result.done():
            flight.result.set_exception(error)
            flight.result.exception()  # retrieved: no read may have joined

    def _mark_flights(self) -> None:
        for flight in self._flights.values():
            flight.stale = True
        self._flights = {}

    def _leave(self, key: Key, flight: Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _keep(self, key: Key, value: Value) -> None:
        self._young[key] = value
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
