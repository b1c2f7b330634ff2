"""What an auditor reads: acts, decisions, permits that relied on a text. And the partitions and counts of the log."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.audit.decision_log import correspondence_ref
from app.audit.figures import (
    CLOCKS_APART,
    LOGGED,
    Figure,
    add_up_days,
    count_decisions,
    first_logged,
    keep_figure,
    load_figure,
    lowest_id,
    one_at_a_time,
)
from app.audit.relying import FIRST_STRETCH, list_relying, next_stretch, time_of
from app.audit.store import (
    LoggedDecision,
    LogQuery,
    days_logged,
    drop_before,
    load_log_floor,
    make_partition,
    search_log,
)
from app.audit.trail import ActKind, Entry, Target, TargetKind, TrailQuery, record_act, search_trail
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.register import Struck
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession, WriteSession
from app.operations.service.deployment import NOBODY, Deployment, SubjectName, recorded_ref, ref_of
from app.register.store import load_invalidations, load_processing

_FILTERS: Final = ("acts", "caller", "since", "until")


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Some entries, newest first, and where the next page begins; None when there is none."""

    items: Sequence[Entry]
    next_before: UUID | None


async def read_audit_trail(
    session: WriteSession,
    deployment: Deployment,
    caller: Caller,
    query: TrailQuery,
    *,
    subject: SubjectName | None,
    before: UUID | None,
    limit: int,
) -> TrailPage:
    """The next entries that match and that this caller may see, newest first; `subject` is a name.

    A caller that may name some processings only sees what was done to those, and what it did itself.
    """
    ref = await ref_of(session, deployment, subject) if subject is not None else None
    within = tuple(sorted(caller.processings)) if caller.processings is not None else None
    narrowed = replace(query, target=replace(query.target, subject_ref=ref), within=within, caller_within=caller.id)
    found = await search_trail(session, narrowed, before=before, limit=limit + 1)
    page = found[:limit]
    filters = [name for name in _FILTERS if getattr(query, name) is not None]
    filters += ["object"] * (query.target.thing is not None) + ["subject"] * (ref is not None)
    target = Target(subject_ref=recorded_ref(ref) if ref is not None else None)
    await record_act(session, ActKind.AUDIT_TRAIL_SEARCHED, caller.id, target, {"filters": filters})
    return TrailPage(page, page[-1].id if len(found) > limit else None)


_WORDS: Final = {
    "since": "since",
    "until": "until",
    "ref": "subject",
    "correspondence_refs": "correspondence",
    "processings": "processing",
    "permitted": "decision",
    "reason": "reason",
    "identifier": "id",
}
"""What the trail calls the filters of a search."""


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Some decisions, newest first, and where the next page begins; None when there is none."""

    items: Sequence[LoggedDecision]
    next_before: UUID | None


async def search_decisions(
    session: WriteSession,
    deployment: Deployment,
    caller: Caller,
    query: LogQuery,
    *,
    subject: SubjectName | None,
    correspondence: tuple[str, str] | None,
    before: UUID | None,
    limit: int,
) -> DecisionPage:
    """The next decisions that match, newest first; `subject` and `correspondence` are names, the rest is in `query`.

    A correspondence (type, id) is searched among one person's decisions: without a subject none is found. Who
    searched, by what and for whose decisions is recorded: each page, for each shows more.
    """
    ref = await ref_of(session, deployment, subject) if subject is not None else None
    narrowed = replace(query, ref=ref)
    if correspondence is not None:
        opaque, about = deployment.pseudonyms.opaque, ref or NOBODY
        days = await days_logged(session, about)
        refs = [correspondence_ref(opaque, about, day, *correspondence) for day in days]
        narrowed = replace(narrowed, correspondence_refs=refs)
    found = await search_log(session, narrowed, before=before, limit=limit + 1)
    page = found[:limit]
    told = {"filters": [_WORDS[name] for name in _WORDS if getattr(narrowed, name) is not None]}
    await record_act(session, ActKind.DECISIONS_SEARCHED, caller.id, await _target(session, narrowed), told)
    return DecisionPage(page, page[-1].id if len(found) > limit else None)


async def _target(session: WriteSession, query: LogQuery) -> Target:
    """Whose decisions were searched, and about which processing if it is one that the register holds."""
    only = query.processings[0] if query.processings is not None and len(query.processings) == 1 else None
    ref = recorded_ref(query.ref) if query.ref is not None else None
    if only is None or await load_processing(session, only) is None:
        return Target(subject_ref=ref)
    return Target(TargetKind.PROCESSING, only, ref)


_LOOKED: Final = 1.0
"""Seconds after which a page is given as far as it is, so that a long log takes many requests and none too long."""


async def list_relying_permits(  # noqa: PLR0917 - which invalidation, and which page
    session: WriteSession, caller: Caller, processing: str, number: int, before: UUID | None, limit: int
) -> DecisionPage:
    """The next permits, newest first, of an invalidation in force, waiting or rejected; who looked is recorded.

    The log is read backwards for a second at most: a page may hold fewer than `limit`, or none, and have a next one.

    Raises:
        NotFoundError: no such processing, or no such invalidation of it.

    """
    record = await load_processing(session, processing)
    known = await load_invalidations(session, processing) if record is not None else []
    struck = next((each.struck for each in known if each.number == number), None)
    if struck is None or record is None:
        raise NotFoundError
    now = await session.now() + timedelta(seconds=2 * CLOCKS_APART)
    page = await _page(session, processing, struck, lowest_id(record.registered_at), before or lowest_id(now), limit)
    target = Target(TargetKind.PROCESSING, processing)
    await record_act(session, ActKind.DECISIONS_SEARCHED, caller.id, target, {"filters": ["invalidation"]})
    return page


async def _page(  # noqa: PLR0917 - a stretch of the log, and how much of it
    session: ReadSession, processing: str, struck: Struck, begins: UUID, last: UUID, limit: int
) -> DecisionPage:
    found: list[LoggedDecision] = []
    until, stretch = time.monotonic() + _LOOKED, FIRST_STRETCH
    while last > begins and (started := time.monotonic()) < until:
        first = max(begins, lowest_id(time_of(last) - stretch))
        more = await list_relying(session, processing, struck, first, last, limit=limit + 1 - len(found))
        found += more
        if len(found) > limit:
            return DecisionPage(found[:limit], found[limit - 1].id)
        last, stretch = first, next_stretch(stretch, time.monotonic() - started)
    return DecisionPage(found, last if last > begins else None)


# Keep the decision log's partitions: those of today and tomorrow made, those past their retention dropped.

_EVERY_SECONDS = 3_600
log = structlog.get_logger("sceau.decision_log")


async def keep_log(database: Database, retention: timedelta) -> None:
    """Do so every hour, until cancelled."""
    while True:
        try:
            async with database.write() as session:
                await turn_over(session, retention)
        except DatabaseUnavailableError:
            await asyncio.sleep(5)
        except Exception as error:  # noqa: BLE001 - whatever it is: the day after tomorrow needs its partition
            log.warning("the log could not be turned over", cause=type(error).__name__)
            await asyncio.sleep(60)
        else:
            await asyncio.sleep(_EVERY_SECONDS)


async def turn_over(session: WriteSession, retention: timedelta) -> None:
    """Make the partitions that will be needed, and drop the days (UTC) that are older than the retention.

    No day younger than the owner's floor is dropped: a retention that is shorter waits for it.
    """
    today = (await session.instant()).astimezone(UTC).date()
    for day in (today, today + timedelta(days=1)):
        await make_partition(session, day)
    floor = await load_log_floor(session)
    if retention < floor:
        log.warning("the owner's floor keeps days longer than SCEAU_DECISION_LOG_RETENTION", days=floor.days)
    dropped = await drop_before(session, today - max(retention, floor))
    if dropped:
        log.info("old days of the decision log dropped", days=dropped)


SHOWN: Final = timedelta(days=14)
"""How far back the dashboard shows decisions, and they are counted by hour."""
_LATE: Final = timedelta(hours=1)
"""How long an hour that is over is counted again: the log of a worker that lost the database comes later."""

_AT_ONCE: Final = timedelta(days=1)
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def count_logged_decisions(session: WriteSession) -> bool:
    """Count what is not settled yet; False when another process counts already.

    Reads the log of about two hours, whatever its size; after a time without it, of one day at each run.
    """
    if not await one_at_a_time(session, LOGGED):
        return False
    now = await session.now()
    before = await load_figure(session, LOGGED)
    since = (before.settled_until if before is not None else None) or _BEGINNING
    first = await first_logged(session, since)
    until = min(now, (_hour(first) if first is not None else now) + _AT_ONCE)
    settled = min(_hour(now - _LATE), _hour(until))
    await count_decisions(session, since, until)
    await add_up_days(session, min(settled, now - SHOWN - timedelta(days=1)))
    await keep_figure(session, LOGGED, Figure(until, await session.now() - now, settled))
    return True


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
