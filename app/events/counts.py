"""How many deliveries there are and were: for metrics and for the record of job runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import ReadSession, WriteSession
from app.events.feed import load_progress

MOST_COUNTED: Final = 10_000
"""Events that wait to be dispatched are counted up to here: the count is read at each scrape."""

_COUNT: Final = """
INSERT INTO webhook_count (endpoint, outcome, number)
SELECT id, :outcome, :number FROM webhook_endpoint WHERE id = :endpoint
ON CONFLICT (endpoint, outcome) DO UPDATE SET number = webhook_count.number + excluded.number
"""
_LOST: Final = "lost_"
"""Begins the outcome under which deliveries are counted that were dropped before they were delivered."""
_UNFINISHED: Final = """
SELECT endpoint, status, count(*) AS number FROM webhook_delivery WHERE status <> 'delivered' GROUP BY endpoint, status
"""
_UNDISPATCHED: Final = """
SELECT count(*) FROM (
    SELECT FROM outbox WHERE (xid, seq, id) > (CAST(:xid AS text)::xid8, :seq, :event) LIMIT :most
) AS waiting
"""


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Attempts so far by endpoint and how they ended; deliveries that are pending or dead; events not dispatched yet.

    `attempts` only grows: `delivered`, a status such as `500`, or a class of error such as `timeout`. So does `lost`:
    deliveries that were `pending` or `dead` when their events became too old to be kept.
    """

    attempts: Mapping[tuple[UUID, str], int] = field(default_factory=dict)
    unfinished: Mapping[tuple[UUID, str], int] = field(default_factory=dict)
    undispatched: int = 0
    lost: Mapping[tuple[UUID, str], int] = field(default_factory=dict)


async def count_attempt(session: WriteSession, endpoint: UUID, outcome: str) -> None:
    """One more attempt; the endpoint's row must be held, so that it is not removed meanwhile."""
    await session.execute(text(_COUNT), {"endpoint": endpoint, "outcome": outcome, "number": 1})


async def count_lost(session: WriteSession, lost: Mapping[tuple[UUID, str], int]) -> None:
    """Count deliveries that were dropped undelivered, by endpoint and status; the endpoints' rows must be held."""
    for (endpoint, status), number in lost.items():
        await session.execute(text(_COUNT), {"endpoint": endpoint, "outcome": _LOST + status, "number": number})


async def load_counts(session: ReadSession) -> DeliveryCounts:
    """All counts; costs what is not delivered yet, whatever was delivered before."""
    counted = (await session.execute(text("SELECT endpoint, outcome, number FROM webhook_count"))).all()
    unfinished = await session.execute(text(_UNFINISHED))
    place = await load_progress(session, "dispatched")
    after = {"xid": str(place.xid), "seq": place.seq, "event": place.event, "most": MOST_COUNTED}
    return DeliveryCounts(
        {(row.endpoint, row.outcome): row.number for row in counted if not row.outcome.startswith(_LOST)},
        {(row.endpoint, row.status): row.number for row in unfinished},
        (await session.execute(text(_UNDISPATCHED), after)).scalar_one(),
        {
            (row.endpoint, row.outcome.removeprefix(_LOST)): row.number
            for row in counted
            if row.outcome.startswith(_LOST)
        },
    )
