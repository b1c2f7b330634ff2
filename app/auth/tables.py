"""Callers with their keys (hashed), answers given under an Idempotency-Key, and sessions of the dashboard."""

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from app.db.schema import metadata

Instant = DateTime(timezone=True)

caller = Table(
    "caller",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_sha256", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("processings", ARRAY(Text)),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid),
    Column("revoked_at", Instant),
    Column("revoked_by", Uuid),
    CheckConstraint("octet_length(key_sha256) = 32", name="key_length"),
    CheckConstraint("cardinality(scopes) >= 1", name="some_scope"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("body", Text),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("caller", "key_hash"),
    Index("ix_idempotency_caller_created_at", "caller", "created_at"),
)

dashboard_session = Table(
    "dashboard_session",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    CheckConstraint("octet_length(token_sha256) = 32", name="token_length"),
    Index("ix_dashboard_session_seen_at", "seen_at"),
)
