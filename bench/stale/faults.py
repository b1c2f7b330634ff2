"""What goes wrong during a run, each with the evidence that it did."""

import asyncio
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from app.db.embedded.cluster import APP_ROLE, DATABASE
from bench.stale.edges import EdgeProgram
from bench.stale.fleet import Worker
from bench.stale.pooler import Pooler
from bench.stale.proxy import Proxy
from bench.stale.servers import Servers

_FEED_CUT: Final = "feed connection ended by the server"
_READER_CUT: Final = "other connection ended by the server"
_LOST: Final = "feed black-holed, bytes lost"
_LATE: Final = "feed black-holed, bytes late"
_FROZEN: Final = "worker stopped past its lease"
_RESTARTED: Final = "server restarted"
_POOLER_KILLED: Final = "PgBouncer killed"
_OUT_OF_ORDER: Final = "change committed out of order (sampled)"
_REPLACED: Final = "primary frozen, replaced by its standby and thawed"
_EDGE_STOPPED: Final = "edge stopped past its lease"
_EDGE_KILLED: Final = "edge killed"
_EDGE_FORKED: Final = "program with an edge forked"
_ALONE: Final = "standby stopped past the lease"
_FEEDS: Final = (
    "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (query LIKE '%WITH beaten AS%'"
    " OR query LIKE 'WITH news AS%' OR query LIKE '%set_config(''synchronous_commit''%')"
)
_READERS: Final = (
    "SELECT pid FROM pg_stat_activity"
    f" WHERE usename = '{APP_ROLE}' AND datname = '{DATABASE}' AND pid NOT IN ({_FEEDS})"
)
_COMMITS: Final = """
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
    """One after the other, at random, with pauses between; `happened` counts what is known to have taken place.

    `leased`: the workers have feeds. `replaced`: they know every server, so that another may take over. `proxy` and
    `pooler` stand in front of the server, where there are any.
    """

    server: Servers
    workers: list[Worker]
    chance: random.Random
    lease: float
    happened: dict[str, int] = field(default_factory=dict)
    leased: bool = True
    replaced: bool = True
    proxy: Proxy | None = None
    pooler: Pooler | None = None
    edges: Sequence[EdgeProgram] = ()

    def count(self, what: str, number: int = 1) -> None:
        """It happened so often."""
        self.happened[what] = self.happened.get(what, 0) + number

    async def run(self) -> None:
        """Until cancelled."""
        possible = [
            (self.cut_feeds, _FEED_CUT, 4 * self.leased),
            (self.lost, _LOST, 2 * bool(self.proxy)),
            (self.held_back, _LATE, 2 * bool(self.proxy)),
            (self.frozen, _FROZEN, 3),
            (self.look_at_commits, _OUT_OF_ORDER, 4),
            (self.cut_readers, _READER_CUT, 2),
            (self.restart_pooler, _POOLER_KILLED, 2 * bool(self.pooler)),
            (self.edge_stopped, _EDGE_STOPPED, 3 * bool(self.edges)),
            (self.edge_killed, _EDGE_KILLED, 2 * bool(self.edges)),
            (self.edge_forked, _EDGE_FORKED, 2 * bool(self.edges)),
            (self.restart, _RESTARTED, 1),
            (self.without_standby, _ALONE, 1),
            (self.fail_over, _REPLACED, int(self.replaced)),
        ]
        acts = [act for act, _, weight in possible for _ in range(weight)]
        first = [act for act, _, weight in possible if weight]  # each once, so that none is left out by chance
        self.chance.shuffle(first)
        for _, what, weight in possible:
            if weight:
                self.count(what, 0)  # so that one which never happens is seen
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 2.5))
            try:
                await (first.pop() if first else self.chance.choice(acts))()
            except psycopg.Error:
                self.count("fault put off: the administrator's connection failed")

    async def cut_feeds(self) -> None:
        """The server ends feed connections."""
        ended = await self.execute(f"SELECT pg_terminate_backend(pid) FROM ({_FEEDS}) AS feeds")
        self.count(_FEED_CUT, sum(bool(each[0]) for each in ended))

    async def cut_readers(self) -> None:
        """The server ends what decisions and writes use, some of them in the middle of a transaction."""
        ended = await self.execute(f"SELECT pg_terminate_backend(pid) FROM ({_READERS}) AS readers")
        self.count(_READER_CUT, sum(bool(each[0]) for each in ended))

    async def restart_pooler(self) -> None:
        """PgBouncer is killed and started again."""
        assert self.pooler is not None
        await asyncio.to_thread(self.pooler.restart)
        self.count(_POOLER_KILLED)

    async def lost(self) -> None:
        """A network that swallows a feed's bytes, and never says so."""
        assert self.proxy is not None
        before = self.proxy.swallowed
        self.proxy.hole(lost=True)
        await asyncio.sleep(self.chance.uniform(1, 2.5) * self.lease)
        self.proxy.clear()
        self.count(_LOST, int(self.proxy.swallowed > before))

    async def held_back(self) -> None:
        """A network that holds a feed's bytes back, and delivers them late."""
        assert self.proxy is not None
        before = self.proxy.held
        self.proxy.hole(lost=False)
        await asyncio.sleep(self.chance.uniform(0.5, 2.5) * self.lease)
        self.proxy.clear()
        self.count(_LATE, int(self.proxy.held > before))

    async def frozen(self) -> None:
        """A worker that is stopped for longer than its lease."""
        worker = self.chance.choice(self.workers)
        worker.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.lease + self.chance.uniform(0.2, 1.5))
            self.count(_FROZEN, int(worker.is_stopped()))
        finally:
            worker.signal(signal.SIGCONT)

    async def edge_stopped(self) -> None:
        """An edge that is stopped for longer than its lease, and wakes."""
        edge = self.chance.choice(self.edges)
        stopped = edge.signal(signal.SIGSTOP)
        await asyncio.sleep(self.lease + self.chance.uniform(0.2, 1.5))
        self.count(_EDGE_STOPPED, int(edge.signal(signal.SIGCONT) and stopped))

    async def edge_killed(self) -> None:
        """An edge that is killed while it is asked."""
        self.count(_EDGE_KILLED, int(self.chance.choice(self.edges).signal(signal.SIGKILL)))

    async def edge_forked(self) -> None:
        """A program that forks with an edge, and goes on in the child."""
        self.count(_EDGE_FORKED, int(await self.chance.choice(self.edges).fork()))

    async def restart(self) -> None:
        """The primary is killed and started again."""
        await asyncio.to_thread(self.server.restart)
        self.count(_RESTARTED)

    async def without_standby(self) -> None:
        """The standby is stopped: nothing commits, so nothing may be permitted on what nobody proves."""
        standby = self.server.standby
        standby.freeze()
        try:
            await asyncio.sleep(self.lease + self.chance.uniform(0.2, 1.5))
        finally:
            standby.thaw()
        self.count(_ALONE)

    async def fail_over(self) -> None:
        """A primary freezes, its standby takes its place, and it thaws and answers on the connections that it had."""
        await asyncio.to_thread(self.server.fail_over, self.chance.uniform(1, 3) * self.lease)
        self.count(_REPLACED)

    async def delay_commits(self) -> None:
        """From now on, one commit in five takes up to 50 ms after its id was taken."""
        await self.execute(_SLOW_COMMITS)

    async def look_at_commits(self) -> None:
        """How many of the changes now in the table were committed after one with a later id."""
        rows = await self.execute(_COMMITS)
        self.count(_OUT_OF_ORDER, rows[0][0])

    async def execute(self, statement: str) -> list[Any]:
        """Run statements as the server's administrator; the rows of the last."""
        url = self.server.primary.url("postgres")
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
        async with connection:
            cursor = await connection.execute(statement.encode())
            return await cursor.fetchall() if cursor.description is not None else []
