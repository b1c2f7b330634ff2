"""What an operation does on a database, with connections of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.db.database import Database
from app.operations.consents.projections import rebuild_projection
from tests.support.databases import TestDatabase


def in_a_pool(database: TestDatabase, work: Callable[[Database], Awaitable[Any]], **how: Any) -> Any:
    """What a coroutine gives that is handed a pool, which is closed afterwards; `how` is the pool's."""

    async def run() -> Any:
        pool = Database(database.app_url, **how)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())


def in_a_session(
    database: TestDatabase, work: Callable[[Any], Awaitable[Any]], *, writes: bool = False, **how: Any
) -> Any:
    """What a coroutine gives that is handed a session of such a pool, which only reads unless it `writes`."""

    async def within(pool: Database) -> Any:
        async with pool.write() if writes else pool.read() as session:
            return await work(session)

    return in_a_pool(database, within, **how)


def rebuilt(database: TestDatabase, *, repair: bool = True) -> tuple[int, int]:
    """How many subjects a rebuild of the projection looks at, and how many consents differ."""

    async def rebuild(pool: Database) -> tuple[int, int]:
        steps = [step async for step in rebuild_projection(pool, repair=repair)]
        return steps[-1].subjects, steps[-1].differing

    counts: tuple[int, int] = in_a_pool(database, rebuild)
    return counts
