"""Write domain events into the outbox, and read them in order.

Payloads are thin: the consent's id and processing, never a subject's id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.db.session import Put, ReadSession, WriteSession, uuid7
from app.telemetry.spans import cause


class EventType(StrEnum):
    """What can be sent to receivers; a receiver ignores the types that it does not know."""

    GRANTED = "fr.sceau.consent.granted"
    REFUSED = "fr.sceau.consent.refused"
    WITHDRAWN = "fr.sceau.consent.withdrawn"
    REPLACED = "fr.sceau.consent.replaced"
    RENEWAL_DUE = "fr.sceau.consent.renewal_due"
    CONFIRMATION_DUE = "fr.sceau.consent.confirmation_due"
    RENEWAL_DECLINED = "fr.sceau.consent.renewal_declined"
    EXPIRED = "fr.sceau.consent.expired"
    SUPERSEDED = "fr.sceau.consent.superseded"
    CLOSED = "fr.sceau.consent.closed"
    INVALIDATED = "fr.sceau.consent.invalidated"
    ERASED = "fr.sceau.consent.erased"
    NAME_REMOVED = "fr.sceau.consent.name_removed"


class ClosureCause(StrEnum):
    """What `closed` tells of: the user left, or the operator gave up the processing."""

    ACCOUNT_CLOSED = "account_closed"
    PROCESSING_RETIRED = "processing_retired"


TYPE_PREFIX = "fr.sceau.consent."


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact for others: what happened to which subject's consent, and when.

    `kind` is the word after `fr.sceau.consent.`. `id` is the outbox row's id, where something else already names it.
    `ends`: what a consent permitted is permitted no more, so that receivers must stop and erase what they derived
    (`app.core.fold.is_lost`).
    """

    subject_ref: bytes
    kind: str
    occurred_at: datetime
    data: Mapping[str, object]
    id: UUID | None = None
    ends: bool = False


_OUTBOX: Final = Put(
    order=80,
    # What receivers owe (app.events.effects) is recorded with each event that asks them for effects: by when they erase
    # says the version in force, or else the latest.
    sql="""
WITH put AS (
    INSERT INTO outbox (subject_ref, id, type, occurred_at, data, traceparent)
    SELECT ref, id, type, occurred_at, data, traceparent FROM json_to_recordset(CAST(%(rows)s AS json))
        AS event (ref bytea, id uuid, type text, occurred_at timestamptz, data jsonb, traceparent text)
    RETURNING id, occurred_at, data ->> 'processing' AS processing, data ->> 'consent' AS consent,
        data -> 'effects' AS effects
)
INSERT INTO effect_owed (event, processing, consent, occurred_at, due_at)
SELECT id, processing, CAST(consent AS uuid), occurred_at, occurred_at + (
    SELECT CAST(v.particulars ->> 'derived_data_erased_within' AS interval) FROM processing_version AS v
    WHERE v.processing = put.processing ORDER BY v.effective_from <= now() DESC, v.number DESC LIMIT 1)
FROM put WHERE effects IS NOT NULL
""",
)
_EFFECTS: Final = {"effects": ["stop", "erase_derived_data"]}


async def put_in_outbox(session: WriteSession, *events: DomainEvent) -> None:
    """Write an outbox row for each event in this transaction, and what is owed after it.

    The events of one subject come in the order of these calls.
    """
    for event in events:
        row = {
            "ref": event.subject_ref,
            "id": event.id or uuid7(event.occurred_at),
            "type": TYPE_PREFIX + event.kind,
            "occurred_at": event.occurred_at,
            "data": {**event.data, **(_EFFECTS if event.ends else {})},
            "traceparent": cause(),
        }
        session.stage(_OUTBOX, row)
        session.committing.kinds.append(event.kind)


# Events are read from the outbox in their order, without gaps or reordering, in whatever order transactions commit. A
# row is read once every transaction with a smaller id has ended (`pg_snapshot_xmin` of the reading statement's own
# snapshot): no row can then appear before it. docs/decisions/0010-order-of-events.md says why that holds.

NIL: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the order of events: those up to it were read. `xid` is a transaction's id, `seq` counts in it."""

    xid: int = 0
    seq: int = 0
    event: UUID = NIL

    def columns(self, before: str = "") -> dict[str, object]:
        """The parameters of a statement that names the place; `before` begins each of their names."""
        return {f"{before}xid": str(self.xid), f"{before}seq": self.seq, f"{before}event": self.event}


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """A position, and what stands for the database in which it is one (`EventPage.origin`)."""

    origin: bytes
    position: Position


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One domain event as written. `data` holds the consent's id and its processing, never a subject's id."""

    subject_ref: bytes
    id: UUID
    position: Position
    type: str
    occurred_at: datetime
    data: Mapping[str, Any]


def event_of(row: Any) -> OutboxEvent:  # noqa: ANN401 - a row with these columns
    """Return an event as its row has it, its transaction's id as text."""
    place = Position(int(row.xid), row.seq, row.id)
    return OutboxEvent(bytes(row.subject_ref), row.id, place, row.type, row.occurred_at, row.data)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events in order, and the place after them.

    `dropped` is the last transaction whose events were removed. `origin` (8 bytes) stands for the database, which is
    another one after a restore: a place in the one is none in the other.
    """

    events: Sequence[OutboxEvent]
    next: Position
    newest: int
    dropped: int
    origin: bytes


_PAGE: Final = """
WITH edge AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS settled, pg_snapshot_xmax(pg_current_snapshot()) AS newest
)
SELECT edge.settled::text AS settled, edge.newest::text AS newest,
    coalesce((SELECT xid::text FROM event_progress WHERE name = 'dropped'), '0') AS dropped,
    concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        (SELECT max(number) FROM deployment_epoch)) AS origin,
    page.subject_ref, page.id, page.xid::text AS xid, page.seq, page.type, page.occurred_at, page.data
FROM edge LEFT JOIN LATERAL (
    SELECT * FROM outbox
    WHERE (xid, seq, id) > (CAST(:xid AS text)::xid8, :seq, :event) AND xid < edge.settled
        AND (CAST(:processings AS text[]) IS NULL OR data ->> 'processing' = ANY (CAST(:processings AS text[])))
    ORDER BY xid, seq, id LIMIT :limit
) AS page ON true
ORDER BY page.xid, page.seq, page.id
"""


async def read_page(
    session: ReadSession, after: Position, *, limit: int, processings: Collection[str] | None = None
) -> EventPage:
    """Return the next events after a position, in one statement.

    Args:
        session: where to read.
        after: the position after the previous page; the default is the beginning.
        limit: how many at most.
        processings: only events about these; None means about all.

    Returns:
        The events; `next` is after the last event of a full page, else after everything that could be read.

    """
    among = None if processings is None else sorted(processings)
    rows = (await session.execute(text(_PAGE), {**after.columns(), "limit": limit, "processings": among})).all()
    events = [event_of(row) for row in rows if row.id is not None]
    settled = Position(int(rows[0].settled), -1, NIL)
    following = events[-1].position if len(events) == limit else max(after, settled)
    origin = blake2b(rows[0].origin.encode(), digest_size=8).digest()
    return EventPage(events, following, int(rows[0].newest), int(rows[0].dropped), origin)


_PROGRESS: Final = """
INSERT INTO event_progress (name, xid, seq, event) VALUES (:name, CAST(:xid AS text)::xid8, :seq, :event)
ON CONFLICT (name) DO UPDATE SET xid = excluded.xid, seq = excluded.seq, event = excluded.event
"""


async def load_progress(session: ReadSession, name: str) -> Position:
    """Return how far a process has come; the beginning if it has not begun."""
    statement = text("SELECT xid::text, seq, event FROM event_progress WHERE name = :name")
    row = (await session.execute(statement, {"name": name})).first()
    return Position() if row is None else Position(int(row.xid), row.seq, row.event)


async def keep_progress(session: WriteSession, name: str, position: Position) -> None:
    """Remember how far a process has come."""
    await session.execute(text(_PROGRESS), {"name": name, **position.columns()})
