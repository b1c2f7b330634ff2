"""The parts of a long run: faults under the lease, PgBouncer, strict mode, and mechanisms that are switched off."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from app.db.embedded import APP_ROLE, DATABASE, EmbeddedServer
from bench.progress import say
from bench.stale.callers import Crew, Plan
from bench.stale.episodes import episodes, register
from bench.stale.faults import Faults
from bench.stale.fleet import Fleet
from bench.stale.history import Verdict
from bench.stale.pooler import PROGRAM, Pooler
from bench.stale.proxy import Proxy

LEASE: Final = 1.0
_SUBJECTS: Final = 24
_TOLD_EVERY: Final = 20
_CONTROL_SECONDS: Final = 40
_HOUR: Final = 3600


@dataclass(slots=True)
class Stage:
    """One part: what was found, what went wrong on purpose, how many requests got no answer or another than 2xx."""

    name: str
    verdict: Verdict = field(default_factory=Verdict)
    happened: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    refused: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Place:
    """Where a run takes place."""

    server: EmbeddedServer
    directory: Path
    chance: random.Random
    number: int = 0

    @property
    def url(self) -> str:
        """The database, for the application."""
        return self.server.url(role=APP_ROLE, database=DATABASE)

    @property
    def socket(self) -> Path:
        """The directory of the server's socket."""
        return Path(unquote(parse_qs(urlsplit(self.url).query)["host"][0]))

    def logs(self) -> Path:
        """A directory for the logs of the next workers."""
        self.number += 1
        made = self.directory / f"logs-{self.number}"
        made.mkdir()
        return made


async def faulty(place: Place, seconds: float) -> Stage:
    """Three workers: behind a proxy and an hour early, an hour late and silent, slow to keep; and everything fails."""
    stage = Stage("leased, with every fault")
    async with _proxied(place) as proxy:
        feed = f"postgresql://{APP_ROLE}@127.0.0.1:{proxy.port}/{DATABASE}"
        each = [
            {"SCEAU_FEED_DATABASE_URL": feed, "STALE_WALL_HOURS": "-1"},
            {"STALE_NO_NOTIFY": "1", "STALE_WALL_HOURS": "1"},
            {"STALE_SLOW_LANDING": "0.03", "STALE_NO_NOTIFY": "1"},
        ]
        fleet = await asyncio.to_thread(_fleet, place, place.url, each)
        try:
            faults = Faults(place.server, fleet.workers, proxy, place.chance, LEASE, stage.happened)
            await faults.delay_commits()
            for worker in fleet.workers:
                date = await asyncio.to_thread(worker.date)
                faults.count("wall clock an hour off", abs((date - datetime.now(UTC)).total_seconds()) > _HOUR / 2)
            faults.count("NOTIFY suppressed in a worker", 2)
            failing = asyncio.create_task(faults.run())
            try:
                await _work(stage, place, fleet, seconds)
            finally:
                failing.cancel()
                await asyncio.gather(failing, return_exceptions=True)
                proxy.clear()
        finally:
            await asyncio.to_thread(fleet.stop)
    return stage


@asynccontextmanager
async def _proxied(place: Place) -> AsyncIterator[Proxy]:
    proxy = Proxy(str(place.socket / ".s.PGSQL.5432"))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def pooled(place: Place, seconds: float) -> Stage | None:
    """Two workers behind PgBouncer in transaction mode, their feeds direct; None without PgBouncer."""
    if PROGRAM is None:
        say("no PgBouncer here (apt-get install pgbouncer): that part is left out")
        return None
    pooler = Pooler(place.directory / "pgbouncer", place.socket)
    try:
        each = [{"SCEAU_FEED_DATABASE_URL": place.url}] * 2
        stage = await _plain(place, "leased, behind PgBouncer", pooler.url, each, seconds)
        stage.happened["transactions through PgBouncer"] = pooler.transactions()
        return stage
    finally:
        pooler.stop()


async def strict(place: Place, seconds: float) -> Stage:
    """Two workers that read the primary each time."""
    return await _plain(place, "strict", place.url, [{"SCEAU_CACHE": "strict"}] * 2, seconds)


async def control(place: Place, mutant: str) -> Stage:
    """Two workers with a mechanism switched off, until a stale permit is found."""
    each = [{"STALE_MUTANT": mutant, "STALE_NO_NOTIFY": "1", "STALE_SLOW_LANDING": "0.03"}] * 2
    return await _plain(place, mutant, place.url, each, _CONTROL_SECONDS, until=lambda found: bool(found.stale))


async def _plain(
    place: Place,
    name: str,
    url: str,
    each: Sequence[Mapping[str, str]],
    seconds: float,
    *,
    until: Callable[[Verdict], bool] = lambda _: False,
) -> Stage:
    stage = Stage(name)
    fleet = await asyncio.to_thread(_fleet, place, url, each)
    try:
        await _work(stage, place, fleet, seconds, until=until)
    finally:
        await asyncio.to_thread(fleet.stop)
    return stage


def _fleet(place: Place, url: str, each: Sequence[Mapping[str, str]]) -> Fleet:
    return Fleet(url, place.logs(), each, SCEAU_LEASE=f"PT{LEASE:g}S")


async def _work(
    stage: Stage, place: Place, fleet: Fleet, seconds: float, *, until: Callable[[Verdict], bool] = lambda _: False
) -> None:
    """Let callers loose, and tell now and then."""
    crew = Crew(fleet.workers, place.chance, Plan(pause=0.06), verdict=stage.verdict, refused=stage.refused)
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
        found = stage.verdict
        say(
            f"{stage.name}: {found.decisions} decisions, {found.races} races, {found.permits_before_answer} permits "
            f"before the answer, {len(found.stale)} stale"
        )
        await asyncio.sleep(_TOLD_EVERY)
