"""Callers, their keys (hashed) and when those were last used, answers given once, and sessions of the dashboard."""

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
    text,
)

from app.db.schema import metadata

Instant = DateTime(timezone=True)

caller = Table(
    "caller",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("processings", ARRAY(Text)),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid),
    Column("revoked_at", Instant),
    Column("revoked_by", Uuid),
    Column("kind", Text, nullable=False, server_default=text("'machine'")),
    # Whose access tokens it is known by, when it is known by tokens: shown to administrators, found by the reference.
    Column("issuer", Text),
    Column("token_subject", Text),
    Column("token_client", Text),
    Column("identity_ref", LargeBinary),
    CheckConstraint("cardinality(scopes) >= 1", name="some_scope"),
    CheckConstraint("kind IN ('machine', 'person')", name="kind"),
    CheckConstraint(
        "(issuer IS NULL) = (token_subject IS NULL) AND (issuer IS NULL) = (identity_ref IS NULL)"
        " AND (token_client IS NULL OR issuer IS NOT NULL)",
        name="identity",
    ),
    CheckConstraint("octet_length(identity_ref) = 32", name="identity_length"),
    Index("uq_caller_identity", "identity_ref", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

caller_key = Table(
    "caller_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False, index=True),
    Column("key_sha256", LargeBinary, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("revoked_by", Uuid),
    CheckConstraint("octet_length(key_sha256) = 32", name="key_length"),
)

credential_use = Table(
    "credential_use",
    metadata,
    Column("credential", Uuid, primary_key=True),
    Column("used_at", Instant, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("body", Text),
    # Whom the write was about: the answer goes with them, and the key stays claimed, without a status.
    Column("subject_refs", ARRAY(LargeBinary)),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("caller", "key_hash"),
    Index("ix_idempotency_caller_created_at", "caller", "created_at"),
    Index("ix_idempotency_subject_refs", "subject_refs", postgresql_using="gin"),
)

dashboard_session = Table(
    "dashboard_session",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    # What the session was begun with: it ends with it.
    Column("credential", Uuid, nullable=False),
    Column("ends_at", Instant),
    CheckConstraint("octet_length(token_sha256) = 32", name="token_length"),
    Index("ix_dashboard_session_seen_at", "seen_at"),
)
