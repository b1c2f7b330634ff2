"""Search the trail of administrative acts: who did what, when, on what; who looks is recorded as well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Entry, Target, TrailQuery, record_act, search_trail
from app.auth.callers import Caller
from app.db.session import WriteSession
from app.operations.service.deployment import Deployment, SubjectName, recorded_ref, ref_of

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
