"""Turn what was written to the outbox into deliveries, in order, one for each event and endpoint that wants it."""

from typing import Final

from app.db.database import Database
from app.db.session import INSTANT, WriteSession
from app.events.dispatch import add_deliveries, hold_endpoints, take_turn
from app.events.effects import ENDING, owe
from app.events.feed import keep_progress, load_progress, read_page
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
    await add_deliveries(session, after, last, now=await session.find(INSTANT))
    if any(event.type in ENDING for event in page.events):
        await owe(session, after, last, await erasure_delays(session))
    await keep_progress(session, DISPATCHED, last)
    return len(page.events)
