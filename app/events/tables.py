"""The outbox: one row for each domain event, written in the transaction of the fact it tells.

`(xid, seq, id)` is the order in which events are told to others. A trigger of the migration sets the first two: `xid`
is the writing transaction's own id, or that of an earlier event of the same subject if that is larger, and `seq` then
counts. So rows below a snapshot's `xmin` are complete (no gap), and a subject's events stand in the order of its lock
(no reordering), whatever order transactions began or ended in: docs/decisions/0010-order-of-events.md.
"""

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import metadata
from app.db.types import TransactionId

Instant = DateTime(timezone=True)

outbox = Table(
    "outbox",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("type", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("seq", Integer, nullable=False, server_default=text("0")),
    Column("written_at", Instant, nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("subject_ref", "id"),
    Index("ix_outbox_order", "xid", "seq", "id"),
)

event_progress = Table(
    "event_progress",
    metadata,
    Column("name", Text, primary_key=True),
    Column("xid", TransactionId, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("event", Uuid, nullable=False),
)
"""How far the outbox is `dispatched` to webhooks, and up to where it was `dropped` because it was old."""
