"""A task that is asked to end while it uses the database ends, at whatever point it is, and leaves nothing behind."""

import asyncio
import gc
import warnings
from collections.abc import Coroutine, Generator
from typing import Any

import psycopg.waiting
import pytest

from app.db import database as module
from app.db.database import Database, PoolLimits
from app.operations.service.outage_file import read_kept
from tests.freshness.gate import until
from tests.support.databases import APP_ROLE, administrator_url

AFTER = (1, 2, 1_000)
"""A second cancellation comes so many waits after the first, while what the first one broke is cleaned up, or never."""

LEFT = "SELECT count(*) FROM pg_stat_activity WHERE (datname, usename) = (%s, %s)"


class CancelledAt:
    """Awaits something, and has its task cancelled when it waits for the nth time, and some waits later."""

    def __init__(self, work: Coroutine[Any, Any, Any], *places: int) -> None:
        """Wait for nothing yet."""
        self._work, self._places = work, places
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        """As the task sees it."""
        work = self._work.__await__()
        try:
            waited_for = work.send(None)
            while True:
                self.waits += 1
                if self.waits in self._places and (task := asyncio.current_task()) is not None:
                    task.cancel()
                try:
                    got = yield waited_for
                except BaseException as error:  # noqa: BLE001 - it is handed on
                    waited_for = work.throw(error)
                else:
                    waited_for = work.send(got)
        except StopIteration as end:
            return end.value


async def _nothing(*_):
    """Look at no server."""


async def _read(database, _):
    async with database.read() as session:
        await read_kept(session)


async def _read_from(database, server):
    async with database.read_from(server) as session:
        await read_kept(session)


async def _prove(database, _):
    async with database.read_and_prove(by_commit=True, look=_nothing) as session:
        await read_kept(session)


async def _write(database, _):
    async with database.write() as session:
        await read_kept(session)


async def _cancelled(url, work, place, after):
    """What became of some work on a pool of one connection, and of the next; None where it waited less often."""
    database = Database(url, limits=PoolLimits(size=1))
    async with database.write() as session:
        server = session.committing.server
    waiting = CancelledAt(work(database, server), place, place + after)

    async def awaited():
        await waiting

    task = asyncio.create_task(awaited())
    await asyncio.wait({task})
    try:
        await _read(database, server)
    except Exception as error:  # noqa: BLE001 - it is what is told
        return f"left behind: {error!r}"
    finally:
        await database.close()
    if waiting.waits < place:
        return None
    return "ended" if task.cancelled() else repr(task.exception())


@pytest.mark.parametrize(
    ("work", "fresh"), [(_read, 60), (_read_from, 0), (_read_from, 60), (_prove, 60), (_write, 60)]
)
async def test_a_cancellation_is_no_failure_of_the_database(database, monkeypatch, work, fresh):
    """Each wait of a call is cancelled in turn, and again shortly after: the task ends, and the next call reads."""
    monkeypatch.setattr(module, "_FRESH_SECONDS", fresh)
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0)  # as on a busy loop: psycopg lets others run at each step
    became = {}
    for after in AFTER:
        place = 1
        while (outcome := await _cancelled(database.app_url, work, place, after)) is not None:
            became[place, after] = outcome
            place += 1
    assert len(became) > 2 * len(AFTER)
    assert [each for each in became.items() if each[1] != "ended"] == []


async def test_a_call_that_is_cancelled_as_it_connects_leaves_no_process_at_the_server(database, monkeypatch):
    """However far the connection has come, it is closed: nothing of it is left to the garbage collector."""
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0)

    async def cancelled_after(steps):
        opened = Database(database.app_url, limits=PoolLimits(size=1))
        task = asyncio.create_task(_read(opened, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await opened.close()
        return task.cancelled()

    gc.disable()
    try:
        with psycopg.connect(administrator_url("postgres"), autocommit=True) as watching:
            assert any([await cancelled_after(steps) for steps in range(0, 300, 2)])
            await until(lambda: watching.execute(LEFT, [database.name, APP_ROLE]).fetchone() == (0,))
    finally:
        gc.enable()


def test_a_database_that_is_closed_has_every_connection_back(database):
    """Reads that are cancelled just before the end leave no connection open: each is returned, or closed."""

    async def played(after):
        opened = Database(database.app_url)

        async def read():
            async with opened.read() as session:
                await session.now()

        await read()
        reads = [asyncio.create_task(read()) for _ in range(6)]
        await asyncio.sleep(after)
        for each in reads:
            each.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        await opened.close()

    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        for number in range(60):
            asyncio.run(played(number / 3_000))
            gc.collect()
    assert [str(each.message) for each in left if each.category is ResourceWarning] == []
