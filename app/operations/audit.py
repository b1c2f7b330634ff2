"""What an auditor reads (acts, decisions, permits that relied on a text), and the partitions of the log."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from uuid import UUID

import structlog

from app.audit.decision_log import correspondence_ref
from app.audit.log_reading import FoundDecisions, Resting, search
from app.audit.segments import HOUR, REF_BYTES, Wanted
from app.audit.store import drop_before, forget_writers, load_log_floor, make_partition
from app.audit.trail import ActKind, Entry, Target, TargetKind, TrailQuery, record_act, search_trail
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import WriteSession
from app.operations.service.deployment import Deployment, SubjectName, recorded_ref, ref_of
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
    """Return the next entries that match and that this caller may see, newest first; `subject` is a name.

    A caller that is limited to some processings sees what was done to those, and what it did itself.
    """
    ref = await ref_of(session, deployment, subject) if subject is not None else None
    within = tuple(sorted(caller.processings)) if caller.processings is not None else None
    narrowed = replace(query, target=replace(query.target, subject_ref=ref), within=within, caller_within=caller.id)
    entries = await search_trail(session, narrowed, before=before, limit=limit + 1)
    page = entries[:limit]
    filters = [name for name in _FILTERS if getattr(query, name) is not None]
    filters += ["object"] * (query.target.thing is not None) + ["subject"] * (ref is not None)
    target = Target(subject_ref=recorded_ref(ref) if ref is not None else None)
    await record_act(session, ActKind.AUDIT_TRAIL_SEARCHED, caller.id, target, {"filters": filters})
    return TrailPage(page, page[-1].id if len(entries) > limit else None)


@dataclass(frozen=True, slots=True)
class DecisionQuery:
    """Which decisions are searched; None asks for all. `since` is included, `until` is not.

    `subject` and `correspondence` (type, id) are names.
    """

    since: datetime | None = None
    until: datetime | None = None
    subject: SubjectName | None = None
    correspondence: tuple[str, str] | None = None
    processings: tuple[str, ...] | None = None
    decision: bool | None = None
    reason: str | None = None
    id: UUID | None = None


async def search_decisions(
    session: WriteSession,
    deployment: Deployment,
    caller: Caller,
    query: DecisionQuery,
    *,
    before: UUID | None,
    limit: int,
) -> FoundDecisions:
    """Return the next decisions that match, newest first; the session holds the log still.

    A correspondence is searched among one person's decisions: without a subject none is found. The trail records who
    searched, by which filters and for whose decisions: once for each page, since each shows more.
    """
    ref = await ref_of(session, deployment, query.subject) if query.subject is not None else None
    wanted = Wanted(
        since=query.since,
        until=query.until,
        ref=None if ref is None else ref[:REF_BYTES],
        processings=query.processings,
        permitted=query.decision,
        reason=query.reason,
        identifier=query.id,
    )
    about: Callable[[int], bytes] | None = None
    if query.correspondence is not None and ref is not None:
        opaque, kind, identifier = deployment.pseudonyms.opaque, *query.correspondence
        about = cache(lambda day: correspondence_ref(opaque, ref, day, kind, identifier))
    page = await search(session, wanted, before=before, limit=limit, correspondence=about)
    detail = {"filters": [_FILTER_WORDS.get(name, name) for name in _FILTERED if getattr(query, name) is not None]}
    await record_act(session, ActKind.DECISIONS_SEARCHED, caller.id, await _target(session, query, ref), detail)
    return page


_FILTERED: Final = tuple(DecisionQuery.__dataclass_fields__)
_FILTER_WORDS: Final = {"processings": "processing"}


async def _target(session: WriteSession, query: DecisionQuery, ref: bytes | None) -> Target:
    """Return whose decisions were searched, and about which processing if the register holds it."""
    only = query.processings[0] if query.processings is not None and len(query.processings) == 1 else None
    subject_ref = recorded_ref(ref) if ref is not None else None
    if only is None or await load_processing(session, only) is None:
        return Target(subject_ref=subject_ref)
    return Target(TargetKind.PROCESSING, only, subject_ref)


async def list_relying_permits(  # noqa: PLR0917 - which invalidation, and which page
    session: WriteSession, caller: Caller, processing: str, number: int, before: UUID | None, limit: int
) -> FoundDecisions:
    """Return the next permits that rested on what an invalidation strikes, newest first, and record who looked.

    The log is read backwards for a second or so: a page may hold fewer than `limit`, or none, and have a next one.

    Raises:
        NotFoundError: no such processing, or no such invalidation of it.

    """
    record = await load_processing(session, processing)
    invalidations = await load_invalidations(session, processing) if record is not None else []
    struck = next((each.struck for each in invalidations if each.number == number), None)
    if struck is None or record is None:
        raise NotFoundError
    wanted = Wanted(since=record.registered_at - HOUR, processings={processing}, permitted=True)
    resting = Resting(processing, struck)
    page = await search(session, wanted, before=before, limit=limit, resting=resting)
    target = Target(TargetKind.PROCESSING, processing)
    await record_act(session, ActKind.DECISIONS_SEARCHED, caller.id, target, {"filters": ["invalidation"]})
    return page


# Keep the decision log's partitions: those of today and tomorrow made, those past their retention dropped.

_EVERY_SECONDS = 3_600
_IDLE: Final = timedelta(days=7)
log = structlog.get_logger("sceau.decision_log")


async def keep_log(database: Database, retention: timedelta) -> None:
    """Turn the log over every hour, until cancelled."""
    while True:
        try:
            async with database.write() as session:
                await turn_over(session, retention)
        except DatabaseUnavailableError:
            await asyncio.sleep(5)
        except Exception as error:  # noqa: BLE001 - on any error: the day after tomorrow needs its partition
            log.warning("the log could not be turned over", cause=type(error).__name__)
            await asyncio.sleep(60)
        else:
            await asyncio.sleep(_EVERY_SECONDS)


async def turn_over_at_start(database: Database, retention: timedelta) -> None:
    """Make the log's partitions before the first decision. A lock that others hold on it must not prevent the start."""
    try:
        async with database.write() as session:
            await turn_over(session, retention)
    except DatabaseUnavailableError:
        log.warning("the decision log is turned over later")


async def turn_over(session: WriteSession, retention: timedelta) -> None:
    """Make the partitions that will be needed, and drop the days (UTC) that are older than the retention.

    A day younger than the owner's floor is never dropped, even where the retention is shorter.
    """
    today = (await session.instant()).astimezone(UTC).date()
    for day in (today, today + timedelta(days=1)):
        await make_partition(session, day)
    await forget_writers(session, _IDLE)
    floor = await load_log_floor(session)
    if retention < floor:
        log.warning("the owner's floor keeps days longer than SCEAU_DECISION_LOG_RETENTION", days=floor.days)
    dropped = await drop_before(session, today - max(retention, floor))
    if dropped:
        log.info("old days of the decision log dropped", days=dropped)
