"""What an auditor reads: the trail of acts, decisions by what is asked of them, and permits that relied on a text."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.audit.decision_log import correspondence_ref
from app.audit.figures import CLOCKS_APART, lowest_id
from app.audit.relying import FIRST_STRETCH, list_relying, next_stretch, time_of
from app.audit.store import LoggedDecision, LogQuery, days_logged, search_log
from app.audit.trail import ActKind, Entry, Target, TargetKind, TrailQuery, record_act, search_trail
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.register import Struck
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
