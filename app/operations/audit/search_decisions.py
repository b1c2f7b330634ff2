"""Search the decision log: what was answered, to whom, about which pseudonym, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.audit.decision_log import correspondence_ref
from app.audit.store import LoggedDecision, LogQuery, days_logged, search_log
from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.db.session import WriteSession
from app.operations.service.deployment import NOBODY, Deployment, SubjectName, recorded_ref, ref_of
from app.register.store import load_processing

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
