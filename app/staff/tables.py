"""The staff register's tables. Notices and acknowledgements are append-only; names are sealed, and can be erased."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import metadata

Instant = DateTime(timezone=True)

staff_notice = Table(
    "staff_notice",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("published_at", Instant, nullable=False),
    Column("published_by", Uuid),  # None: the text that ships
    Column("title", JSONB, nullable=False),
    Column("body", JSONB, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("title ? 'fr' AND body ? 'fr'", name="in_french"),
)

staff_member = Table(
    "staff_member",
    metadata,
    # A caller's own id where the member is one; it is a member from its first acknowledgement on, or when registered.
    Column("id", Uuid, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT")),
    Column("registered_at", Instant, nullable=False),
    Column("registered_by", Uuid),
    Column("left_at", Instant),
    CheckConstraint("caller = id", name="caller_is_its_id"),
)

staff_name = Table(
    "staff_name",
    metadata,
    Column("member", Uuid, ForeignKey("staff_member.id", ondelete="RESTRICT"), primary_key=True),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed_name", LargeBinary, nullable=False),
)

staff_acknowledgement = Table(
    "staff_acknowledgement",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("member", Uuid, ForeignKey("staff_member.id", ondelete="RESTRICT"), nullable=False),
    Column("notice", Integer, ForeignKey("staff_notice.number", ondelete="RESTRICT"), nullable=False),
    Column("language", Text, nullable=False),
    Column("text_sha256", LargeBinary, nullable=False),
    Column("way", Text, nullable=False),
    Column("acknowledged_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    # One that the person did themselves, and one on paper: neither stands in the way of the other.
    Index("uq_staff_acknowledgement_own", "member", "notice", unique=True, postgresql_where=text("way <> 'paper'")),
    Index("uq_staff_acknowledgement_paper", "member", "notice", unique=True, postgresql_where=text("way = 'paper'")),
    CheckConstraint("octet_length(text_sha256) = 32", name="text_length"),
    CheckConstraint("way IN ('page', 'api', 'paper')", name="way"),
    CheckConstraint("acknowledged_at <= recorded_at", name="not_ahead"),
)
