"""Put deliveries back into the queue, and make those that an endpoint never had."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import WriteSession
from app.events.dispatch import WANTED, release_first
from app.events.feed import Position

_ORDER: Final = """
UPDATE webhook_delivery AS d SET next_at = NULL
WHERE d.endpoint = :endpoint AND d.subject_ref = ANY (:refs) AND d.status = 'pending' AND d.attempts = d.attempts_before
"""
_QUEUE: Final = f"""
INSERT INTO webhook_delivery AS d (subject_ref, endpoint, event, xid, seq, status, queued_at)
SELECT o.subject_ref, e.id, o.id, o.xid, o.seq, 'pending', :now
FROM webhook_endpoint AS e JOIN outbox AS o ON {{which}}
    AND (o.xid, o.seq, o.id) <= (CAST(:xid AS text)::xid8, :seq, :last)
LEFT JOIN webhook_delivery AS had ON had.subject_ref = o.subject_ref AND had.endpoint = e.id AND had.event = o.id
WHERE e.id = :endpoint AND {WANTED}
    AND (had.status = ANY (:statuses) OR had.event IS NULL AND :missing)
ORDER BY o.xid, o.seq, o.id LIMIT :limit
ON CONFLICT (subject_ref, endpoint, event) DO UPDATE
    SET status = 'pending', attempts_before = d.attempts, queued_at = :now, next_at = NULL, finished_at = NULL
RETURNING subject_ref
"""  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class Replay:
    """Which events: one, or those written from one instant up to another; in which state their deliveries are.

    `missing` adds deliveries of events that the endpoint would be sent today and was not at the time.
    """

    statuses: Sequence[str]
    event: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    missing: bool = False
    limit: int = 1


async def queue_again(
    session: WriteSession, endpoint: UUID, replay: Replay, dispatched: Position, *, now: datetime
) -> int:
    """Queue deliveries from their first attempt, in order for each subject; the endpoint's row must be held.

    Only events that the endpoint wants now: it may have had others, before it was narrowed.

    Returns:
        How many were queued.

    """
    one = replay.event is not None
    which = "o.id = :event" if one else "o.written_at >= :since AND o.written_at < :until"
    bounds: dict[str, object] = {"event": replay.event} if one else {"since": replay.since, "until": replay.until}
    asked = {
        **bounds,
        "endpoint": endpoint,
        "xid": str(dispatched.xid),
        "seq": dispatched.seq,
        "last": dispatched.event,
        "statuses": list(replay.statuses),
        "missing": replay.missing,
        "limit": replay.limit,
        "now": now,
    }
    queued = (await session.execute(text(_QUEUE.format(which=which)), asked)).scalars().all()
    refs = sorted({bytes(ref) for ref in queued})
    if refs:
        await session.execute(text(_ORDER), {"endpoint": endpoint, "refs": refs})
        await release_first(session, refs, now=now, endpoint=endpoint)
    return len(queued)
