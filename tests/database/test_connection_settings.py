"""Every connection, however it is opened, has the same time-outs and time zone."""

from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from app.db.connections import connect, connection_settings, patience
from app.db.database import Database, PoolLimits, ReadPool
from app.db.session import Prepared

NAMES = ("TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
SHOWN = {"TimeZone": "UTC", "synchronous_commit": "on", "statement_timeout": "3s", "lock_timeout": "1500ms"}
SHOWN["idle_in_transaction_session_timeout"] = "6s"
ASKED = "SELECT " + ", ".join(f"current_setting('{name}')" for name in NAMES)
NAMED = "SELECT " + ", ".join(f"current_setting('{name}') AS {name.lower()}" for name in NAMES)
LIMITS = PoolLimits(size=1, deadline=timedelta(seconds=3))


async def by_engine(url):
    """What a session of the pool of SQLAlchemy shows."""
    database = Database(url, limits=LIMITS)
    try:
        async with database.write() as session:
            return (await session.execute(text(ASKED))).one()
    finally:
        await database.close()


async def server_of(url):
    """The identity of the server that a DSN leads to."""
    async with await connect(url, statement_seconds=3) as connection:
        return connection.server


async def by_memory(url):
    """What a session of the pool that memory reads with shows."""
    pool = ReadPool(url, LIMITS)
    await pool.open()
    try:
        (row,) = await pool.fetch(await server_of(url), Prepared(text(NAMED)), {})
        return row[2:]  # which server, and that something was found
    finally:
        await pool.close()


async def by_feed(url):
    """What the feed's own connection shows."""
    async with await connect(url, statement_seconds=3) as connection:
        return await (await connection.execute(ASKED)).fetchone()


async def by_log(url):
    """What the thread of the decision log shows."""
    with psycopg.connect(**connection_settings(url, statement_seconds=3)) as connection:
        return connection.execute(ASKED).fetchone()


@pytest.mark.parametrize("opened", [by_engine, by_memory, by_feed, by_log])
async def test_each_connection_has_the_time_outs(database, opened):
    """Statements, locks and transactions that idle have a bound, and times are UTC."""
    shown = await opened(database.app_url)
    assert dict(zip(NAMES, shown, strict=True)) == SHOWN


def test_a_connection_without_them_would_be_seen(database):
    """Control: a plain connection has none of the bounds."""
    with psycopg.connect(database.app_url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        shown = connection.execute(ASKED).fetchone()
    assert shown is not None
    assert dict(zip(NAMES, shown, strict=True)) != SHOWN


async def test_what_a_dsn_leaves_out_is_looked_for_in_the_environment(database, monkeypatch):
    """A DSN without a host leads where PGHOST says, as libpq's own do; several addresses are tried one by one."""
    parameters = conninfo_to_dict(database.app_url.replace("+psycopg", ""))
    monkeypatch.setenv("PGHOST", str(parameters["host"]))
    monkeypatch.setenv("PGPORT", str(parameters.get("port", 5432)))
    assert await server_of(f"postgresql://{parameters['user']}@/{parameters['dbname']}")
    assert patience("postgresql://a@/b?hostaddr=192.0.2.1,192.0.2.2") == patience("postgresql://a@one,two/b")
    with pytest.raises(psycopg.OperationalError, match="as many hosts as ports"):
        await server_of("postgresql://a@one:1,two:2,three:3/b?hostaddr=192.0.2.1,192.0.2.2")
