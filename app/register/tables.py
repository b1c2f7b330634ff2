"""The tables of the register."""

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.core.article import Element, ProviderKind, Purpose
from app.core.processing import PartyMode, Status
from app.core.register import ControllerKind
from app.db.schema import Instant, metadata, one_of

STORED_STATUSES = (Status.ACTIVE, Status.SUSPENDED, Status.RETIRED)

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

controller = Table(
    "controller",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("identifier", Text),
    Column("registered_at", Instant, nullable=False),
    Column("registered_by", Uuid),
    UniqueConstraint("kind", "identifier"),
    CheckConstraint("kind = 'other' OR identifier IS NOT NULL", name="identified"),
    one_of("kind", ControllerKind),
)

controller_version = Table(
    "controller_version",
    metadata,
    Column("controller", Text, ForeignKey("controller.id", ondelete="RESTRICT"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("legal_name", Text, nullable=False),
    Column("postal_address", Text),
    Column("contact", Text),
    Column("data_protection_officer", Text),
    Column("country", Text),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Uuid),
    PrimaryKeyConstraint("controller", "number"),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("country ~ '^[A-Z]{2}$'", name="country"),
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
    Column("controllers", ARRAY(Text), nullable=False),
    Column("particulars", JSONB, nullable=False),
    Column("reason", Text),
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
    Column("awaiting_approval", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("processing", "at"),
    one_of("status", STORED_STATUSES),
)


# Tables of invalidations, append-only like the rest of the register.
# `invalidation_told`: for an invalidation whose ended consents were all reported.

processing_invalidation = Table(
    "processing_invalidation",
    metadata,
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Integer),
    Column("text_sha256", LargeBinary),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    PrimaryKeyConstraint("processing", "number"),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("(version IS NULL) <> (text_sha256 IS NULL)", name="one_thing"),
    CheckConstraint("octet_length(text_sha256) = 32", name="text_length"),
    ForeignKeyConstraint(
        ["processing", "version"],
        ["processing_version.processing", "processing_version.number"],
        ondelete="RESTRICT",
    ),
    UniqueConstraint("processing", "version"),
    UniqueConstraint("processing", "text_sha256"),
)

invalidation_told = Table(
    "invalidation_told",
    metadata,
    Column("processing", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("told_at", Instant, nullable=False),
    PrimaryKeyConstraint("processing", "number"),
    ForeignKeyConstraint(
        ["processing", "number"],
        ["processing_invalidation.processing", "processing_invalidation.number"],
        ondelete="RESTRICT",
    ),
)
