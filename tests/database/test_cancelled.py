"""A task that is asked to end while it reads ends, at whatever point it is: it does not take that for a failure."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from app.db import database as module
from app.db.database import Database
from app.operations.service.outage_file import read_kept

AFTER = range(1, 4)
"""A second cancellation comes so many waits after the first, while what the first one broke is cleaned up."""


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


async def _cancelled(url, work, place, after):
    """What became of some work on a pool that has a connection; None where it waited less often."""
    database = Database(url)
    async with database.write() as session:
        server = session.committing.server
    waiting = CancelledAt(work(database, server), place, place + after)

    async def awaited():
        await waiting

    task = asyncio.create_task(awaited())
    await asyncio.wait({task})
    await database.close()
    if waiting.waits < place:
        return None
    return "ended" if task.cancelled() else repr(task.exception())


@pytest.mark.parametrize("fresh", [0, 60], ids=["asked first", "used at once"])
@pytest.mark.parametrize("work", [_read, _read_from, _prove])
def test_a_cancellation_is_no_failure_of_the_database(database, monkeypatch, work, fresh):
    """Each wait of a read is cancelled in turn, and again shortly after; every time the task ends cancelled."""
    monkeypatch.setattr(module, "_FRESH_SECONDS", fresh)

    async def all_of_them():
        became = {}
        for after in AFTER:
            place = 1
            while (told := await _cancelled(database.app_url, work, place, after)) is not None:
                became[place, after] = told
                place += 1
        return became

    became = asyncio.run(all_of_them())
    assert len(became) > 2 * len(AFTER)
    assert set(became.values()) == {"ended"}, became
