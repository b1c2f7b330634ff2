"""Remove events that are too old, with their deliveries, and say what was thereby never delivered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import WriteSession
from app.events.deliveries import release_first


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many events are gone, the largest transaction id among them (0 for none), and how many deliveries were lost.

    `lost` counts by endpoint and status, `pending` or `dead`: what was delivered is none.
    """

    events: int = 0
    last: int = 0
    lost: Mapping[tuple[UUID, str], int] = field(default_factory=dict)


# Endpoints first, as every transaction that changes deliveries does: none are added or removed meanwhile.
_HOLD: Final = "SELECT FROM webhook_endpoint ORDER BY id FOR KEY SHARE"

_TRIM: Final = """
WITH oldest AS (
    SELECT subject_ref, id, written_at FROM outbox WHERE xid < CAST(:before AS text)::xid8
    ORDER BY xid LIMIT :limit
), ended AS (
    DELETE FROM webhook_delivery AS d USING oldest WHERE d.subject_ref = oldest.subject_ref AND d.event = oldest.id
        AND oldest.written_at < :written_before
    RETURNING d.subject_ref, d.endpoint, d.status
), gone AS (
    DELETE FROM outbox USING oldest WHERE outbox.subject_ref = oldest.subject_ref AND outbox.id = oldest.id
        AND oldest.written_at < :written_before
    RETURNING outbox.xid
), lost AS (
    SELECT endpoint, status, count(*) AS number, array_agg(DISTINCT subject_ref) AS refs
    FROM ended WHERE status <> 'delivered' GROUP BY endpoint, status
)
SELECT events.number AS events, events.last, lost.endpoint, lost.status, lost.number, lost.refs
FROM (SELECT count(*) AS number, max(xid)::text AS last FROM gone) AS events LEFT JOIN lost ON true
"""


async def trim_outbox(
    session: WriteSession, *, written_before: datetime, before: int, now: datetime, limit: int
) -> Trimmed:
    """Remove the oldest events that were written before an instant and come before a transaction.

    Younger deliveries that were held behind one that is gone are due now.

    Args:
        session: the transaction.
        written_before: events written from then on stay.
        before: the id of a transaction that must not be reached.
        now: the database's time.
        limit: how many are looked at.

    """
    await session.execute(text(_HOLD))
    bounds = {"before": str(before), "written_before": written_before, "limit": limit}
    rows = (await session.execute(text(_TRIM), bounds)).all()
    lost = [row for row in rows if row.endpoint is not None]
    await release_first(session, {bytes(ref) for row in lost if row.status == "pending" for ref in row.refs}, now=now)
    numbers = {(row.endpoint, row.status): row.number for row in lost}
    return Trimmed(rows[0].events, int(rows[0].last or 0), numbers)
