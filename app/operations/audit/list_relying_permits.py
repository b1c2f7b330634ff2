"""List the permits of the decision log that rested on what an invalidation is about."""

from uuid import UUID

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.relying import list_relying
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.operations.audit.search_decisions import DecisionPage
from app.register.invalidations import load_invalidations


async def list_relying_permits(  # noqa: PLR0917 - which invalidation, and which page
    session: WriteSession, caller: Caller, processing: str, number: int, before: UUID | None, limit: int
) -> DecisionPage:
    """The next permits, newest first, of an invalidation in force, waiting or rejected; who looked is recorded.

    Raises:
        NotFoundError: no such invalidation.

    """
    known = await load_invalidations(session, processing)
    struck = next((each.struck for each in known if each.number == number), None)
    if struck is None:
        raise NotFoundError
    found = await list_relying(session, processing, struck.version, struck.text, before, limit + 1)
    page = found[:limit]
    target = Target(TargetKind.PROCESSING, processing)
    await record_act(session, ActKind.DECISIONS_SEARCHED, caller.id, target, {"filters": ["invalidation"]})
    return DecisionPage(page, page[-1].id if len(found) > limit else None)
