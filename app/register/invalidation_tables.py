"""Tables of invalidations, append-only like the rest of the register.

`invalidation_told`: that all who had a consent in force that it ended were told of.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from app.db.schema import metadata
from app.register.tables import Instant

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
