"""Turn outbox rows into deliveries: one for each event and endpoint that wants it, in the order of the outbox.

Of one subject's deliveries to one endpoint only the first that is not finished has a `next_at`; the others are held
until it is delivered or dead. A transaction that adds deliveries holds the endpoints' rows FOR UPDATE, and one that
finishes a delivery holds its endpoint's row FOR SHARE, so that neither misses what the other does.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import WriteSession
from app.events.feed import Position

ALLOWED: Final = "(e.processings IS NULL OR o.data ->> 'processing' = ANY (e.processings))"
"""Whether an endpoint `e` may be told of an event `o` of the outbox at all, as it is set now."""
WANTED: Final = f"((e.types IS NULL OR o.type = ANY (e.types)) AND {ALLOWED})"
"""Whether it is sent it."""

MOST_DROPPED: Final = 10_000
"""Of one endpoint in one transaction: a statement has seconds."""

_TURN: Final = "SELECT pg_try_advisory_xact_lock(hashtext('sceau dispatch'))"
_HOLD: Final = "SELECT id FROM webhook_endpoint ORDER BY id FOR UPDATE"

_ADD: Final = f"""
INSERT INTO webhook_delivery (subject_ref, endpoint, event, xid, seq, status, queued_at)
SELECT o.subject_ref, e.id, o.id, o.xid, o.seq, 'pending', :now
FROM outbox AS o JOIN webhook_endpoint AS e ON {WANTED}
WHERE (o.xid, o.seq, o.id) > (CAST(:after_xid AS text)::xid8, :after_seq, :after_event)
    AND (o.xid, o.seq, o.id) <= (CAST(:last_xid AS text)::xid8, :last_seq, :last_event)
ON CONFLICT DO NOTHING
RETURNING subject_ref
"""  # noqa: S608 - put together from constants

_DROP: Final = f"""
WITH unwanted AS (
    SELECT d.subject_ref, d.event FROM webhook_endpoint AS e
        JOIN webhook_delivery AS d ON d.endpoint = e.id AND d.status <> 'delivered'
        JOIN outbox AS o ON o.subject_ref = d.subject_ref AND o.id = d.event
    WHERE e.id = :endpoint AND {WANTED} IS NOT TRUE LIMIT :limit
)
DELETE FROM webhook_delivery AS d USING unwanted
WHERE d.endpoint = :endpoint AND d.subject_ref = unwanted.subject_ref AND d.event = unwanted.event
RETURNING d.subject_ref
"""  # noqa: S608 - put together from constants

# The status of others is compared as an expression: else a planner without statistics goes through all that is pending
# at the endpoint, for each subject, by the index on status; the primary key has a subject's few.
_RELEASE: Final = """
UPDATE webhook_delivery AS d SET next_at = :now
WHERE d.subject_ref = ANY (:refs) AND (CAST(:endpoint AS uuid) IS NULL OR d.endpoint = :endpoint)
    AND d.status = 'pending' AND d.next_at IS NULL
    AND NOT EXISTS (
        SELECT FROM webhook_delivery AS p
        WHERE p.subject_ref = d.subject_ref AND p.endpoint = d.endpoint AND p.status || '' = 'pending'
            AND (p.xid, p.seq, p.event) < (d.xid, d.seq, d.event)
    )
"""


async def take_turn(session: WriteSession) -> bool:
    """Whether this transaction is the one that dispatches now; others leave it to it."""
    return bool((await session.execute(text(_TURN))).scalar_one())


async def hold_endpoints(session: WriteSession) -> None:
    """Keep deliveries from being finished, and endpoints from changing, until the end of this transaction."""
    await session.execute(text(_HOLD))


async def add_deliveries(session: WriteSession, after: Position, last: Position, *, now: datetime) -> int:
    """Add a delivery for each event after one position up to another, and each endpoint that wants its type.

    A delivery that exists already stays as it is. `hold_endpoints` must have been called in an earlier statement.

    Returns:
        How many were added.

    """
    span = {
        "after_xid": str(after.xid), "after_seq": after.seq, "after_event": after.event,
        "last_xid": str(last.xid), "last_seq": last.seq, "last_event": last.event, "now": now,
    }  # fmt: skip
    added = (await session.execute(text(_ADD), span)).scalars().all()
    await release_first(session, {bytes(ref) for ref in added}, now=now)
    return len(added)


async def drop_unwanted(session: WriteSession, endpoint: UUID, *, now: datetime, limit: int = MOST_DROPPED) -> int:
    """Take what an endpoint wants no more out of its queue and its dead letters; what was held behind it goes.

    The endpoint's row must be held FOR UPDATE, by an earlier statement.

    Returns:
        How many were dropped; as many as the limit means that there may be more.

    """
    dropped = (await session.execute(text(_DROP), {"endpoint": endpoint, "limit": limit})).scalars().all()
    await release_first(session, {bytes(ref) for ref in dropped}, now=now, endpoint=endpoint)
    return len(dropped)


async def release_first(
    session: WriteSession, refs: Collection[bytes], *, now: datetime, endpoint: UUID | None = None
) -> None:
    """Make the first pending delivery of each of these subjects due, at one endpoint or at each."""
    if refs:
        await session.execute(text(_RELEASE), {"refs": sorted(refs), "endpoint": endpoint, "now": now})
