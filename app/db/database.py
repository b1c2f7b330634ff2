"""The service's connection to PostgreSQL: one bounded pool, deadlines, and one error for "cannot know now".

Every connection has statement, lock and idle-in-transaction time-outs and TCP keepalives. A call that finds the
waiting queue full, or whose deadline passes, gets `DatabaseUnavailableError` and nothing half-written.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.db.connections import line_settings
from app.db.session import Clock, DatabaseClock, ReadSession, WriteSession


class DatabaseUnavailableError(Exception):
    """The database cannot be read or written now."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much of the database one process may use, and how long it waits for it."""

    size: int = 10
    waiting: int = 200
    deadline: timedelta = timedelta(seconds=5)


class Database:
    """Opens read and write sessions; wired once, opened by the first call, closed at shutdown."""

    def __init__(self, url: str, *, limits: PoolLimits | None = None, clock: Clock | None = None) -> None:
        """Prepare the pool; nothing is connected yet."""
        self._limits = limits or PoolLimits()
        self._clock = clock or DatabaseClock()
        self._waiting = 0
        self._engine = _engine(url, self._limits)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session for reading, each statement on its own.

        Raises:
            DatabaseUnavailableError: no connection, a broken one, an overfull queue, or the deadline passed.

        """
        async with self._guarded(), self._connection() as connection:
            yield ReadSession(await connection.execution_options(isolation_level="AUTOCOMMIT"), self._clock)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction, committed when the block ends well and rolled back when it raises.

        Raises:
            DatabaseUnavailableError: as for `read`; nothing was recorded, unless the answer to COMMIT was lost.

        """
        async with self._guarded(), self._connection() as connection, connection.begin():
            yield WriteSession(connection, self._clock)

    async def ping(self) -> None:
        """Ask the database for nothing.

        Raises:
            DatabaseUnavailableError: it does not answer.

        """
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        if self._waiting >= self._limits.waiting:
            raise DatabaseUnavailableError
        self._waiting += 1
        try:
            connection = await self._engine.connect()
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.deadline.total_seconds()):
                yield
        except (OperationalError, InterfaceError, InternalError, PoolTimeoutError, TimeoutError) as error:
            raise DatabaseUnavailableError from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailableError from error
            raise


def _engine(url: str, limits: PoolLimits) -> AsyncEngine:
    return create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=limits.size,
        max_overflow=0,
        pool_timeout=limits.deadline.total_seconds(),
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=line_settings(limits.deadline.total_seconds()),
    )
