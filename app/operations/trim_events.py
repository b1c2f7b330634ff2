"""Forget events that are older than their retention, with their deliveries: the ledger keeps what was decided."""

from datetime import timedelta
from typing import Final

from app.db.database import Database
from app.db.session import DatabaseClock
from app.events.feed import Position, drop_events, keep_progress, load_progress
from app.operations.dispatch_events import DISPATCHED

DROPPED: Final = "dropped"
_BATCH: Final = 2_000


async def trim_events(database: Database, retention: timedelta) -> int:
    """Remove events that were written longer ago than the retention and are dispatched; deliveries go with them.

    How far events are gone is kept in the same transaction: the pull feed refuses a cursor that would miss some.

    Returns:
        How many events are gone.

    """
    gone = 0
    while True:
        async with database.write() as session:
            before = await DatabaseClock().now(session.connection) - retention
            dispatched = await load_progress(session, DISPATCHED)
            number, last = await drop_events(session, written_before=before, before=dispatched.xid, limit=_BATCH)
            if number:
                dropped = await load_progress(session, DROPPED)
                await keep_progress(session, DROPPED, max(dropped, Position(last)))
        gone += number
        if number < _BATCH:
            return gone
