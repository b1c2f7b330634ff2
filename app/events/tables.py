"""The tables of events: the outbox, the receivers with their deliveries and attempts, and what receivers owe."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import Instant, TransactionId, metadata

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
"""How far the outbox is `dispatched` to webhooks, and up to where old events were `dropped` from it."""

# What the end of a consent requires of receivers (app.events.effects); `due_at` is set where the register says how
# soon.
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


webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text)),
    Column("processings", ARRAY(Text)),
    Column("include_subject", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_reason", Text),
    Column("status_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid, nullable=False),
    CheckConstraint("status IN ('active', 'disabled')", name="status"),
)

webhook_secret = Table(
    "webhook_secret",
    metadata,
    Column("endpoint", Uuid, ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), nullable=False),
    Column("id", Uuid, nullable=False),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped_secret", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retires_at", Instant),
    PrimaryKeyConstraint("endpoint", "id"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("endpoint", Uuid, ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), nullable=False),
    Column("event", Uuid, nullable=False),
    Column("xid", TransactionId, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("attempts_before", Integer, nullable=False, server_default=text("0")),
    Column("queued_at", Instant, nullable=False),
    Column("next_at", Instant),
    Column("finished_at", Instant),
    PrimaryKeyConstraint("subject_ref", "endpoint", "event"),
    ForeignKeyConstraint(["subject_ref", "event"], ["outbox.subject_ref", "outbox.id"], ondelete="CASCADE"),
    CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="status"),
    Index("ix_webhook_delivery_endpoint_event", "endpoint", "event"),
)
_delivery = webhook_delivery.c
Index(
    "ix_webhook_delivery_due",
    _delivery.endpoint,
    _delivery.next_at,
    postgresql_where=_delivery.next_at.is_not(None),
)
Index(
    "ix_webhook_delivery_open",
    _delivery.endpoint,
    _delivery.status,
    _delivery.event,
    postgresql_where=_delivery.status != "delivered",
)

webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("endpoint", Uuid, nullable=False),
    Column("event", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("answer", SmallInteger),
    Column("error", Text),
    PrimaryKeyConstraint("subject_ref", "endpoint", "event", "number"),
    ForeignKeyConstraint(
        ["subject_ref", "endpoint", "event"],
        ["webhook_delivery.subject_ref", "webhook_delivery.endpoint", "webhook_delivery.event"],
        ondelete="CASCADE",
    ),
)

webhook_count = Table(
    "webhook_count",
    metadata,
    Column("endpoint", Uuid, ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("endpoint", "outcome"),
)
