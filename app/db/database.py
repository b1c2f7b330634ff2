"""The service's connections to PostgreSQL: bounded pools, deadlines, and one error for "cannot know now".

Every connection has time-outs and TCP keepalives. A call that finds the waiting queue full, or whose deadline passes,
gets `DatabaseUnavailableError`. What a permit may rest on is read by `read_from` or `read_and_prove`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from typing import Any, Final, cast

import psycopg
from psycopg import errors
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from sqlalchemy import event, text
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.errors import RefusalError
from app.db.connections import (
    HANGING_UP_SECONDS,
    HAS_STANDBY,
    IDENTITY,
    PROOF,
    TRIES,
    Accepts,
    HeardConnection,
    NoStandbyError,
    NotThePrimaryError,
    cancellations,
    connect,
    connection_settings,
    hanging_up_after,
    is_no_standby,
    refuses,
)
from app.db.session import (
    Clock,
    Committing,
    LookedUp,
    Lookup,
    Prepared,
    ReadSession,
    ServerRefusal,
    WriteSession,
    refusal_of,
)
from app.telemetry import spans


@dataclass(slots=True)
class Admission:
    """Who may use the database: every task, or, while there is a task that checks the database, only this one."""

    checking: asyncio.Task[Any] | None = None


_Lead = Sequence[Lookup[Any]]
Look = Callable[[ReadSession, str], Awaitable[None]]
"""Checks the server that a session reads, given its identity."""
_PING_SECONDS: Final = 1.0
# PostgreSQL has rolled back whatever it refuses with these, be it a row or the COMMIT.
_HELD_BY_OTHERS: Final = (errors.LockNotAvailable, errors.DeadlockDetected)
_BROKEN: Final = (OperationalError, InterfaceError, InternalError)
_UNAVAILABLE: Final = (*_BROKEN, PoolTimeoutError, TimeoutError, NotThePrimaryError)
WHICH: Final = Lookup(
    Prepared(text(f"SELECT {IDENTITY} AS identity, {HAS_STANDBY} AS has_standby")), {}, lambda rows: rows[0]
)
"""Looks up which server answers, and whether its commits wait for a standby."""
_FRESH_SECONDS: Final = 0.25  # any restart of a server takes longer


class DatabaseUnavailableError(RefusalError):
    """The database cannot be read or written now."""

    message = "the database cannot be reached: check SCEAU_DATABASE_URL and that it runs"


class ServerRefusesError(DatabaseUnavailableError):
    """PostgreSQL answers, and cannot do its work now; nothing was recorded."""

    def __init__(self, why: ServerRefusal) -> None:
        """Name the reason."""
        super().__init__(f"PostgreSQL refuses this: {why.value}")
        self.why = why


class NotDurableError(DatabaseUnavailableError):
    """PostgreSQL lacks the synchronous standby that the deployment wants: nothing is read for decisions or recorded."""

    message = "the database has no synchronous standby now, and nothing is recorded: bring one back"


class RestoredBehindError(DatabaseUnavailableError):
    """The database was set back and not dealt with since: it lacks narrowing writes that were answered."""

    message = "the database was set back, and nothing that needs consent is answered from it: see sceau recovery check"


class BusyError(DatabaseUnavailableError):
    """Another transaction holds what this one needs, and did not release it in time; nothing was recorded."""

    message = "another transaction holds what this needs, and nothing was recorded: try again"


class OutcomeUnknownError(DatabaseUnavailableError):
    """It is unknown whether a transaction was recorded, or whether it would outlive the server that recorded it."""

    message = "the connection was lost, and whether this was recorded is not known: look before you repeat it"


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Limit a block to some seconds.

    Raises:
        DatabaseUnavailableError: it took longer.

    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DatabaseUnavailableError from error


@dataclass(slots=True)
class _Progress:
    """The progress of a call: whether it has sent a COMMIT whose outcome is not known yet."""

    committing: bool = False
    cancelled: int = field(default_factory=cancellations)

    def unavailable(self, cause: BaseException) -> BaseException:
        """Return the exception to raise for a failure at this point."""
        if cancellations() > self.cancelled:
            return asyncio.CancelledError()
        if isinstance(cause, NoStandbyError):
            return NotDurableError()
        refused = getattr(cause, "orig", None)
        if isinstance(refused, _HELD_BY_OTHERS):
            return BusyError()
        if isinstance(refused, errors.QueryCanceled):
            return DatabaseUnavailableError()  # a COMMIT that is cancelled while it waits for a standby only warns
        why = refusal_of(refused)
        if why is not None:
            return ServerRefusesError(why)
        return OutcomeUnknownError() if self.committing else DatabaseUnavailableError()


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much of the database one process may use, and how long it waits for it."""

    size: int = 10
    waiting: int = 200
    deadline: timedelta = timedelta(seconds=5)

    def shared(self) -> tuple["PoolLimits", "PoolLimits"]:
        """Return the limits of two pools that share these: two thirds, and a third; each has one at least."""
        third = max(1, self.size // 3)
        sizes = max(1, self.size - third), third
        first, apart = (replace(self, size=each, waiting=self.waiting * each // self.size) for each in sizes)
        return first, apart


class Database:
    """Opens read and write sessions; `in_use` counts the connections in use, `waiting` the calls that wait for one."""

    def __init__(
        self, url: str, *, limits: PoolLimits | None = None, clock: Clock | None = None, synchronous: bool = False
    ) -> None:
        """Prepare the pool; nothing is connected yet.

        Args:
            url: a DSN, of one host or of several.
            limits: how much of the database to use.
            clock: a clock other than the database's, for tests.
            synchronous: whether nothing may be recorded where no COMMIT waits for a standby.

        """
        self._synchronous = synchronous
        self._limits = limits or PoolLimits()
        self._clock = clock or Clock()
        self.in_use = self.waiting = 0
        self._returning: set[asyncio.Future[None]] = set()
        self.admission = Admission()
        self.refusal: ServerRefusal | None = None
        """Why the server refused the last write that it answered; None if it recorded it, or did not answer."""
        self._accepts: Accepts = is_no_standby
        self._url = url
        self._engine = self._make_engine(url)

    def apart(self, limits: PoolLimits) -> "Database":
        """Return the same database through a pool of its own, so that neither waits for the other's connections."""
        made = Database(self._url, limits=limits, clock=self._clock, synchronous=self._synchronous)
        made.admission = self.admission
        return made

    def follow(self, accepts: Accepts) -> None:
        """Use only connections to servers that `accepts` takes."""
        self._accepts = accepts

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a session for reading: every statement sees the database as the first one does (REPEATABLE READ).

        Raises:
            DatabaseUnavailableError: no connection, a broken one, an overfull queue, or the deadline passed.

        """
        async with self._guarded(), self._connection() as connection:
            yield ReadSession(await connection.execution_options(isolation_level="REPEATABLE READ"), self._clock)

    @asynccontextmanager
    async def read_from(self, server: str, *, at_once: bool = True) -> AsyncIterator[ReadSession]:
        """Open a session on the server of that identity; every statement sees the database as the first one does.

        The session is a transaction, so that a pooler keeps it on one server. With `at_once` False each statement sees
        what is committed when it runs: what is known outside the database may be newer than its first statement.

        Raises:
            DatabaseUnavailableError: as for `read`; or no connection leads to that server.

        """
        async with self._guarded(), self._begun(server, at_once=at_once) as (connection, _):
            yield ReadSession(connection, self._clock)

    @asynccontextmanager
    async def read_and_prove(self, *, look: Look, by_commit: bool | None = None) -> AsyncIterator[ReadSession]:
        """Open a session for reading while no beat says which server is the primary; otherwise as `read_from`.

        Args:
            look: checks the server first, given its identity; an exception that it raises ends the read.
            by_commit: whether to end with a COMMIT that writes. Behind a synchronous standby it succeeds only on the
                present primary, which proves that what was read before was current. Without it the server is only known
                not to be a standby. None: do so where the server's commits wait for a standby, or the deployment wants
                one.

        Raises:
            DatabaseUnavailableError: as for `read`; also when the block has ended and the proof failed.

        """
        async with self._guarded(), self._begun(None) as (connection, _):
            session = ReadSession(connection, self._clock)
            answering = await _which(session)
            if (identity := answering.identity) is None:
                raise NotThePrimaryError
            if by_commit is None:
                by_commit = self._synchronous or answering.has_standby
            await look(session, identity)
            await connection.rollback()  # what was looked at may be newer than a snapshot that was taken before
            await connection.execution_options(isolation_level="REPEATABLE READ")
            yield session
            is_same = (await _which(session)).identity == identity  # if not, another was restored over it meanwhile
            if by_commit:
                await connection.execute(text(PROOF))
            if not is_same or (by_commit and not await WriteSession(connection, self._clock).commit()):
                raise NotThePrimaryError

    @asynccontextmanager
    async def write(
        self, server: str | None = None, lead: _Lead = (), done: Committing | None = None, *, at_once: bool = False
    ) -> AsyncIterator[WriteSession]:
        """Run one transaction: committed when the block ends normally, rolled back when it raises.

        Args:
            server: the identity of the server on which it must be recorded; None for any server to which the DSN leads.
            lead: look-ups that begin it, in one round trip with the question which server answers; they are sent again
                if another server answered.
            done: receives what is known of the transaction, even if it fails.
            at_once: whether every statement sees the database as the first one does (REPEATABLE READ).

        Raises:
            OutcomeUnknownError: the answer to COMMIT was lost, or it waited in vain for a synchronous standby.
            DatabaseUnavailableError: as for `read`; nothing was recorded.

        """
        # Always ask which server records it: what is read of other servers says nothing about this write.
        async with self._guarded() as progress, self._begun(server, lead, at_once=at_once) as (connection, looked_up):
            session = WriteSession(connection, self._clock, done or Committing(), lead=looked_up)
            session.committing.server = looked_up[WHICH][0].identity
            yield session
            progress.committing = True
            if not await session.commit():
                raise OutcomeUnknownError

    async def refuses(self) -> bool:
        """Return whether a server answers and lets nobody in (`app.db.connections.refuses`)."""
        return await asyncio.to_thread(refuses, self._url)

    async def is_durable(self) -> bool:
        """Return whether commits wait for a standby, where they must.

        Raises:
            DatabaseUnavailableError: the database does not answer.

        """
        if not self._synchronous:
            return True
        async with self.read() as session:
            return bool((await _which(session)).has_standby)

    async def close(self) -> None:
        """Close every connection, once those that were in use are back in the pool."""
        if self._returning:
            await asyncio.wait(self._returning, timeout=self._limits.deadline.total_seconds())
        await self._engine.dispose()

    def _make_engine(self, url: str) -> AsyncEngine:
        seconds = self._limits.deadline.total_seconds()
        engine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=lambda: connect(url, statement_seconds=seconds, autocommit=False, accepts=self._accepts),
            pool_size=self._limits.size,
            max_overflow=0,
            pool_timeout=seconds,
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "checkout", self._check)
        event.listen(engine.sync_engine, "checkin", lambda _, record: record.info.update({"returned": monotonic()}))
        return engine

    def _check(self, adapted: AdaptedConnection, record: ConnectionPoolEntry, _: object) -> None:
        """Make the pool drop all its connections if one that was used before is dead or leads to an unwanted server."""
        if (returned := record.info.get("returned")) is None:
            return
        is_wanted = self._accepts(cast("HeardConnection", adapted.driver_connection).server)
        if is_wanted and monotonic() - returned < _FRESH_SECONDS:
            return
        if not is_wanted or not adapted.run_async(lambda heard: heard.answers(_PING_SECONDS)):
            raise InvalidatePoolError

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        if self.waiting >= self._limits.waiting:
            raise DatabaseUnavailableError
        self.waiting += 1
        try:
            connection = await self._engine.connect()
        finally:
            self.waiting -= 1
        self.in_use += 1
        try:
            # This ends before the call's deadline: when that cancels a wait, psycopg waits for the server, which may be
            # silent.
            heard = cast("HeardConnection", (await connection.get_raw_connection()).driver_connection)
            with hanging_up_after(heard, self._limits.deadline.total_seconds()):
                yield connection
        except asyncio.CancelledError:
            # A cancelled psycopg call may leave its pipeline open, and the next user of the connection would read
            # nothing.
            await connection.invalidate()
            raise
        finally:
            self.in_use -= 1
            # A second cancellation must not keep the connection from the pool, nor must the end (`close`).
            returned = asyncio.ensure_future(connection.close())
            self._returning.add(returned)
            returned.add_done_callback(self._returning.discard)
            await asyncio.shield(returned)

    @asynccontextmanager
    async def _begun(
        self, server: str | None, lead: _Lead | None = None, *, at_once: bool = False
    ) -> AsyncIterator[tuple[AsyncConnection, LookedUp]]:
        """Open a connection to that server, or to any, with a transaction that is rolled back unless committed."""
        for _ in range(TRIES):
            async with self._connection() as connection:
                if at_once:
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                looked_up = await self._led(connection, server, lead)
                if looked_up is not None:
                    yield connection, looked_up
                    return
                await connection.invalidate()
        raise NotThePrimaryError

    async def _led(self, connection: AsyncConnection, server: str | None, lead: _Lead | None) -> LookedUp | None:
        """Begin with look-ups; return None where the connection leads to another server.

        A read without look-ups (`lead` None) need not know which server answers, unless one is asked for.
        NoStandbyError is raised here.
        """
        if server is None and not self._synchronous and lead is None:
            return {}
        looked_up = await WriteSession(connection, self._clock).look_up(WHICH, *(lead or ()))
        (answering,) = looked_up[WHICH]
        if server not in {None, answering.identity}:
            return None
        if self._synchronous and not answering.has_standby:
            raise NoStandbyError
        return looked_up

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[_Progress]:
        progress = _Progress()
        if self.admission.checking not in {None, asyncio.current_task()}:
            raise DatabaseUnavailableError
        try:
            with spans.within("database"):
                async with asyncio.timeout(self._limits.deadline.total_seconds() + HANGING_UP_SECONDS):
                    yield progress
                spans.note({"sceau.database.access": "write" if progress.committing else "read"})
                if progress.committing:
                    self.refusal = None
        except _UNAVAILABLE as error:
            failure = progress.unavailable(error)
            self.refusal = failure.why if isinstance(failure, ServerRefusesError) else self.refusal
            raise failure from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise progress.unavailable(error) from error
            raise


async def _which(session: ReadSession) -> Any:  # noqa: ANN401 - a row
    return (await session.rows(WHICH))[0]


# The pool that fills replicas' memory: plain psycopg connections, a bounded queue and a deadline. It runs a statement's
# compiled text without an engine: 166 µs against 318 for one indexed read on the first machine measured.


class ReadPool:
    """Autocommit connections for reading."""

    def __init__(self, url: str, limits: PoolLimits) -> None:
        """Prepare; `open` connects."""
        self.deadline = limits.deadline.total_seconds()
        self._pool: AsyncConnectionPool[HeardConnection] = AsyncConnectionPool(
            connection_class=HeardConnection,
            kwargs={
                **connection_settings(url, statement_seconds=self.deadline),
                "autocommit": True,
                "accepts": self._is_accepted,
                "row_factory": namedtuple_row,
                "prepare_threshold": 1,
            },
            min_size=1,
            max_size=limits.size,
            max_waiting=limits.waiting,
            timeout=self.deadline,
            reconnect_timeout=1.0,
            check=self._check,
            open=False,
        )
        self._accepts: Accepts = is_no_standby

    def follow(self, accepts: Accepts) -> None:
        """Use only connections to servers that `accepts` takes."""
        self._accepts = accepts

    def _is_accepted(self, identity: str | None) -> bool:
        return self._accepts(identity)

    async def _check(self, connection: HeardConnection) -> None:
        """Make the pool replace a connection to a server that is no longer accepted."""
        if not self._is_accepted(connection.server):
            await connection.close()  # otherwise the pool would take it back and hand it out again
            raise psycopg.OperationalError("it leads to another server")

    def in_use(self) -> int:
        """Return how many connections are in use."""
        stats = self._pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0)

    def waiting(self) -> int:
        """Return how many calls wait for a connection."""
        return self._pool.get_stats().get("requests_waiting", 0)

    async def open(self) -> None:
        """Begin to connect, in the background."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=timedelta(seconds=2).total_seconds())

    async def fetch(self, server: str, statement: Prepared, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a statement, in any order, as answered by the server of that identity.

        Raises:
            DatabaseUnavailableError: no connection, a broken one, none to that server, an overfull queue, or the
                deadline passed.

        """
        cancelled = cancellations()
        try:
            with spans.within("database"):
                spans.note({"sceau.database.access": "read"})
                async with asyncio.timeout(self.deadline + HANGING_UP_SECONDS):
                    return await self._fetch(server, statement, values)
        except _POOL_UNAVAILABLE as error:
            if cancellations() > cancelled:
                raise asyncio.CancelledError from error
            raise DatabaseUnavailableError from error

    async def _fetch(self, server: str, statement: Prepared, values: Mapping[str, Any]) -> list[Any]:
        for _ in range(TRIES):
            async with self._pool.connection() as connection:
                with hanging_up_after(connection, self.deadline):
                    rows = await (await connection.execute(statement.telling_server, values)).fetchall()
                if rows[0].server == server:
                    return [row for row in rows if row.found]
                await connection.close()  # the pool replaces it
        raise NotThePrimaryError


_POOL_UNAVAILABLE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    TooManyRequests,
    TimeoutError,
    NotThePrimaryError,
)
