"""Search the decision log: what was answered, to whom, about which pseudonym, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from app.audit.store import LoggedDecision, LogQuery, search_log
from app.db.session import ReadSession
from app.operations.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Some decisions, newest first, and where the next page begins; None when there is none."""

    items: Sequence[LoggedDecision]
    next_before: UUID | None


def correspondence_ref(deployment: Deployment, kind: str, identifier: str) -> bytes:
    """The keyed reference (32 bytes) under which a correspondence stands in the log."""
    return deployment.pseudonyms.opaque("correspondence", f"{kind}\n{identifier}")


async def search_decisions(
    session: ReadSession,
    deployment: Deployment,
    query: LogQuery,
    *,
    subject: SubjectName | None,
    before: UUID | None,
    limit: int,
) -> DecisionPage:
    """The next decisions that match, newest first; `subject` is a name, everything else stands in `query`."""
    ref = deployment.pseudonyms.ref(subject.type, subject.id) if subject is not None else None
    found = await search_log(session, replace(query, ref=ref), before=before, limit=limit + 1)
    page = found[:limit]
    return DecisionPage(page, page[-1].id if len(found) > limit else None)
