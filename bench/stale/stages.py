"""The parts of a long run: faults under the lease, PgBouncer, strict mode, and mechanisms that are switched off."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.db.embedded.cluster import APP_ROLE, DATABASE
from bench.progress import say
from bench.stale.callers import Crew, Plan
from bench.stale.edges import MEMORY, PERMITS, SOCKET, EdgeProgram
from bench.stale.episodes import register
from bench.stale.faults import Faults
from bench.stale.fleet import Fleet
from bench.stale.history import WITHDRAWN, Verdict
from bench.stale.key_episodes import episodes
from bench.stale.pooler import PROGRAM, Pooler
from bench.stale.proxy import Proxy
from bench.stale.servers import Servers
from tests.freshness import ways

LEASE: Final = 1.0
_SUBJECTS: Final = 48
_TOLD_EVERY: Final = 20
_CONTROL_SECONDS: Final = 40
_HOUR: Final = 3600
_DURABLE: Final = {"SCEAU_DECISION_LOG": "durable"}
_LOGGED: Final = "SELECT coalesce(sum(rows), 0) FROM decision_segment"


@dataclass(slots=True)
class Stage:
    """One part: what was found, what went wrong on purpose, how many requests got no answer or another than 2xx.

    `ways` counts by which ways decisions were answered, `wanted` names those without which the part proves nothing.
    """

    name: str
    verdict: Verdict = field(default_factory=Verdict)
    happened: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    ways: dict[str, int] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()

    def not_taken(self) -> list[str]:
        """The ways that nobody was answered by."""
        return ways.not_taken(self.ways, self.wanted)

    def never_happened(self) -> list[str]:
        """The faults that were meant to happen, and did not."""
        return [what for what, number in self.happened.items() if not number]


@dataclass(slots=True)
class Place:
    """Where a run takes place."""

    server: Servers
    directory: Path
    chance: random.Random
    number: int = 0

    @property
    def url(self) -> str:
        """The database, for the application."""
        return self.server.url()

    def logs(self) -> Path:
        """A directory for the logs of the next workers."""
        self.number += 1
        made = self.directory / f"logs-{self.number}"
        made.mkdir()
        return made


async def faulty(place: Place, seconds: float) -> Stage:
    """Three workers: behind a proxy and an hour early, an hour late and slow to tell, silent and slow to keep."""
    stage = Stage("leased, with every fault", wanted=(*ways.LEASED, ways.STOPPED))
    async with _proxied(place) as proxy:
        feed = f"postgresql://{APP_ROLE}@127.0.0.1:{proxy.port}/{DATABASE}"
        each = [
            {"SCEAU_DIRECT_DATABASE_URL": feed, "STALE_WALL_HOURS": "-1"},
            {"STALE_SLOW_PEEK": "0.02", "STALE_WALL_HOURS": "1"},
            {"STALE_SLOW_LANDING": "0.03", "STALE_NO_NOTIFY": "1"},
        ]
        async with _fleet(stage, place, place.url, each, edges=True) as fleet:
            for worker in fleet.workers:
                date = await asyncio.to_thread(worker.date)
                _count(stage, "wall clock an hour off", abs((date - datetime.now(UTC)).total_seconds()) > _HOUR / 2)
            _count(stage, "NOTIFY suppressed in a worker", 1)
            faults = Faults(place.server, fleet.workers, place.chance, LEASE, stage.happened, proxy=proxy)
            answered: Counter[str] = Counter({MEMORY: 0, PERMITS: 0, SOCKET: 0})
            edges = [EdgeProgram(worker.log.with_name(f"edge-{n}"), answered) for n, worker in enumerate(fleet.workers)]
            faults.edges = edges
            try:
                await _suffering(stage, place, fleet, faults, seconds)
            finally:
                for edge in edges:
                    await edge.stop()
            for what, number in answered.items():
                _count(stage, what, number)
    return stage


def _count(stage: Stage, what: str, number: int) -> None:
    stage.happened[what] = stage.happened.get(what, 0) + number


@asynccontextmanager
async def _proxied(place: Place) -> AsyncIterator[Proxy]:
    proxy = Proxy(lambda: place.server.socket)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def pooled(place: Place, seconds: float) -> Stage | None:
    """Two workers behind PgBouncer in transaction mode, their feeds direct, one with a durable log; and faults.

    None without PgBouncer.
    """
    if PROGRAM is None:
        say("no PgBouncer here (apt-get install pgbouncer): that part is left out")
        return None
    pooler = Pooler(place.directory / "pgbouncer", place.server.socket)
    stage = Stage("leased, behind PgBouncer", wanted=ways.LEASED)
    direct = {"SCEAU_DIRECT_DATABASE_URL": place.url}
    try:
        async with _fleet(stage, place, pooler.url, [direct, {**direct, **_DURABLE}]) as fleet:
            faults = Faults(
                place.server, fleet.workers, place.chance, LEASE, stage.happened, pooler=pooler, replaced=False
            )
            await _suffering(stage, place, fleet, faults, seconds)
        stage.happened["transactions through PgBouncer"] = pooler.transactions()
        return stage
    finally:
        pooler.stop()


async def strict(place: Place, seconds: float) -> Stage:
    """Two workers that read the primary each time, one with a durable log; and faults, but those of a feed."""
    stage = Stage("strict", wanted=ways.STRICT)
    mode = {"SCEAU_CACHE": "strict"}
    async with _fleet(stage, place, place.url, [mode, {**mode, **_DURABLE}]) as fleet:
        faults = Faults(place.server, fleet.workers, place.chance, LEASE, stage.happened, leased=False)
        await _suffering(stage, place, fleet, faults, seconds)
    return stage


async def control(place: Place, mutant: str) -> Stage:
    """Two workers with a mechanism switched off, until a stale permit is found."""
    each = [{"STALE_MUTANT": mutant, "STALE_NO_NOTIFY": "1", "STALE_SLOW_LANDING": "0.03"}] * 2
    stage = Stage(mutant)
    async with _fleet(stage, place, place.url, each) as fleet:
        await _work(stage, place, fleet, _CONTROL_SECONDS, until=lambda found: bool(found.stale))
    return stage


@asynccontextmanager
async def _fleet(
    stage: Stage, place: Place, url: str, each: Sequence[Mapping[str, str]], *, edges: bool = False
) -> AsyncIterator[Fleet]:
    """Workers that are stopped afterwards, and then asked which ways they answered by."""
    fleet = await asyncio.to_thread(
        lambda: Fleet(url, place.logs(), each, edges=edges, SCEAU_LEASE=f"PT{LEASE:g}S", SCEAU_DURABILITY="synchronous")
    )
    try:
        yield fleet
    finally:
        await asyncio.to_thread(fleet.stop)
        stage.ways = dict(fleet.ways())


async def _suffering(stage: Stage, place: Place, fleet: Fleet, faults: Faults, seconds: float) -> None:
    """Let callers loose while things fail.

    Raises:
        Exception: the one that ended the faults too early; a run without them proves nothing.

    """
    await faults.delay_commits()
    logged = (await faults.execute(_LOGGED))[0][0]
    failing = asyncio.create_task(faults.run())
    try:
        await _work(stage, place, fleet, seconds, edges=faults.edges)
    finally:
        if failing.done():
            failing.result()
        failing.cancel()
        await asyncio.gather(failing, return_exceptions=True)
        if faults.proxy is not None:
            faults.proxy.clear()
    _count(stage, "decisions logged", (await faults.execute(_LOGGED))[0][0] - logged)


async def _work(
    stage: Stage,
    place: Place,
    fleet: Fleet,
    seconds: float,
    *,
    edges: Sequence[EdgeProgram] = (),
    until: Callable[[Verdict], bool] = lambda _: False,
) -> None:
    """Let callers loose, and tell now and then."""
    plan = Plan(askers=1, pause=0.06)
    crew = Crew(fleet.workers, place.chance, plan, verdict=stage.verdict, refused=stage.refused, edges=edges)
    processing = None
    while processing is None:
        processing = await register(crew)
    telling = asyncio.create_task(_tell(stage))
    try:
        await crew.run(episodes(crew, processing, subjects=_SUBJECTS), seconds, until=until)
    finally:
        telling.cancel()
        stage.unanswered = crew.unanswered


async def _tell(stage: Stage) -> None:
    while True:
        found, raced = stage.verdict, stage.verdict.kind(WITHDRAWN)
        say(
            f"{stage.name}: {found.decisions} decisions, {raced.raced} withdrawals raced, {raced.permits} permits "
            f"before their answer, {len(found.stale)} stale"
        )
        await asyncio.sleep(_TOLD_EVERY)
