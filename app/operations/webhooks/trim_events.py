"""Forget events that are older than their retention, with their deliveries: the ledger keeps what was decided."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from app.db.database import Database
from app.db.session import INSTANT
from app.events.counts import count_lost
from app.events.feed import Position, keep_progress, load_progress
from app.events.trimming import trim_outbox
from app.operations.webhooks.dispatch_events import DISPATCHED

DROPPED: Final = "dropped"
_BATCH: Final = 2_000
log = structlog.get_logger("sceau.webhooks")


@dataclass(slots=True)
class Trim:
    """How many events are gone, and how many deliveries were lost with them, by status: `pending` or `dead`."""

    events: int = 0
    lost: Counter[str] = field(default_factory=Counter)


async def trim_events(database: Database, retention: timedelta) -> Trim:
    """Remove events that were written longer ago than the retention and are dispatched; deliveries go with them.

    How far events are gone is kept in the same transaction: the pull feed refuses a cursor that would miss some. What
    was never delivered is counted for the metrics, and told in a warning.
    """
    trim = Trim()
    gone = _BATCH
    while gone == _BATCH:
        async with database.write() as session:
            now = await session.find(INSTANT)
            dispatched = await load_progress(session, DISPATCHED)
            trimmed = await trim_outbox(
                session, written_before=now - retention, before=dispatched.xid, now=now, limit=_BATCH
            )
            if trimmed.events:
                dropped = await load_progress(session, DROPPED)
                await keep_progress(session, DROPPED, max(dropped, Position(trimmed.last)))
                await count_lost(session, trimmed.lost)
        gone = trimmed.events
        trim.events += gone
        for (_, status), number in trimmed.lost.items():
            trim.lost[status] += number
    if trim.lost:
        log.warning("deliveries were dropped undelivered: their events were too old", **trim.lost)
    return trim
