"""Tables of invalidations, append-only like the rest of the register.

One that waits for a second person stands in `invalidation_proposal` alone, so that nothing that decides meets it;
approval copies it into `processing_invalidation`, which is never taken back. `invalidation_told`: that all who had a
consent in force that it ended were told of.
"""

from typing import Any

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


def _what_is_struck() -> tuple[Any, ...]:
    """Columns and checks of an invalidation, proposed or in force; `recorded_at`: when it was asked for."""
    return (
        Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
        Column("number", Integer, nullable=False),
        Column("version", Integer),
        Column("text_sha256", LargeBinary),
        Column("reason", Text, nullable=False),
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
    )


processing_invalidation = Table(
    "processing_invalidation",
    metadata,
    *_what_is_struck(),
    Column("at", Instant, nullable=False),
    Column("approved_by", Uuid),
    Column("approval_reason", Text),
    UniqueConstraint("processing", "version"),
    UniqueConstraint("processing", "text_sha256"),
    CheckConstraint("(approved_by IS NULL) = (approval_reason IS NULL)", name="approved"),
)

invalidation_proposal = Table("invalidation_proposal", metadata, *_what_is_struck())

invalidation_rejection = Table(
    "invalidation_rejection",
    metadata,
    Column("processing", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("rejected_by", Uuid, nullable=False),
    PrimaryKeyConstraint("processing", "number"),
    ForeignKeyConstraint(
        ["processing", "number"],
        ["invalidation_proposal.processing", "invalidation_proposal.number"],
        ondelete="RESTRICT",
    ),
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
