"""Turn rows of the outbox into deliveries, and trim what nobody needs any more."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from app.db.database import Database
from app.db.session import WriteSession
from app.events.deliveries import add_deliveries, hold_endpoints, take_turn, trim_outbox
from app.events.effects import ENDING, count_lost, owe
from app.events.feed import Position, keep_progress, load_progress, read_page
from app.operations.webhooks.effects import erasure_delays

DISPATCHED: Final = "dispatched"
_BATCH: Final = 500


async def dispatch_events(database: Database, *, batch: int = _BATCH) -> int:
    """Dispatch every event that can be told by now.

    Each batch is one transaction, with how far it came: killed in the middle, nothing of it is there, and the next
    one begins where it began. One process dispatches at a time; the others find nothing to do.

    Returns:
        How many events were dispatched.

    """
    dispatched = 0
    while True:
        async with database.write() as session:
            number = await _dispatch_batch(session, batch)
        dispatched += number
        if number < batch:
            return dispatched


async def _dispatch_batch(session: WriteSession, batch: int) -> int:
    if not await take_turn(session):
        return 0
    after = await load_progress(session, DISPATCHED)
    page = await read_page(session, after, limit=batch)
    if not page.events:
        return 0
    await hold_endpoints(session)
    last = page.events[-1].position
    await add_deliveries(session, after, last, now=await session.instant())
    if any(event.type in ENDING for event in page.events):
        await owe(session, after, last, await erasure_delays(session))
    await keep_progress(session, DISPATCHED, last)
    return len(page.events)


DROPPED: Final = "dropped"
_TRIMMED_AT_ONCE: Final = 2_000
trimming_log = structlog.get_logger("sceau.webhooks")


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
    gone = _TRIMMED_AT_ONCE
    while gone == _TRIMMED_AT_ONCE:
        async with database.write() as session:
            now = await session.instant()
            dispatched = await load_progress(session, DISPATCHED)
            trimmed = await trim_outbox(
                session, written_before=now - retention, before=dispatched.xid, now=now, limit=_TRIMMED_AT_ONCE
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
        trimming_log.warning("deliveries were dropped undelivered: their events were too old", **trim.lost)
    return trim
