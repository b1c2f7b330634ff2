"""What goes wrong during a run, each with the evidence that it did."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from app.db.embedded import DATABASE, EmbeddedServer
from bench.stale.fleet import Worker
from bench.stale.proxy import Proxy

_FEEDS: Final = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%WITH beaten AS%' AND pid <> pg_backend_pid()"
_OUT_OF_ORDER: Final = """
SELECT count(*) FROM (
    SELECT pg_xact_commit_timestamp(xid::xid) AS done,
        max(pg_xact_commit_timestamp(xid::xid)) OVER (ORDER BY xid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS before
    FROM (SELECT DISTINCT xid FROM change) AS changes
) AS each WHERE done < before
"""
_SLOW_COMMITS: Final = """
CREATE OR REPLACE FUNCTION stale_wait() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN IF random() < 0.2 THEN PERFORM pg_sleep(random() * 0.05); END IF; RETURN NULL; END';
DROP TRIGGER IF EXISTS stale_wait ON change;
CREATE CONSTRAINT TRIGGER stale_wait AFTER INSERT ON change DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION stale_wait();
"""


@dataclass(slots=True)
class Faults:
    """One after the other, at random, with pauses between; `happened` counts what is known to have taken place."""

    server: EmbeddedServer
    workers: list[Worker]
    proxy: Proxy
    chance: random.Random
    lease: float
    happened: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, number: int = 1) -> None:
        """It happened so often."""
        self.happened[what] = self.happened.get(what, 0) + number

    async def run(self) -> None:
        """Until cancelled."""
        weighed: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.cut_feeds, 4),
            (self.lost, 2),
            (self.held_back, 2),
            (self.frozen, 3),
            (self.look_at_commits, 4),
            (self.restart, 1),
        ]
        acts = [act for act, weight in weighed for _ in range(weight)]
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 2.5))
            try:
                await self.chance.choice(acts)()
            except psycopg.Error:
                self.count("fault put off: the administrator's connection failed")

    async def cut_feeds(self) -> None:
        """The server ends feed connections."""
        ended = await self.execute(f"SELECT pg_terminate_backend(pid) FROM ({_FEEDS}) AS feeds")
        self.count("feed connection ended by the server", sum(bool(each[0]) for each in ended))

    async def lost(self) -> None:
        """A network that swallows a feed's bytes, and never says so."""
        before = self.proxy.swallowed
        self.proxy.hole(lost=True)
        await asyncio.sleep(self.chance.uniform(1, 2.5) * self.lease)
        self.proxy.clear()
        self.count("feed black-holed, bytes lost", int(self.proxy.swallowed > before))

    async def held_back(self) -> None:
        """A network that holds a feed's bytes back, and delivers them late."""
        before = self.proxy.held
        self.proxy.hole(lost=False)
        await asyncio.sleep(self.chance.uniform(0.5, 2.5) * self.lease)
        self.proxy.clear()
        self.count("feed black-holed, bytes late", int(self.proxy.held > before))

    async def frozen(self) -> None:
        """A worker that is stopped for longer than its lease."""
        worker = self.chance.choice(self.workers)
        worker.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.lease + self.chance.uniform(0.2, 1.5))
            self.count("worker stopped past its lease", int(worker.is_stopped()))
        finally:
            worker.signal(signal.SIGCONT)

    async def restart(self) -> None:
        """The server is stopped and started again."""
        self.server.stop()
        self.server.start()
        self.count("server restarted")

    async def delay_commits(self) -> None:
        """From now on, one commit in five takes up to 50 ms after its id was taken."""
        await self.execute(_SLOW_COMMITS)

    async def look_at_commits(self) -> None:
        """How many of the changes now in the table were committed after one with a later id."""
        rows = await self.execute(_OUT_OF_ORDER)
        self.count("change committed out of order (sampled)", rows[0][0])

    async def execute(self, statement: str) -> list[Any]:
        """Run statements as the server's administrator; the rows of the last."""
        url = self.server.url(role="postgres", database=DATABASE)
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        async with connection:
            cursor = await connection.execute(statement.encode())
            return await cursor.fetchall() if cursor.description is not None else []
