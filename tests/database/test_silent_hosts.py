"""A host that takes a login and then says nothing, as a proxy does whose server hangs, keeps nobody for good."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from app.db.connections import connect
from app.db.database import Database, DatabaseUnavailableError, PoolLimits, ReadPool
from app.db.session import Prepared

ONE = Prepared(text("SELECT 1 AS one"))
AT_ONCE = 8
LIMITS = PoolLimits(size=AT_ONCE, deadline=timedelta(seconds=1))
READY = b"Z\x00\x00\x00\x05I"  # ReadyForQuery, idle: the end of a login (PostgreSQL's protocol 3.0)


class Line:
    """Between a client and PostgreSQL; while it is `silent`, logins pass and nothing behind them is answered."""

    def __init__(self, url):
        parameters = conninfo_to_dict(url.replace("+psycopg", ""))
        self._server, self.silent = f"{parameters['host']}/.s.PGSQL.{parameters.get('port', 5432)}", False
        self.carried = set[asyncio.Task[None]]()

    def accept(self, reader, writer):
        """Carry one connection in a task of its own, which whoever ends the line can await."""
        task = asyncio.create_task(self._carry(reader, writer))
        self.carried.add(task)

    async def _carry(self, reader, writer):
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        try:
            with suppress(OSError):
                await asyncio.gather(self._answer(from_server, writer), self._ask(reader, to_server))
        finally:
            for each in (writer, to_server):
                each.close()

    async def _ask(self, reader, writer):
        while part := await reader.read(65_536):
            writer.write(part)
        writer.close()

    async def _answer(self, reader, writer):
        is_ready = False
        while part := await reader.read(65_536):
            if not (is_ready and self.silent):
                writer.write(part)
            is_ready = is_ready or part.endswith(READY)
        writer.close()


@asynccontextmanager
async def line_to(database, folder):
    """A line to a database, and the DSN that leads through it."""
    line = Line(database.app_url)
    async with await asyncio.start_unix_server(line.accept, folder / ".s.PGSQL.5432"):
        try:
            yield line, f"postgresql://sceau_app@/{database.name}?host={folder}"
        finally:
            for task in line.carried:
                task.cancel()
            await asyncio.gather(*line.carried, return_exceptions=True)


async def by_memory(pool, server):
    """One read of the pool that memory reads with."""
    await pool.fetch(server, ONE, {})


async def by_engine(database, _):
    """One read of SQLAlchemy's pool."""
    async with database.read() as session:
        await session.now()


POOLS = {"memory": (ReadPool, by_memory), "engine": (Database, by_engine)}


async def _tried(read, pool, server):
    """Whether each of some reads at once is answered."""
    got = await asyncio.gather(*[read(pool, server) for _ in range(AT_ONCE)], return_exceptions=True)
    assert all(each is None or isinstance(each, DatabaseUnavailableError) for each in got), got
    return [each is None for each in got]


@pytest.mark.parametrize("kind", POOLS)
async def test_a_silent_host_keeps_no_connection_of_a_pool(database, tmp_path, kind):
    """Every read fails while a host is silent, and every read is answered once it speaks again."""
    made, read = POOLS[kind]
    async with line_to(database, tmp_path) as (line, url), await connect(url, statement_seconds=1) as connection:
        pool = made(url, limits=LIMITS)
        if isinstance(pool, ReadPool):
            await pool.open()
        try:
            assert await _tried(read, pool, connection.server) == [True] * AT_ONCE
            line.silent = True
            for _ in range(2):
                assert await _tried(read, pool, connection.server) == [False] * AT_ONCE
            line.silent = False
            for _ in range(100):
                if await _tried(read, pool, connection.server) == [True] * AT_ONCE:
                    return
                await asyncio.sleep(0.1)
            pytest.fail("it speaks again, and nobody hears it")
        finally:
            await pool.close()


async def test_a_host_that_stays_silent_after_the_login_is_given_up(database, tmp_path):
    """Who opens a connection to it gets an error, although nothing ends the connection."""
    async with line_to(database, tmp_path) as (line, url):
        line.silent = True
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(connect(url, statement_seconds=60), 20)
