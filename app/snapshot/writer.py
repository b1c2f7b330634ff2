"""How a write is committed, and when it may be answered.

After COMMIT this process forgets what changed and wakes the other replicas. A narrowing write then waits until no
replica can permit what it forbids. The order of the steps is that of docs/freshness.md.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.types import Text

from app.db.database import Database, DatabaseUnavailableError, OutcomeUnknownError, RestoredBehindError
from app.db.session import Committing, Lookup, Prepared, WriteSession
from app.journal.files import JournalError
from app.journal.journal import Fence, Journal, Noted
from app.snapshot.feed import ReplicaAcknowledgement, TransactionSnapshot
from app.snapshot.last_known import LastKnown
from app.snapshot.leases import boot_seconds
from app.snapshot.replica import Replica
from app.snapshot.tables import replica
from app.telemetry import spans

_LONG_AT_ONCE: Final = 2
log = structlog.get_logger("sceau.journal")


class Writer:
    """Opens transactions after whose end the write may safely be answered.

    `writes` counts the writes by kind (that of each event about a consent, else `other`) and outcome.
    """

    def __init__(
        self,
        database: Database,
        replica: Replica | None,
        *,
        longest: float,
        journal: Journal,
        known: LastKnown | None = None,
        fence: Fence | None = None,
        reading: Database | None = None,
    ) -> None:
        """Prepare.

        Args:
            database: the database to write to.
            journal: where writes that forbid are noted before they are answered.
            replica: this process's own; None in a process that reads the primary for each decision.
            longest: lease plus margin, in seconds.
            known: what a process without a replica remembers for an outage, if anything.
            fence: says whether a database was set back and not dealt with since; None takes every database to be whole.
            reading: the same database, where transactions that look find their connection; None: as all others do.

        """
        self.confirmer = Confirmer(database, replica, longest=longest)
        if replica is not None:
            replica.feed.acknowledged = self.confirmer.acknowledged
        # The limit on concurrent long transactions: more of them would slow each other until none met its deadline.
        self.turns = asyncio.Semaphore(_LONG_AT_ONCE)
        self.writes: Counter[tuple[str, ...]] = Counter()
        self._database = database
        self._reading = reading or database
        self._journal = journal
        self._replica = replica
        self._known = known
        self._fence = fence

    def require_whole(self) -> None:
        """Refuse at once a write that may permit more while the database is set back, as its transaction would.

        Raises:
            RestoredBehindError: the database was set back and has not been dealt with.

        """
        if self._is_behind():
            raise RestoredBehindError

    def _is_behind(self) -> bool:
        return self._fence is not None and self._fence.behind

    @asynccontextmanager
    async def write(
        self,
        committed_now: Callable[[], None] | None = None,
        lead: Sequence[Lookup[Any]] = (),
        *,
        restores: bool = False,
        looks: bool = False,
    ) -> AsyncIterator[WriteSession]:
        """Run one transaction; once the block has ended, it is committed and may be answered.

        Args:
            committed_now: called after the commit and before the answer, while replicas may still permit what it
                forbids.
            lead: the look-ups that begin the transaction (`Database.write`).
            restores: whether it may bring back what a database that was set back has lost; it is recorded there too.
            looks: whether it reads, perhaps for long, and records only who looked. Every statement then sees the
                database as the first one does (REPEATABLE READ).

        Raises:
            OutcomeUnknownError: it is not known whether it was committed; or it was, and cannot be confirmed yet.
            RestoredBehindError: it may permit more, and the database was set back.
            DatabaseUnavailableError: it was not committed. In each case the same request may be sent again.

        """
        done = Committing(set_back=self._is_behind() and not restores)
        try:
            fence = None if restores else self._fence
            async with self._recorded(done, committed_now, lead, fence, looks=looks) as session:
                yield session
        except BaseException as error:
            self._count(done, _outcome_of(error))
            raise
        self._count(done, "recorded")

    def _count(self, done: Committing, outcome: str) -> None:
        for kind in done.kinds or ["other"]:
            self.writes[kind, outcome] += 1

    @asynccontextmanager
    async def _recorded(
        self,
        done: Committing,
        committed_now: Callable[[], None] | None,
        lead: Sequence[Lookup[Any]],
        fence: Fence | None,
        *,
        looks: bool,
    ) -> AsyncIterator[WriteSession]:
        server = self._replica.feed.server if self._replica is not None else None
        database = self._reading if looks else self._database
        async with database.write(server, lead, done, at_once=looks) as session:
            yield session
            if session.committing.narrowing and not session.tells_xid:
                await session.repeat()  # it changed nothing; the write that it repeats may not have been confirmed
            if session.committing.widening and fence is not None:
                # Checked here, where no other database can take this one's place any more: the caller who asks for more
                # may have been revoked since the backup.
                await fence.look(session, session.committing.server or "")
            noted = self._journal.note(session)
        committed = boot_seconds()
        # If no beat had named the primary, this process may later read from another server.
        forgot = not done.repeats and (self._replica is None or server is not None)
        leaves = self._replica.leaves if self._replica is not None else None
        if self._replica is not None and (done.changes or done.narrowing):
            self._replica.committed(done.changes, replies=forgot)
        elif self._known is not None:
            self._known.forget(done.changes)
        told_leaves = leaves.number if leaves is not None else 0
        if committed_now is not None:
            committed_now()
        # A forbidding write without a note repeats an earlier one, whose note may still be waiting.
        await self._keep(noted, repeats=done.repeats or (done.narrowing and not done.notes))
        if done.narrowing and done.xid is not None:
            try:
                with spans.within("confirmation"):
                    identity = server or done.server
                    await self.confirmer.confirm(done.xid, committed, own_forgot=forgot, server=identity)
                    if leaves is not None:
                        await leaves.forgotten(told_leaves)
            except DatabaseUnavailableError as error:
                raise OutcomeUnknownError from error

    async def _keep(self, noted: Noted, *, repeats: bool) -> None:
        """Keep the notes of a forbidding write in the journal before the write is answered.

        Raises:
            OutcomeUnknownError: it is committed but not in the journal, so a restore could lose it without a trace.

        """
        try:
            await self._journal.keep(self._database, noted, repeats=repeats)
        except (JournalError, DatabaseUnavailableError) as error:
            log.error("what was recorded is not in the journal", why=str(error))  # noqa: TRY400 - the message is ours
            raise OutcomeUnknownError from error


def _outcome_of(error: BaseException) -> str:
    """Return the outcome of a write that raised this: `unknown`, `unavailable` (nothing was recorded), or `refused`."""
    if isinstance(error, OutcomeUnknownError):
        return "unknown"
    return "unavailable" if isinstance(error, DatabaseUnavailableError) else "refused"


# Before a narrowing write is answered, it waits until no replica can permit what it forbids. A replica no longer counts
# when its row is gone, when the snapshot that it has applied shows the write's transaction (as it has notified this
# process, or as its row says), or when the longest lease that it can hold has run out since the commit.

_LOOK_SECONDS: Final = 0.025
"""The interval at which the rows are read, to find lost acknowledgements and rows that are gone."""
_ROWS: Final = select(replica.c.id, replica.c.applied.cast(Text).label("applied"))
_STATEMENT: Final = Prepared(_ROWS)
_WITH_SERVER: Final = text(_STATEMENT.telling_server)


@dataclass(slots=True, eq=False)
class _Wait:
    """One waiting write: its transaction, the time at which it may be answered anyway, and the replicas it waits for.

    `server` is where it was committed. If that is unknown (None), no acknowledgement counts: each server numbers its
    own transactions, so rows of another server say nothing about this one. `acked` holds the incarnations that have
    acknowledged it, perhaps before it was known which ones to wait for.
    """

    xid: int
    until: float
    own_forgot: bool
    server: str | None
    done: asyncio.Future[None]
    pending: set[UUID] | None = None
    acked: set[UUID] = field(default_factory=set)


class Confirmer:
    """Lets the writes of one process wait together, so that one query serves all of them.

    `waited` is called with the seconds that each confirmed write has waited.
    """

    def __init__(self, database: Database, replica: Replica | None, *, longest: float) -> None:
        """Prepare.

        Args:
            database: where the replicas' rows are, read there while no beat has named a primary.
            replica: this process's own, whose memory has dropped what most writes change; or None.
            longest: lease plus margin: seconds after a commit at which no lease taken before it can still be held.

        """
        self.by_notice = 0
        self.by_deadline = 0
        self.longest_wait = 0.0
        self.waited: Callable[[float], None] = lambda _: None
        self._database = database
        self._longest = longest
        self._replica = replica
        self._waits: set[_Wait] = set()
        self._polling: asyncio.Task[None] | None = None
        self._come = asyncio.Event()

    async def confirm(self, xid: int, committed: float, *, own_forgot: bool, server: str | None) -> None:
        """Return when no replica can decide on facts older than a transaction.

        Args:
            xid: the transaction, already committed.
            committed: when its COMMIT returned, by CLOCK_BOOTTIME.
            own_forgot: whether this process has dropped what the transaction changed. A repetition that changes nothing
                drops nothing, and the original write may have ended before its drop: so it waits for its own process
                too.
            server: the identity of the server on which it was committed; None where neither a beat nor the transaction
                gave it.

        Raises:
            DatabaseUnavailableError: the rows of that server could not be read before the time when no lease from
                before the commit can be held any more; the write must then not be answered.

        """
        done = asyncio.get_running_loop().create_future()
        wait = _Wait(xid, committed + self._longest, own_forgot, server, done)
        self._waits.add(wait)
        self._come.set()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            await wait.done
            waited = boot_seconds() - committed
            self.longest_wait = max(self.longest_wait, waited)
            self.waited(waited)
        finally:
            self._waits.discard(wait)  # also when the request has ended

    def acknowledged(self, acknowledgement: ReplicaAcknowledgement) -> None:
        """Note that another replica has forgotten what a snapshot shows: writes shown there no longer wait for it."""
        for wait in list(self._waits):
            if wait.server != acknowledgement.server or not acknowledgement.snapshot.shows(wait.xid):
                continue
            wait.acked.add(acknowledgement.incarnation)
            if wait.pending is not None:
                wait.pending.discard(acknowledgement.incarnation)
                self._end_if_nobody_is_left(wait)

    async def _poll(self) -> None:
        while self._waits:
            self._come.clear()
            waiting = list(self._waits)
            try:
                rows, server = await self._rows()
            except BaseException as error:  # noqa: BLE001 - raised again, unless others may go on waiting
                await self._not_read(waiting, error)
                continue
            own = self._replica.feed.incarnation if self._replica is not None else None
            for wait in waiting:
                if wait.server not in {None, server}:
                    self._settle(wait, DatabaseUnavailableError())
                    continue
                self._look(wait, {key: seen for key, seen in rows.items() if key != own or not wait.own_forgot})
            if self._waits:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._come.wait()  # a new write does not know yet which replicas to wait for

    async def _not_read(self, waiting: Sequence[_Wait], error: BaseException) -> None:
        """Fail the waits whose time is over. A lost connection comes back, so the other waits are checked again."""
        lost = isinstance(error, DatabaseUnavailableError)
        for wait in waiting:
            if not lost or boot_seconds() >= wait.until:
                self._settle(wait, error)
        if not isinstance(error, Exception):
            raise error
        await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, wait: _Wait, rows: dict[UUID, TransactionSnapshot | None]) -> None:
        """Apply one reading of the rows, begun after the wait began. Replicas that register later start empty."""
        pending = rows.keys() if wait.pending is None else wait.pending & rows.keys()
        wait.pending = {key for key in pending if (seen := rows[key]) is None or not seen.shows(wait.xid)} - wait.acked
        self._end_if_nobody_is_left(wait)
        if not wait.done.done() and boot_seconds() >= wait.until:
            self.by_deadline += 1
            self._settle(wait)

    def _end_if_nobody_is_left(self, wait: _Wait) -> None:
        if not wait.pending and not wait.done.done():
            self.by_notice += 1
            self._settle(wait)

    def _settle(self, wait: _Wait, error: BaseException | None = None) -> None:
        self._waits.discard(wait)
        if wait.done.done():
            return
        if error is None:
            wait.done.set_result(None)
        else:
            wait.done.set_exception(error)

    async def _rows(self) -> tuple[dict[UUID, TransactionSnapshot | None], str | None]:
        """Return what each replica has applied, and the identity of the server that was read."""
        server = self._replica.feed.server if self._replica is not None else None
        if self._replica is not None and server is not None:
            rows = await self._replica.pool.fetch(server, _STATEMENT, {})
        else:
            async with self._database.read() as session:
                answer = (await session.execute(_WITH_SERVER)).all()
            rows, server = [row for row in answer if row.found], answer[0].server
        return {row.id: TransactionSnapshot.parse(row.applied) if row.applied else None for row in rows}, server
