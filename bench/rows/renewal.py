"""The sweep: with everything due, against one plain SQL statement that does the same writes; and with nothing due."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeVar

import psycopg

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database, PoolLimits
from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.migrate import migrate
from app.operations.consents.sweep_renewals import sweep_renewals
from bench.figures import Spread
from bench.progress import say
from bench.results import Row, bounded
from bench.sweep.race import Plan, prepare, register
from bench.world import World
from bench.wrk import BenchError

_Found = TypeVar("_Found")

_DUE: Final = 1_000_000
_DUE_QUICK: Final = 20_000
_MOST_TIMES: Final = 4.0
_IDLE_MS: Final = 50.0
_IDLE_RUNS: Final = 20
_SWEPT: Final = "sceau_swept"
_PLAIN: Final = "sceau_plain"
_FOREVER: Final = timedelta(hours=6)

_STATEMENT: Final = """
WITH due AS MATERIALIZED (
    SELECT subject_ref, id, processing, version, expires_at, expires_at <= now() AS lapsed, uuidv7() AS said
    FROM consent WHERE decision = 'granted' AND ended_by IS NULL AND renewal_stage = 366
        AND collected_at < now() - interval '305 days'
), flagged AS (
    INSERT INTO renewal_flag (subject_ref, processing, consent, kind, notice, id, flagged_at, expires_at)
    SELECT subject_ref, processing, id, CASE WHEN lapsed THEN 'expired' ELSE 'due' END,
        CASE WHEN lapsed THEN 0 ELSE 30 END, said, now(), expires_at FROM due
), appended AS (
    INSERT INTO consent_event (subject_ref, seq, id, kind, processing, version, collected_at, recorded_at, imported,
        evidence, recorded_by)
    SELECT subject_ref, 2, said, 'expired', processing, version, now(), now(), false,
        jsonb_build_object('consent', id), '00000000-0000-0000-0000-000000000000' FROM due WHERE lapsed
), told AS (
    INSERT INTO outbox (subject_ref, id, type, occurred_at, data)
    SELECT subject_ref, said, CASE WHEN lapsed THEN 'fr.sceau.consent.expired' ELSE 'fr.sceau.consent.renewal_due' END,
        now(), CASE WHEN lapsed THEN jsonb_build_object('consent', id, 'processing', processing)
            ELSE jsonb_build_object('consent', id, 'processing', processing, 'notice', 'P30D', 'expires_at', expires_at)
        END FROM due
)
UPDATE consent SET renewal_stage = CASE WHEN lapsed THEN 0 ELSE 30 END
FROM due WHERE consent.subject_ref = due.subject_ref AND consent.id = due.id
"""


def measure(world: World) -> list[Row]:
    """Both rows. The first is one run of each: a million consents cannot be flagged twice."""
    return [_due(world), _idle(world)]


def _due(world: World) -> Row:
    count = _DUE_QUICK if world.plan.quick else _DUE
    with _databases(world, count):
        plain = _timed_statement(world.postgres.url(role=APP_ROLE, database=_PLAIN), count)
        say(f"the plain statement took {plain:.1f} s")
        sweep = _timed_sweep(world.postgres.url(role=APP_ROLE, database=_SWEPT), count)
        say(f"the sweep took {sweep:.1f} s")
    return Row(
        f"sweep of {count:,} due consents, against one plain SQL statement doing the same writes",
        f"{sweep / plain:.2f} × its time",
        budget=f"≤ {_MOST_TIMES:g} ×",
        met=sweep <= _MOST_TIMES * plain,
        detail=f"{sweep:.1f} s ({count / sweep:,.0f}/s) against {plain:.1f} s; one worker, one run each, half lapsed",
        measured={"sweep_seconds": sweep, "plain_seconds": plain, "consents": count},
    )


def _idle(world: World) -> Row:
    times = asyncio.run(_idle_times(world.postgres.url(role=APP_ROLE, database=DATABASE)))
    name = f"idle sweep on {world.facts['consents']:,} consents"
    return bounded(name, Spread.of(times), _IDLE_MS, "ms", detail=f"{_IDLE_RUNS} sweeps in one process", times=times)


@contextmanager
def _databases(world: World, count: int) -> Iterator[None]:
    """Two equal databases whose consents are all due, half of them lapsed."""
    owner, swept = (world.postgres.url(role=role, database=_SWEPT) for role in (OWNER_ROLE, "postgres"))
    with psycopg.connect(world.postgres.url(role="postgres", database="postgres"), autocommit=True) as connection:
        for name in (_SWEPT, _PLAIN):
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {_SWEPT} OWNER {OWNER_ROLE}")
        migrate(owner, world.postgres.url(role=APP_ROLE, database=_SWEPT))
        register(swept)
        prepare(swept, Plan(count))
        connection.execute(f"CREATE DATABASE {_PLAIN} OWNER {OWNER_ROLE} TEMPLATE {_SWEPT}")
        connection.execute("CHECKPOINT")
        try:
            yield
        finally:
            for name in (_SWEPT, _PLAIN):
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _timed_statement(url: str, count: int) -> float:
    with psycopg.connect(url) as connection:
        began = time.monotonic()
        written = connection.execute(_STATEMENT).rowcount
        connection.commit()
        seconds = time.monotonic() - began
    if written != count:
        raise BenchError(f"the plain statement wrote {written} of {count}")
    return seconds


def _timed_sweep(url: str, count: int) -> float:
    async def sweep(database: Database) -> int:
        return (await sweep_renewals(database, Renewal(PeriodPolicy()), run=_FOREVER)).flagged.total()

    began = time.monotonic()
    flagged = asyncio.run(_with_database(url, sweep))
    seconds = time.monotonic() - began
    if flagged != count:
        raise BenchError(f"the sweep flagged {flagged} of {count}")
    return seconds


async def _idle_times(url: str) -> list[float]:
    async def sweeps(database: Database) -> list[float]:
        times = []
        for _ in range(_IDLE_RUNS + 1):
            began = time.monotonic()
            done = await sweep_renewals(database, Renewal(PeriodPolicy()))
            times.append((time.monotonic() - began) * 1000)
            if done.flagged:
                raise BenchError("a sweep that should be idle flagged something")
        return times[1:]  # the first one connects

    return await _with_database(url, sweeps)


async def _with_database(url: str, work: Callable[[Database], Awaitable[_Found]]) -> _Found:
    database = Database(url, limits=PoolLimits(2, 4, timedelta(minutes=5)))
    try:
        return await work(database)
    finally:
        await database.close()
