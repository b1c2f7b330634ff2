"""The register's tables. Versions and status changes are append-only (docs/decisions)."""

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.core.article import Element, ProviderKind, Purpose
from app.core.processing import PartyMode, Status
from app.db.schema import metadata

Instant = DateTime(timezone=True)


def one_of(column: str, words: type[Purpose | ProviderKind | PartyMode | Status]) -> CheckConstraint:
    """A CHECK that a column holds one of an enum's words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


processing = Table(
    "processing",
    metadata,
    Column("id", Text, primary_key=True),
    Column("controller", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("registered_by", Uuid, nullable=False),
    one_of("purpose", Purpose),
)

processing_version = Table(
    "processing_version",
    metadata,
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("effective_from", Instant, nullable=False),
    Column("provider_kind", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("elements", ARRAY(Text), nullable=False),
    Column("automated", Boolean, nullable=False),
    Column("party_mode", Text, nullable=False),
    Column("started_on", Date, nullable=False),
    Column("consent_validity", Text, nullable=False),
    Column("material", Boolean, nullable=False),
    Column("name", JSONB, nullable=False),
    Column("notice", JSONB, nullable=False),
    Column("data_recipients", ARRAY(Text), nullable=False),
    Column("retention", Text, nullable=False),
    Column("data_protection_contact", Text),
    Column("age_statement_required", Boolean, nullable=False, server_default=text("false")),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    PrimaryKeyConstraint("processing", "number"),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("cardinality(elements) >= 1", name="some_element"),
    CheckConstraint(
        "elements <@ ARRAY[" + ", ".join(f"'{word}'" for word in Element) + "]::text[]", name="known_elements"
    ),
    one_of("provider_kind", ProviderKind),
    one_of("party_mode", PartyMode),
)

processing_status_change = Table(
    "processing_status_change",
    metadata,
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("status", Text, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    PrimaryKeyConstraint("processing", "at"),
    one_of("status", Status),
)
