"""Before a narrowing write is answered: wait until no replica can permit what it forbids.

A replica is out of the way when its row is gone, when the snapshot that it has applied shows the write's transaction
(as it has told this process, or as its row says), or when the longest lease it can hold has run out since the commit.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.types import Text

from app.db.database import Database, DatabaseUnavailableError
from app.db.read_pool import ReadPool
from app.db.session import Prepared
from app.snapshot.feed import ReplicaAcknowledgement, TransactionSnapshot
from app.snapshot.leases import boot_seconds
from app.snapshot.tables import replica

_LOOK_SECONDS: Final = 0.025
"""How often the rows are looked at, for acknowledgements that were lost and rows that have gone."""
_ROWS: Final = select(replica.c.id, replica.c.applied.cast(Text).label("applied"))
_STATEMENT: Final = Prepared(_ROWS)
_TOLD: Final = text(_STATEMENT.telling_server)


@dataclass(slots=True, eq=False)
class _Wait:
    """One write that waits: its transaction, by when it may be answered anyway, and for whom it still waits.

    `server`: on which it was committed; None where nobody knows that, and then no acknowledgement counts. Transactions
    are numbered by server, so that rows of another one say nothing of it.
    `told`: the incarnations that have acknowledged it, perhaps before it was known who is to be waited for.
    """

    xid: int
    until: float
    own_forgot: bool
    server: str | None
    done: asyncio.Future[None]
    pending: set[UUID] | None = None
    told: set[UUID] = field(default_factory=set)


class Confirmer:
    """Lets the writes of one process wait together: one query serves all that are waiting.

    `waited` is told how many seconds each confirmed write has waited.
    """

    def __init__(
        self,
        database: Database,
        *,
        longest: float,
        own: Callable[[], UUID | None],
        proven: Callable[[], tuple[ReadPool, str] | None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            database: where the replicas' rows are.
            longest: seconds after a commit at which no lease taken before it can be held: lease and margin.
            own: this process's live incarnation, whose memory most writes have dropped themselves; None without one.
            proven: where to read instead, and the identity of the server that is the primary; None where nothing tells.

        """
        self.by_notice = 0
        self.by_deadline = 0
        self.longest_wait = 0.0
        self.waited: Callable[[float], None] = lambda _: None
        self._database = database
        self._longest = longest
        self._own = own
        self._proven = proven
        self._waits: set[_Wait] = set()
        self._polling: asyncio.Task[None] | None = None
        self._come = asyncio.Event()

    async def confirm(self, xid: int, committed: float, *, own_forgot: bool, server: str | None) -> None:
        """Return when no replica can decide on facts older than a transaction.

        Args:
            xid: the transaction, already committed.
            committed: when its COMMIT had returned, by CLOCK_BOOTTIME.
            own_forgot: whether this process has dropped what the transaction changed. A repetition that changes
                nothing drops nothing, and its first time may have ended before it did: it waits for its own process.
            server: the identity of the server that it was committed on; None where neither a beat nor the transaction
                has told that.

        Raises:
            DatabaseUnavailableError: the rows of that server cannot be read, until no lease from before the commit can
                be held any more; the write must then not be answered.

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

    def acknowledged(self, told: ReplicaAcknowledgement) -> None:
        """Another replica has forgotten what a snapshot shows: the writes that it shows need not wait for it."""
        for wait in list(self._waits):
            if wait.server != told.server or not told.snapshot.shows(wait.xid):
                continue
            wait.told.add(told.incarnation)
            if wait.pending is not None:
                wait.pending.discard(told.incarnation)
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
            own = self._own()
            for wait in waiting:
                if wait.server not in {None, server}:
                    self._settle(wait, DatabaseUnavailableError())
                    continue
                self._look(wait, {key: seen for key, seen in rows.items() if key != own or not wait.own_forgot})
            if self._waits:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._come.wait()  # a write that comes meanwhile does not know for whom it waits

    async def _not_read(self, waiting: Sequence[_Wait], error: BaseException) -> None:
        """Fail those whose time is over. A connection that was lost comes back: the others are looked after again."""
        lost = isinstance(error, DatabaseUnavailableError)
        for wait in waiting:
            if not lost or boot_seconds() >= wait.until:
                self._settle(wait, error)
        if not isinstance(error, Exception):
            raise error
        await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, wait: _Wait, rows: dict[UUID, TransactionSnapshot | None]) -> None:
        """What one reading of the rows, begun after the wait, means for it. Those that register later start clean."""
        pending = rows.keys() if wait.pending is None else wait.pending & rows.keys()
        wait.pending = {key for key in pending if (seen := rows[key]) is None or not seen.shows(wait.xid)} - wait.told
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
        """What each replica has applied, and the identity of the server that says so."""
        proven = self._proven()
        if proven is not None:
            pool, server = proven
            rows = await pool.fetch(server, _STATEMENT, {})
        else:
            async with self._database.read() as session:
                told = (await session.execute(_TOLD)).all()
            rows, server = [row for row in told if row.found], told[0].server
        return {row.id: TransactionSnapshot.parse(row.applied) if row.applied else None for row in rows}, server
