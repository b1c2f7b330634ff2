"""The pool that a replica's memory reads with: plain psycopg connections, a bounded queue and a deadline.

The statements are written once, in SQLAlchemy Core, by the stores; here their compiled text runs without an engine
around it: 166 µs against 318 for one indexed read on the first machine measured.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from app.db.connections import connection_settings
from app.db.database import DatabaseUnavailableError, PoolLimits


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement: its text with named psycopg parameters."""

    text: str

    @classmethod
    def compile(cls, clause: ClauseElement) -> "Statement":
        """Compile a Core statement for psycopg, parameters by name."""
        dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
        return cls(str(clause.compile(dialect=dialect)))


class ReadPool:
    """Autocommit connections for reading."""

    def __init__(self, url: str, limits: PoolLimits) -> None:
        """Prepare; `open` connects."""
        self.deadline = limits.deadline.total_seconds()
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            kwargs={
                **connection_settings(url, statement_seconds=self.deadline),
                "autocommit": True,
                "row_factory": namedtuple_row,
                "prepare_threshold": 1,
            },
            min_size=1,
            max_size=limits.size,
            max_waiting=limits.waiting,
            timeout=self.deadline,
            reconnect_timeout=1.0,
            open=False,
        )

    async def open(self) -> None:
        """Begin to connect, in the background."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=timedelta(seconds=2).total_seconds())

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """The rows of a statement.

        Raises:
            DatabaseUnavailableError: no connection, a broken one, an overfull queue, or the deadline passed.

        """
        try:
            async with asyncio.timeout(self.deadline), self._pool.connection() as connection:
                cursor = await connection.execute(statement.text, values)
                return await cursor.fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TooManyRequests, TimeoutError) as error:
            raise DatabaseUnavailableError from error
