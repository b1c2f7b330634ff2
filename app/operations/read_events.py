"""Read domain events in order, page by page: for receivers that would rather poll."""

import asyncio
from collections.abc import Collection

from app.core.errors import CursorTooOldError, InvalidCursorError
from app.db.database import Database
from app.events.feed import EventPage, Position, read_page

_LOOK_AGAIN_SECONDS = 0.5


async def read_events(
    database: Database, after: Position | None, *, limit: int, processings: Collection[str] | None, wait: float = 0.0
) -> EventPage:
    """The events after a place, in order; the oldest that are kept without one.

    Args:
        database: where to read.
        after: the `next` of the page before.
        limit: how many at most.
        processings: only events about these; None is about all.
        wait: seconds to wait for the first event when there is none yet.

    Raises:
        CursorTooOldError: events after that place were dropped, so that some would be missed.
        InvalidCursorError: the place is ahead of this database, which is then not the one that gave it.

    """
    deadline = asyncio.get_running_loop().time() + wait
    place = after or Position()
    while True:
        async with database.read() as session:
            page = await read_page(session, place, limit=limit, processings=processings)
        if after is not None and after.xid <= page.dropped:
            raise CursorTooOldError(field="after")
        if place.xid > page.newest:
            raise InvalidCursorError("The cursor is ahead of this database: begin again without one.", field="after")
        if page.events or asyncio.get_running_loop().time() >= deadline:
            return page
        place = page.next
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
