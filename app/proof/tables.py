"""The log's tables. Entries, checkpoints and statements are append-only; an opening goes when its body is destroyed.

What is to be entered comes into the queue by triggers of the database, in the transaction that recorded it.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import metadata

Instant = DateTime(timezone=True)

proof_queue = Table(
    "proof_queue",
    metadata,
    Column("n", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("queued_at", Instant, nullable=False, server_default=text("clock_timestamp()")),
)

proof_entry = Table(
    "proof_entry",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    # The JSON that was hashed, byte for byte (app.proof.entries).
    Column("entry", LargeBinary, nullable=False),
    CheckConstraint("octet_length(entry) <= 65535", name="length"),
    CheckConstraint("position >= 0", name="position"),
    UniqueConstraint("kind", "id"),
)

proof_opening = Table(
    "proof_opening",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    CheckConstraint("octet_length(salt) = 32", name="salt"),
)

proof_tile = Table(
    "proof_tile",
    metadata,
    Column("level", SmallInteger, nullable=False),
    Column("index", BigInteger, nullable=False, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "index"),
)

proof_checkpoint = Table(
    "proof_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("signed_at", Instant, nullable=False),
    Column("note", Text, nullable=False),
)

# What has no row elsewhere: settings that decide, keys, bundles that were made. `kind` is the entry's kind.
proof_statement = Table(
    "proof_statement",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", JSONB, nullable=False),
    CheckConstraint("kind IN ('key', 'settings', 'decision_batch', 'retention_run', 'bundle')", name="kind"),
)

# What somebody outside said of a checkpoint. A stamp is the DER of an answer (RFC 3161), and has no witness; a
# cosignature is a line of a signed note, and its witness is the verifier key. `told_at`: when, by their clock.
proof_anchor = Table(
    "proof_anchor",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("size", BigInteger, ForeignKey("proof_checkpoint.size", ondelete="RESTRICT"), nullable=False),
    Column("way", Text, nullable=False),
    Column("witness", Text, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("kept_at", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
    CheckConstraint("way IN ('stamp', 'cosignature')", name="way"),
    CheckConstraint("(way = 'stamp') = (witness = '')", name="witness"),
    CheckConstraint("octet_length(content) BETWEEN 1 AND 65536", name="length"),
    UniqueConstraint("size", "witness"),
)
