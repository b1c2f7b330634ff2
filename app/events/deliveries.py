"""Claim deliveries that are due, and record the result of each attempt.

A claim moves `next_at` past the longest time that an attempt may take, so that what a killed worker had claimed becomes
due again by itself. An attempt that ends after its delivery was claimed anew changes nothing, unless it delivered.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import ReadSession, WriteSession, record_of
from app.events.outbox import OutboxEvent, Position, event_of

# Outbox rows become deliveries: one for each event and endpoint that wants it, in the order of the outbox. Of one
# subject's deliveries to one endpoint, only the first unfinished one has a `next_at`; the others are held until it is
# delivered or dead. A transaction that adds deliveries holds the endpoints' rows FOR UPDATE, and one that finishes a
# delivery holds its endpoint's row FOR SHARE, so that neither misses what the other does.

ALLOWED: Final = "(e.processings IS NULL OR o.data ->> 'processing' = ANY (e.processings))"
"""SQL: whether an endpoint `e`, as it is set now, may receive an event `o` of the outbox at all."""
WANTED: Final = f"((e.types IS NULL OR o.type = ANY (e.types)) AND {ALLOWED})"
"""SQL: whether the event is sent to the endpoint."""

_MOST_DROPPED: Final = 10_000
"""The limit for one endpoint in one transaction, because a statement has only seconds."""

DISPATCHED: Final = "dispatched"
"""The name under which the outbox's dispatched position is kept."""
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

# The status of the other rows is compared as an expression. Otherwise a planner without statistics goes, for each
# subject, through all that is pending at the endpoint, by the index on status; the primary key leads to a subject's few
# rows.
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


async def hold_endpoints(session: WriteSession) -> None:
    """Keep deliveries from being finished, and endpoints from changing, until the end of this transaction."""
    await session.execute(text(_HOLD))


async def add_deliveries(session: WriteSession, after: Position, last: Position, *, now: datetime) -> int:
    """Add a delivery for each event after one position, up to another, and each endpoint that wants its type.

    A delivery that already exists stays as it is. An earlier statement must have called `hold_endpoints`.

    Returns:
        How many were added.

    """
    span = {**after.columns("after_"), **last.columns("last_")}
    added = (await session.execute(text(_ADD), {**span, "now": now})).scalars().all()
    await release_first(session, {bytes(ref) for ref in added}, now=now)
    return len(added)


async def drop_unwanted(session: WriteSession, endpoint: UUID, *, now: datetime) -> int:
    """Remove what an endpoint no longer wants from its queue and its dead letters; release what was held behind it.

    The endpoint's row must be held FOR UPDATE, by an earlier statement.

    Returns:
        How many were dropped; if these are `_MOST_DROPPED`, there may be more.

    """
    dropped = (await session.execute(text(_DROP), {"endpoint": endpoint, "limit": _MOST_DROPPED})).scalars().all()
    await release_first(session, {bytes(ref) for ref in dropped}, now=now, endpoint=endpoint)
    return len(dropped)


async def release_first(
    session: WriteSession, refs: Collection[bytes], *, now: datetime, endpoint: UUID | None = None
) -> None:
    """Make the first pending delivery of each of these subjects due, at one endpoint or at each."""
    if refs:
        await session.execute(text(_RELEASE), {"refs": sorted(refs), "endpoint": endpoint, "now": now})


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery to attempt now: its attempt number in total, and since it was last queued (from 1).

    `traceparent` is that of the request that caused the event, where its trace was recorded.
    """

    endpoint: UUID
    event: OutboxEvent
    number: int
    round: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended: the status of the answer, or the class of the error."""

    at: datetime
    took: timedelta
    answer: int | None = None
    error: str | None = None


_DUE: Final = """
SELECT id FROM webhook_endpoint AS e WHERE status = 'active' AND EXISTS (
    SELECT FROM webhook_delivery AS d WHERE d.endpoint = e.id AND d.next_at <= :now
)
"""

_CLAIM: Final = """
WITH due AS (
    SELECT subject_ref, endpoint, event FROM webhook_delivery
    WHERE endpoint = :endpoint AND next_at <= :now
        AND EXISTS (SELECT FROM webhook_endpoint WHERE id = :endpoint AND status = 'active')
    ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE webhook_delivery AS d SET attempts = attempts + 1, next_at = :again
    FROM due WHERE d.subject_ref = due.subject_ref AND d.endpoint = due.endpoint AND d.event = due.event
    RETURNING d.subject_ref, d.endpoint, d.event, d.attempts, d.attempts_before
)
SELECT c.*, o.id, o.xid::text AS xid, o.seq, o.type, o.occurred_at, o.data, o.traceparent
FROM claimed AS c JOIN outbox AS o ON o.subject_ref = c.subject_ref AND o.id = c.event
"""

_ROW: Final = "subject_ref = :ref AND endpoint = :endpoint AND event = :event AND status = 'pending'"
_LOG: Final = """
INSERT INTO webhook_attempt (subject_ref, endpoint, event, number, at, took_ms, answer, error)
SELECT :ref, :endpoint, :event, :number, :at, :took_ms, :answer, :error
WHERE EXISTS (SELECT FROM webhook_delivery WHERE subject_ref = :ref AND endpoint = :endpoint AND event = :event)
ON CONFLICT DO NOTHING
"""


async def endpoints_with_work(session: ReadSession, *, now: datetime) -> list[UUID]:
    """Return the active endpoints at which something is due."""
    return list((await session.execute(text(_DUE), {"now": now})).scalars())


async def claim_deliveries(
    session: WriteSession, endpoint: UUID, *, now: datetime, lease: timedelta, limit: int
) -> list[Claim]:
    """Claim deliveries that are due at one active endpoint, for the length of the lease; no other worker gets them."""
    bounds = {"endpoint": endpoint, "now": now, "again": now + lease, "limit": limit}
    return [
        Claim(row.endpoint, event_of(row), row.attempts, row.attempts - row.attempts_before, row.traceparent)
        for row in await session.execute(text(_CLAIM), bounds)
    ]


def _named(claim: Claim) -> dict[str, object]:
    return {"ref": claim.event.subject_ref, "endpoint": claim.endpoint, "event": claim.event.id}


async def log_attempt(session: WriteSession, claim: Claim, attempt: Attempt) -> None:
    """Keep how an attempt ended, while there is the delivery."""
    row = {
        **_named(claim),
        "number": claim.number,
        "at": attempt.at,
        "took_ms": int(attempt.took.total_seconds() * 1000),
        "answer": attempt.answer,
        "error": attempt.error,
    }
    await session.execute(text(_LOG), row)


async def hold_endpoint(session: WriteSession, endpoint: UUID) -> bool:
    """Keep an endpoint unchanged, and deliveries from being added, until the transaction ends; False if it is gone.

    Other transactions may hold it too.
    """
    lock = text("SELECT FROM webhook_endpoint WHERE id = :id FOR SHARE")
    return (await session.execute(lock, {"id": endpoint})).first() is not None


async def finish(session: WriteSession, claim: Claim, *, delivered: bool, now: datetime) -> bool:
    """End a delivery, as delivered or dead, and release the subject's next one.

    What the receiver accepted is delivered even if it was claimed again meanwhile.

    Returns:
        False when the delivery was ended, or claimed anew while it was not delivered.

    """
    status, and_where = ("delivered", "") if delivered else ("dead", " AND attempts = :number")
    ended = text(
        f"UPDATE webhook_delivery SET status = :status, next_at = NULL, finished_at = :now"  # noqa: S608 - constants
        f" WHERE {_ROW}{and_where} RETURNING 1"
    )
    values = {**_named(claim), "status": status, "now": now, "number": claim.number}
    if (await session.execute(ended, values)).first() is None:
        return False
    await release_first(session, [claim.event.subject_ref], now=now, endpoint=claim.endpoint)
    return True


async def try_again(session: WriteSession, claim: Claim, *, again_at: datetime) -> None:
    """Keep when the next attempt is due after one that failed."""
    again = text(f"UPDATE webhook_delivery SET next_at = :again WHERE {_ROW} AND attempts = :number")  # noqa: S608
    await session.execute(again, {**_named(claim), "again": again_at, "number": claim.number})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event's delivery to one endpoint, as the log shows it."""

    event: UUID
    type: str
    occurred_at: datetime
    status: str
    attempts: int
    queued_at: datetime
    next_at: datetime | None
    finished_at: datetime | None
    last_answer: int | None
    last_error: str | None


_LIST: Final = f"""
SELECT d.event, o.type, o.occurred_at, d.status, d.attempts, d.queued_at, d.next_at, d.finished_at,
    a.answer AS last_answer, a.error AS last_error, d.subject_ref
FROM webhook_delivery AS d JOIN outbox AS o ON o.subject_ref = d.subject_ref AND o.id = d.event
JOIN webhook_endpoint AS e ON e.id = d.endpoint
LEFT JOIN LATERAL (
    SELECT answer, error FROM webhook_attempt AS t
    WHERE t.subject_ref = d.subject_ref AND t.endpoint = d.endpoint AND t.event = d.event
    ORDER BY number DESC LIMIT 1
) AS a ON true
WHERE d.endpoint = :endpoint AND {ALLOWED}
"""  # noqa: S608 - put together from constants


async def list_deliveries(
    session: ReadSession, endpoint: UUID, *, status: str | None, after: UUID | None, limit: int
) -> list[Delivery]:
    """Return the next deliveries of an endpoint by event id, with how their last attempt ended.

    Deliveries about processings that the endpoint may no longer receive are left out, here and in `find_delivery`.
    """
    narrowed = _LIST
    narrowed += " AND d.status = :status" if status is not None else ""
    narrowed += " AND d.status <> 'delivered'" if status in {"pending", "dead"} else ""
    narrowed += " AND d.event > :after" if after is not None else ""
    bounds = {"endpoint": endpoint, "status": status, "after": after, "limit": limit}
    rows = await session.execute(text(f"{narrowed} ORDER BY d.event LIMIT :limit"), bounds)
    return [record_of(Delivery, row) for row in rows]


async def find_delivery(session: ReadSession, endpoint: UUID, event: UUID) -> tuple[Delivery, Sequence[Attempt]] | None:
    """Return one delivery with every attempt that was made; None when there is none."""
    key = {"endpoint": endpoint, "event": event}
    row = (await session.execute(text(f"{_LIST} AND d.event = :event"), key)).first()
    if row is None:
        return None
    attempts = text(
        "SELECT at, took_ms, answer, error FROM webhook_attempt"
        " WHERE subject_ref = :ref AND endpoint = :endpoint AND event = :event ORDER BY number"
    )
    made = await session.execute(attempts, {**key, "ref": row.subject_ref})
    return record_of(Delivery, row), [
        Attempt(attempt.at, timedelta(milliseconds=attempt.took_ms), attempt.answer, attempt.error) for attempt in made
    ]


_ORDER: Final = """
UPDATE webhook_delivery AS d SET next_at = NULL
WHERE d.endpoint = :endpoint AND d.subject_ref = ANY (:refs) AND d.status = 'pending' AND d.attempts = d.attempts_before
"""
_QUEUE: Final = f"""
INSERT INTO webhook_delivery AS d (subject_ref, endpoint, event, xid, seq, status, queued_at)
SELECT o.subject_ref, e.id, o.id, o.xid, o.seq, 'pending', :now
FROM webhook_endpoint AS e JOIN outbox AS o ON {{which}}
    AND (o.xid, o.seq, o.id) <= (CAST(:last_xid AS text)::xid8, :last_seq, :last_event)
LEFT JOIN webhook_delivery AS had ON had.subject_ref = o.subject_ref AND had.endpoint = e.id AND had.event = o.id
WHERE e.id = :endpoint AND {WANTED}
    AND (had.status = ANY (:statuses) OR had.event IS NULL AND :missing)
ORDER BY o.xid, o.seq, o.id LIMIT :limit
ON CONFLICT (subject_ref, endpoint, event) DO UPDATE
    SET status = 'pending', attempts_before = d.attempts, queued_at = :now, next_at = NULL, finished_at = NULL
RETURNING subject_ref
"""  # noqa: S608 - put together from constants


async def queue_again(
    session: WriteSession,
    endpoint: UUID,
    which: UUID | tuple[datetime, datetime],
    statuses: Sequence[str],
    dispatched: Position,
    *,
    missing: bool,
    limit: int,
    now: datetime,
) -> int:
    """Queue deliveries from their first attempt, in order for each subject; the endpoint's row must be held.

    Only events that the endpoint wants now are queued: it may have had others, before it was narrowed.

    Args:
        session: the transaction.
        endpoint: the receiver.
        which: those of one event, or of the events that were written from one instant up to another.
        statuses: the states of deliveries that are queued again.
        dispatched: how far the outbox is dispatched: later events are left alone.
        missing: also add deliveries of events that the endpoint would get today and did not get at the time.
        limit: the most that are queued.
        now: the database's time.

    Returns:
        How many were queued.

    """
    chosen, bounds = "o.id = :event", dict[str, object](event=which)
    if isinstance(which, tuple):
        chosen, bounds = "o.written_at >= :since AND o.written_at < :until", {"since": which[0], "until": which[1]}
    values = {**bounds, **dispatched.columns("last_"), "endpoint": endpoint, "statuses": list(statuses)}
    values |= {"missing": missing, "limit": limit, "now": now}
    queued = (await session.execute(text(_QUEUE.format(which=chosen)), values)).scalars().all()
    refs = sorted({bytes(ref) for ref in queued})
    if refs:
        await session.execute(text(_ORDER), {"endpoint": endpoint, "refs": refs})
        await release_first(session, refs, now=now, endpoint=endpoint)
    return len(queued)


# Removal of events that are too old, with their deliveries, and the count of those never delivered.


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many events were removed, their largest transaction id (0 for none), and how many deliveries were lost.

    `lost` counts by endpoint and status, `pending` or `dead`: delivered ones are not lost.
    """

    events: int = 0
    last: int = 0
    lost: Mapping[tuple[UUID, str], int] = field(default_factory=dict)


# Endpoints are held first, as in every transaction that changes deliveries: none are added or removed meanwhile.
EVENTS_KEPT: Final = timedelta(days=30)
"""How long events and deliveries are kept: a receiver that was away for longer has lost some (docs/webhooks.md)."""
_HOLD_TRIMMING: Final = "SELECT FROM webhook_endpoint ORDER BY id FOR KEY SHARE"

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

    Younger deliveries that were held behind a removed one become due now.

    Args:
        session: the transaction.
        written_before: events written from then on stay.
        before: the id of a transaction; its events and later ones stay.
        now: the database's time.
        limit: how many events are examined.

    """
    await session.execute(text(_HOLD_TRIMMING))
    bounds = {"before": str(before), "written_before": written_before, "limit": limit}
    rows = (await session.execute(text(_TRIM), bounds)).all()
    lost = [row for row in rows if row.endpoint is not None]
    await release_first(session, {bytes(ref) for row in lost if row.status == "pending" for ref in row.refs}, now=now)
    numbers = {(row.endpoint, row.status): row.number for row in lost}
    return Trimmed(rows[0].events, int(rows[0].last or 0), numbers)
