"""Read domain events in order, page by page: for receivers that would rather poll."""

import asyncio
from contextlib import suppress

from app.auth.callers import Authenticated, Scope
from app.core.errors import CursorTooOldError, InvalidCursorError
from app.db.database import Database
from app.events.feed import EventPage, Position, read_page
from app.operations.callers.keys import confirm_caller

_LOOK_AGAIN_SECONDS = 0.5


async def read_events(
    database: Database,
    by: Authenticated,
    after: Position | None,
    *,
    limit: int,
    wait: float = 0.0,
    stopping: asyncio.Event | None = None,
) -> EventPage:
    """The events after a place that a caller may read, in order; the oldest that are kept without one.

    Who waited is looked at again before it is told anything: what it lost meanwhile, it has lost.

    Args:
        database: where to read.
        by: who reads; one that may name some processings only reads the events of those.
        after: the `next` of the page before.
        limit: how many at most.
        wait: seconds to wait for the first event when there is none yet.
        stopping: once it is set, nobody waits any longer.

    Raises:
        CursorTooOldError: events after that place were dropped, so that some would be missed.
        CredentialEndedError, ScopeMissingError: it waited, and may read nothing any more.
        InvalidCursorError: the place is ahead of this database, which is then not the one that gave it.

    """
    stopping = stopping or asyncio.Event()
    deadline = asyncio.get_running_loop().time() + wait
    place, caller, waited = after or Position(), by.caller, False
    while True:
        async with database.read() as session:
            page = await read_page(session, place, limit=limit, processings=caller.processings)
            ends = stopping.is_set() or asyncio.get_running_loop().time() >= deadline
            last = bool(page.events) or ends
            if last and waited:
                confirmed = await confirm_caller(session, by, Scope.CONSENTS_READ)
                if confirmed.processings != caller.processings:
                    caller = confirmed
                    continue
        if after is not None and after.xid <= page.dropped:
            raise CursorTooOldError(field="after")
        if place.xid > page.newest:
            raise InvalidCursorError("The cursor is ahead of this database: begin again without one.", field="after")
        if last:
            return page
        place, waited = page.next, True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_AGAIN_SECONDS)
