"""One process's memory of facts, with the right to decide from it: caches, feed and lease in one place.

docs/freshness.md gives the protocol. Two rules matter here: memory is looked at only after the lease was found held,
with nothing awaited in between; and a record that was read is kept only if no change overtook the read.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from app.auth.callers import Credential, Token
from app.auth.sessions import Uses
from app.auth.store import authenticate
from app.db.database import Database, DatabaseUnavailableError, ReadPool, within
from app.db.session import ChangeKind
from app.ledger.store import fetch_people
from app.register.store import load_processings
from app.snapshot.feed import Feed, Notifier, ReplicaPlan
from app.snapshot.last_known import HeldOrKnown
from app.snapshot.leases import Flight, GatheredReads, RecordCache, boot_seconds
from app.snapshot.records import (
    CallerRecord,
    RegisterRecord,
    SubjectRecord,
    caller_record,
    register_record,
    subject_record,
)

_Key = TypeVar("_Key", bytes, str)
_Value = TypeVar("_Value", CallerRecord, RegisterRecord, SubjectRecord)

_CALLERS = 10_000
_PROCESSINGS = 10_000
_FIRST_LEASE_SECONDS = 10.0


class Replica:
    """The memory of one process."""

    def __init__(
        self,
        plan: ReplicaPlan,
        database: Database,
        pool: ReadPool,
        uses: Uses,
        token_of: Callable[[bytes], Token | None],
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            plan: how this process takes part.
            database: where callers and register entries are read.
            pool: where subjects are read.
            uses: where uses of credentials are noted.
            token_of: returns the token with this SHA-256, if a token with it was found valid.

        """
        self.callers: RecordCache[bytes, CallerRecord] = RecordCache(_CALLERS)
        self.register: RecordCache[str, RegisterRecord] = RecordCache(_PROCESSINGS)
        self.subjects: RecordCache[bytes, SubjectRecord] = RecordCache(plan.subjects)
        self.pool = pool
        self.feed = Feed(plan, drop=self.drop, drop_all=self.drop_all, lost=self._feed_lost)
        self.leaves = self.feed.leaves
        for reads in (pool, database):
            reads.follow(self.feed.primary.accepts)
        self.known = HeldOrKnown(self.callers, self.register, self.feed)
        self.lease = self.feed.lease
        self.joins = 0
        self._uses = uses
        self._token_of = token_of
        self._plan = plan
        self._database = database
        self._gathered = GatheredReads(self._fetch_subjects, deadline=pool.deadline)
        self._notifier = Notifier(plan.feed_url)
        self._tasks: list[asyncio.Task[None]] = []
        self._latest = 0.0

    async def start(self) -> None:
        """Begin to follow changes, and wait for the first lease, so that a process that takes requests is ready.

        If no lease comes in time, the process takes requests without one: decisions then read the primary, and exempt
        purposes are answered.
        """
        await self.pool.open()
        runs = (self.feed.run(), self._notifier.run(), self.feed.leaves.watch())
        self._tasks = [asyncio.create_task(run) for run in runs]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.feed.tried.wait(), _FIRST_LEASE_SECONDS)

    async def stop(self) -> None:
        """Stop deciding from memory, here and in leaves, then delete this replica's row."""
        self.feed.give_up()
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # no longer than a lease: psycopg would first ask a silent server to cancel a statement
            await asyncio.wait(self._tasks, timeout=self._plan.pace.lease)
        with contextlib.suppress(Exception):  # another replica then deletes the row a little later
            await asyncio.wait_for(self.feed.retire(), timeout=self._plan.pace.lease)
        await self.pool.close()

    def now(self) -> float:
        """Return the database's clock as an epoch time, from the last beat: never behind it, and never going back."""
        self._latest = max(self._latest, boot_seconds() + self.feed.database_ahead)
        return self._latest

    def now_if_leased(self) -> float | None:
        """Return `now()` where memory may be used now, else None. Look records up afterwards, with nothing awaited."""
        return self.now() if self.lease.held() else None

    def lag(self) -> float:
        """Return the seconds since the beat that earned this lease was sent; the machine's uptime without a lease."""
        return boot_seconds() - max(0.0, self.lease.end - self._plan.pace.lease)

    def drop(self, changes: Collection[tuple[int, bytes]]) -> None:
        """Forget what changed."""
        for kind, ref in changes:
            if kind == ChangeKind.SUBJECT:
                self.subjects.drop(ref)
            else:
                self.known.forget([(kind, ref)])
        self.leaves.tell(changes)

    def _feed_lost(self) -> None:
        """Note that the feed no longer reports changes: if the database is away, the outage counts from now."""
        self.known.away()
        self._plan.fence.forget()

    def drop_all(self) -> None:
        """Forget everything, because changes may have been missed, a suspension or a revocation among them.

        The estimate of the database's clock begins anew too, because that clock may have been set back.
        """
        self.callers.drop_all()
        self.register.drop_all()
        self.subjects.drop_all()
        self.known.follow_anew()
        self.leaves.forget_all()
        self._latest = 0.0

    def committed(self, changes: Collection[tuple[int, bytes]], *, replies: bool = True) -> None:
        """Forget what was committed here, and wake other replicas, which answer here (`replies`) or by their rows."""
        self.drop(changes)
        self._notifier.poke(self.feed.incarnation if replies and self.feed.server is not None else None)

    async def load_caller(self, digest: bytes) -> CallerRecord:
        """Return the caller of a key, read by this call or by one that it may join."""
        return (await self._load(self.callers, [digest], self._read_callers))[digest]

    async def load_processings(self, ids: Collection[str]) -> Mapping[str, RegisterRecord]:
        """Return register entries, read by this call or by those that it may join."""
        return await self._load(self.register, ids, self._read_processings)

    async def load_subjects(self, refs: Collection[bytes]) -> Mapping[bytes, SubjectRecord]:
        """Return subjects, read in one statement by this call, or by those that it may join."""
        return await self._load(self.subjects, refs, self._read_subjects)

    async def _load(
        self,
        cache: RecordCache[_Key, _Value],
        keys: Collection[_Key],
        read: Callable[[Collection[_Key]], Awaitable[Mapping[_Key, _Value]]],
    ) -> dict[_Key, _Value]:
        """Read the records that no joinable flight is reading; without a lease, read all of them and keep nothing."""
        if not self.lease.held():
            return dict(await read(keys))
        joined = {key: flight for key in keys if (flight := cache.flight(key)) is not None}
        self.joins += len(joined)
        led = cache.lead(key for key in keys if key not in joined)
        # The read goes on if the request that began it ends, because others may have joined it.
        records = dict(await asyncio.shield(_lead(cache, led, read))) if led else {}
        for key, flight in joined.items():
            async with within(self.pool.deadline):
                records[key] = await asyncio.shield(flight.result)
        return records

    def _server(self) -> str:
        """Return the identity of the server that answered the last beat, since no other server's answer may be kept."""
        if self.feed.server is None:
            raise DatabaseUnavailableError
        return self.feed.server

    async def _read_callers(self, digests: Collection[bytes]) -> dict[bytes, CallerRecord]:
        began = boot_seconds()
        async with self._database.read_from(self._server()) as session:
            shown = [Credential(digest, self._token_of(digest)) for digest in digests]
            holders = {credential.digest: await authenticate(session, credential) for credential in shown}
        if self.lease.held():  # else nothing proves that this is the primary
            for digest, holder in holders.items():
                self.known.remember_caller(digest, holder, began)
        return {digest: caller_record(holder, self._uses) for digest, holder in holders.items()}

    async def _read_processings(self, ids: Collection[str]) -> dict[str, RegisterRecord]:
        began = boot_seconds()
        async with self._database.read_from(self._server()) as session:
            records = await load_processings(session, ids)
        if self.lease.held():
            for identifier, record in records.items():
                self.known.remember_processing(identifier, record.facts, began)
        return {identifier: register_record(records.get(identifier)) for identifier in ids}

    async def _read_subjects(self, refs: Collection[bytes]) -> Mapping[bytes, SubjectRecord]:
        return await self._gathered.read(refs)

    async def _fetch_subjects(self, locators: Collection[bytes]) -> dict[bytes, SubjectRecord]:
        people = await fetch_people(self.pool, self._server(), locators)
        return {locator: subject_record(people.get(locator)) for locator in locators}


async def _lead(
    cache: RecordCache[_Key, _Value],
    led: Mapping[_Key, Flight[_Value]],
    read: Callable[[Collection[_Key]], Awaitable[Mapping[_Key, _Value]]],
) -> Mapping[_Key, _Value]:
    try:
        records = await read(led.keys())
    except BaseException as error:
        failure = error if isinstance(error, Exception) else DatabaseUnavailableError()
        for key, flight in led.items():
            cache.fail(key, flight, failure)
        raise
    for key, flight in led.items():
        cache.land(key, flight, records[key], keep=not _is_unknown_key(records[key]))
    return records


def _is_unknown_key(record: object) -> bool:
    """Return whether a record is of a key not in force. Those are not kept: guessed keys must not fill the memory."""
    return isinstance(record, CallerRecord) and record.caller is None
