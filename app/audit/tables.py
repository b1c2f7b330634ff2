"""The decision log, the trail of administrative acts, and what background tasks did.

The trail is append-only, in the ledger's manner. The log has one partition a day (UTC), made and dropped by functions
that the application role may call; each task has one row a day (UTC). `figure` and `decision_count` are what the
dashboard shows: counted by a job, numbers only.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
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

decision_log = Table(
    "decision_log",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("id", Uuid, nullable=False),
    Column("caller", Uuid, nullable=False),
    Column("processing", Text, nullable=False),
    Column("correspondence_ref", LargeBinary, nullable=False),
    Column("elements", ARRAY(Text)),
    Column("channel", Text, nullable=False),
    Column("territory", Text, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("law_version", Text),
    Column("consent", Uuid),
    Column("valid_until", DateTime(timezone=True)),
    # What it was made on (app.audit.basis).
    Column("automated", Boolean, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("version", Integer),
    Column("versions", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("party_mode", Text),
    Column("known", Integer, nullable=False),
    Column("participants", Integer),
    Column("relied", LargeBinary),
    Column("policy", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("build", Text, nullable=False),
    PrimaryKeyConstraint("subject_ref", "at", "id"),
    Index("ix_decision_log_id", "id"),
    Index("ix_decision_log_at", "at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (at)",
)

# Rows of the log that found the queue full or were refused: how many, and when the database heard of it.
decision_drop = Table(
    "decision_drop",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("number > 0", name="number"),
    Index("ix_decision_drop_at", "at"),
)

job_run = Table(
    "job_run",
    metadata,
    Column("task", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("runs", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("flagged", BigInteger, nullable=False),
    Column("last_started_at", DateTime(timezone=True), nullable=False),
    Column("last_took_ms", BigInteger, nullable=False),
    Column("last_flagged", BigInteger, nullable=False),
    Column("backlog", BigInteger, nullable=False),
    Column("last_failed_at", DateTime(timezone=True)),
    Column("last_error", Text),
    Column("lost", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("task", "day"),
)

figure = Table(
    "figure",
    metadata,
    Column("name", Text, primary_key=True),
    Column("counted_at", DateTime(timezone=True), nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("settled_until", DateTime(timezone=True)),
    Column("numbers", JSONB(none_as_null=True)),
)

decision_count = Table(
    "decision_count",
    metadata,
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("processing", Text, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("hour", "processing", "permitted", "reason"),
)

administrative_act = Table(
    "administrative_act",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("act", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("caller", Uuid),
    Column("request_id", Text),
    Column("thing", Text),
    Column("thing_id", Text),
    Column("subject_ref", LargeBinary),
    Column("detail", JSONB, nullable=False),
    Column("once", LargeBinary, unique=True),
    CheckConstraint("(thing IS NULL) = (thing_id IS NULL)", name="thing_with_its_id"),
    CheckConstraint("octet_length(subject_ref) = 32", name="ref_length"),
    CheckConstraint("octet_length(once) = 32", name="once_length"),
    Index("ix_administrative_act_caller_id", "caller", "id"),
    Index("ix_administrative_act_thing_thing_id_id", "thing", "thing_id", "id"),
    Index("ix_administrative_act_subject_ref_id", "subject_ref", "id"),
)
