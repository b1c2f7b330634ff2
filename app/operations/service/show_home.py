"""What the console shows first: register, proposals, consents, decisions, deliveries, staff, jobs, the log.

Each section is read by itself: one that cannot be read is marked so, and the others are shown. None of them holds an
identifier or pseudonym of a person.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import structlog

from app.audit.figures import DayOfRuns, JobRun, add_run, drop_runs_before, latest_runs, list_runs, load_figure
from app.audit.log_reading import DecisionCount, count_by_day, midnight
from app.auth.callers import Caller
from app.core.register import GateProposal
from app.db.database import Database
from app.db.session import ReadSession, WriteSession
from app.events.effects import DeliveryCounts, EffectCount, count_effects, load_counts
from app.events.endpoints import Endpoint
from app.operations.consents import projections
from app.operations.staff import Coverage, read_staff_coverage
from app.operations.webhooks.manage_webhooks import list_webhooks
from app.proof.anchors import Anchoring, anchored_log
from app.register.gate import load_waiting, read_register
from app.register.records import Registered

SHOWN: Final = timedelta(days=14)
"""How far back decisions are shown."""
Content = TypeVar("Content")
log = structlog.get_logger("sceau.console")


@dataclass(frozen=True, slots=True)
class Read(Generic[Content]):
    """One section: its content, and the instant as of which it is true.

    `now`: when it was read. `content` None: it could not be read. `as_of` None: nothing was counted yet.
    """

    now: datetime | None = None
    as_of: datetime | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class ConsentCount:
    """How many consents to a processing are in a state; `month` is that of the expiry of those in force."""

    processing: str
    state: str
    month: str
    number: int


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The receivers that the caller may know of, and the counts of all."""

    endpoints: Sequence[Endpoint]
    counts: DeliveryCounts


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """Every section; only callers that may read all of the register see what waits at the gate."""

    register: Read[Mapping[str, Registered]]
    consents: Read[Sequence[ConsentCount]]
    decisions: Read[Sequence[DecisionCount]]
    deliveries: Read[Deliveries]
    effects: Read[Sequence[EffectCount]]
    staff: Read[Coverage]
    jobs: Read[Sequence[DayOfRuns]]
    anchors: Read[Anchoring]
    proposals: Read[Sequence[GateProposal]]


async def show_home(database: Database, caller: Caller, *, stamps_log: bool) -> HomeFigures:
    """Return everything that this caller may see: of the processings that it may name, and of the service as a whole.

    `stamps_log`: whether an authority outside is asked to stamp the log.
    """

    def seen(each: ConsentCount | DecisionCount | EffectCount) -> bool:
        return caller.may_ask_about(each.processing)

    async def register(session: ReadSession, _: datetime) -> Mapping[str, Registered]:
        return await read_register(session, caller.processings)

    async def consents(session: ReadSession, now: datetime) -> Read[Sequence[ConsentCount]]:
        figure = await load_figure(session, projections.CONSENTS)
        if figure is None:
            return Read(now, None, ())
        return Read(now, figure.counted_at, [*filter(seen, (ConsentCount(**each) for each in figure.numbers))])

    async def decisions(session: ReadSession, now: datetime) -> Sequence[DecisionCount]:
        return [*filter(seen, await count_by_day(session, midnight(now - SHOWN), now + timedelta(days=1)))]

    async def deliveries(session: ReadSession, _: datetime) -> Deliveries:
        return Deliveries(await list_webhooks(session, caller), await load_counts(session))

    async def effects(session: ReadSession, now: datetime) -> Sequence[EffectCount]:
        return [*filter(seen, await count_effects(session, now))]

    async def anchors(session: ReadSession, now: datetime) -> Anchoring:
        return (await anchored_log(session)).standing(now, is_on=stamps_log)

    async def proposals(session: ReadSession, _: datetime) -> Sequence[GateProposal]:
        return await load_waiting(session) if caller.processings is None else ()

    sections = (register, consents, decisions, deliveries, effects, staff, jobs, anchors, proposals)
    return HomeFigures(*[await _read(database, each) for each in sections])


async def staff(session: ReadSession, _: datetime) -> Coverage:
    """Return who of the staff took note of the notice."""
    return await read_staff_coverage(session)


async def jobs(session: ReadSession, _: datetime) -> Sequence[DayOfRuns]:
    """Return what each background task did last."""
    return await latest_runs(session)


async def _read(database: Database, load: Callable[[ReadSession, datetime], Awaitable[Any]]) -> Read[Any]:
    """Return one section, or that it could not be read; the log says which and why, by the class of the error."""
    try:
        async with database.read() as session:
            now = await session.now()
            content = await load(session, now)
            return content if isinstance(content, Read) else Read(now, now, content)
    except Exception as error:  # noqa: BLE001 - on any error, the other sections are shown
        log.warning("a section could not be read", section=load.__name__, cause=type(error).__name__)
    return Read()


# Runs of the background jobs: kept, and listed.

KEPT: Final = timedelta(days=90)
"""How long the days of each task are kept."""


async def record_job_run(session: WriteSession, run: JobRun) -> None:
    """Add a run to its task's row of that day (UTC, by the database's clock)."""
    await add_run(session, run, run.started_at.astimezone(UTC).date())


async def forget_old_runs(session: WriteSession) -> None:
    """Forget the days that are older than `KEPT`."""
    await drop_runs_before(session, (await session.now()).astimezone(UTC).date() - KEPT)


async def list_job_runs(session: ReadSession, *, task: str | None, days: int) -> Sequence[DayOfRuns]:
    """Return the last days of one task or of all, newest first; `days` 0: the last day on which each of them ran."""
    if days == 0:
        return [each for each in await latest_runs(session) if task in {None, each.task}]
    today = (await session.now()).astimezone(UTC).date()
    return await list_runs(session, task=task, since=today - timedelta(days=days - 1))
