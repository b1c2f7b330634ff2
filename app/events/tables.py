"""The outbox: one row for each domain event, written in the transaction of the fact it tells.

`(xid, seq, id)` is the order in which events are told to others. A trigger of the migration sets the first two: `xid`
is the writing transaction's own id, or that of an earlier event of the same subject if that is larger, and `seq` then
counts. So rows below a snapshot's `xmin` are complete (no gap), and a subject's events stand in the order of its lock
(no reordering), whatever order transactions began or ended in: docs/decisions/0010-order-of-events.md.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
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
    Column("traceparent", Text),
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

# What the end of a consent asks of receivers (app.events.effects); `due_at` where the register says how soon.
effect_owed = Table(
    "effect_owed",
    metadata,
    Column("event", Uuid, primary_key=True),
    Column("processing", Text, nullable=False),
    Column("consent", Uuid, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("due_at", Instant),
    Column("stopped_at", Instant),
    Column("erased_at", Instant),
)
Index(
    "ix_effect_owed_open",
    effect_owed.c.processing,
    postgresql_where=effect_owed.c.stopped_at.is_(None) | effect_owed.c.erased_at.is_(None),
)

effect_acknowledged = Table(
    "effect_acknowledged",
    metadata,
    Column("event", Uuid, ForeignKey("effect_owed.event", ondelete="RESTRICT"), nullable=False),
    Column("effect", Text, nullable=False),
    Column("caller", Uuid, nullable=False),
    Column("at", Instant, nullable=False),
    Column("number", BigInteger),
    PrimaryKeyConstraint("event", "effect", "caller"),
    CheckConstraint("effect IN ('stopped', 'derived_data_erased')", name="effect"),
    CheckConstraint("number >= 0", name="number"),
)
