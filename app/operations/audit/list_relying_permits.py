"""List the permits of the decision log that rested on what an invalidation is about."""

import time
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.audit.figures import CLOCKS_APART, lowest_id
from app.audit.relying import FIRST_STRETCH, list_relying, next_stretch, time_of
from app.audit.store import LoggedDecision
from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.register.invalidation import Struck
from app.db.session import ReadSession, WriteSession
from app.operations.audit.search_decisions import DecisionPage
from app.register.invalidations import load_invalidations
from app.register.store import load_processing

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
