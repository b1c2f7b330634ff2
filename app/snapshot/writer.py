"""How a write is committed, and when it may be answered.

After COMMIT this process forgets what changed and wakes the others, and a narrowing write waits until no replica can
permit what it forbids. The order of the steps is that of docs/freshness.md.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from app.db.database import Database, DatabaseUnavailableError, OutcomeUnknownError, RestoredBehindError
from app.db.read_pool import ReadPool
from app.db.session import Committing, Lookup, WriteSession
from app.journal.fence import Fence
from app.journal.files import JournalError
from app.journal.journal import Journal, Noted
from app.snapshot.confirm import Confirmer
from app.snapshot.last_known import LastKnown
from app.snapshot.leases import boot_seconds
from app.snapshot.replica import Replica
from app.telemetry import spans

_LONG_AT_ONCE: Final = 2
log = structlog.get_logger("sceau.journal")


class Writer:
    """Opens transactions whose end is safe to answer.

    `writes` counts what became of them, by kind (that of each event about a consent, else `other`) and outcome.
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
    ) -> None:
        """Prepare.

        Args:
            database: what is written to.
            journal: where writes that forbid are noted before they are answered.
            replica: this process's own; None in one that reads the primary for each decision.
            longest: lease and margin, in seconds.
            known: what a process without a replica remembers for an outage, if anything.
            fence: tells whether a database was set back, and nobody has dealt with it; None takes each to be whole.

        """
        self.confirmer = Confirmer(
            database,
            longest=longest,
            own=lambda: replica.feed.incarnation if replica is not None else None,
            proven=self._proven,
        )
        if replica is not None:
            replica.feed.acknowledged = self.confirmer.acknowledged
        # Long transactions at once: with more of them each would last longer, until none ended within its deadline.
        self.turns = asyncio.Semaphore(_LONG_AT_ONCE)
        self.writes: Counter[tuple[str, ...]] = Counter()
        self._database = database
        self._journal = journal
        self._replica = replica
        self._known = known
        self._fence = fence

    def require_whole(self) -> None:
        """Refuse at once what its transaction would refuse: what may permit more, while the database is set back.

        Raises:
            RestoredBehindError: nobody has dealt with it yet.

        """
        if self._is_behind():
            raise RestoredBehindError

    def _is_behind(self) -> bool:
        return self._fence is not None and self._fence.behind

    def _proven(self) -> tuple[ReadPool, str] | None:
        """Where to read on the primary, as this process's feed knows it."""
        server = self._replica.feed.server if self._replica is not None else None
        return None if self._replica is None or server is None else (self._replica.pool, server)

    @asynccontextmanager
    async def write(
        self,
        committed_now: Callable[[], None] | None = None,
        lead: Sequence[Lookup[Any]] = (),
        *,
        restores: bool = False,
        at_once: bool = False,
    ) -> AsyncIterator[WriteSession]:
        """One transaction; when the block has ended, it is committed and may be answered.

        Args:
            committed_now: is called between the two: replicas may still permit what it forbids.
            lead: look-ups that begin it (`Database.write`).
            restores: it may bring back what a database that was set back has lost, and is recorded there too.
            at_once: every statement sees the database as the first one does (REPEATABLE READ).

        Raises:
            OutcomeUnknownError: it is not known whether it was committed; or it was, and cannot be confirmed yet.
            RestoredBehindError: it may permit more, and the database was set back.
            DatabaseUnavailableError: it was not committed. In each case the same request may be sent again.

        """
        done = Committing(set_back=self._is_behind() and not restores)
        try:
            fence = None if restores else self._fence
            async with self._recorded(done, committed_now, lead, fence, at_once=at_once) as session:
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
        at_once: bool,
    ) -> AsyncIterator[WriteSession]:
        server = self._replica.feed.server if self._replica is not None else None
        async with self._database.write(server, lead, done, at_once=at_once) as session:
            yield session
            if session.committing.narrowing and not session.tells_xid:
                await session.repeat()  # it changed nothing: its first time may not have been confirmed
            if session.committing.widening and fence is not None:
                # Here, where nothing can be exchanged any more: whoever says it may have been revoked since the backup.
                await fence.look(session, session.committing.server or "")
            noted = self._journal.note(session)
        committed = boot_seconds()
        # Where no beat had told which server is the primary, this process may come to read from another one.
        forgot = not done.repeats and (self._replica is None or server is not None)
        leaves = self._replica.leaves if self._replica is not None else None
        if self._replica is not None and (done.changes or done.narrowing):
            self._replica.committed(done.changes, told=forgot)
        elif self._known is not None:
            self._known.forget(done.changes)
        told_leaves = leaves.number if leaves is not None else 0
        if committed_now is not None:
            committed_now()
        # A write that forbids and has no note repeats an earlier one, whose note may still wait.
        await self._keep(noted, repeats=done.repeats or (done.narrowing and not done.notes))
        if done.narrowing and done.xid is not None:
            try:
                with spans.within("confirmation"):
                    told = server or done.server
                    await self.confirmer.confirm(done.xid, committed, own_forgot=forgot, server=told)
                    if leaves is not None:
                        await leaves.forgotten(told_leaves)
            except DatabaseUnavailableError as error:
                raise OutcomeUnknownError from error

    async def _keep(self, noted: Noted, *, repeats: bool) -> None:
        """Keep what forbids in the journal, before it is answered.

        Raises:
            OutcomeUnknownError: it is committed, and not in the journal: a restore could lose it without a trace.

        """
        try:
            await self._journal.keep(self._database, noted, repeats=repeats)
        except (JournalError, DatabaseUnavailableError) as error:
            log.error("what was recorded is not in the journal", why=str(error))  # noqa: TRY400 - the message is ours
            raise OutcomeUnknownError from error


def _outcome_of(error: BaseException) -> str:
    """What became of a write that raised this: `unknown`, `unavailable` (nothing was recorded), or `refused`."""
    if isinstance(error, OutcomeUnknownError):
        return "unknown"
    return "unavailable" if isinstance(error, DatabaseUnavailableError) else "refused"
