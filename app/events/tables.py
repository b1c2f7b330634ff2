"""The outbox: one row for each domain event, written in the transaction of the fact it tells.

`xid` lets a reader page by transaction snapshot, so that commits out of order are neither skipped nor lost.
"""

from sqlalchemy import Column, DateTime, LargeBinary, PrimaryKeyConstraint, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.schema import metadata
from app.db.types import TransactionId

outbox = Table(
    "outbox",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()"), index=True),
    Column("type", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
    PrimaryKeyConstraint("subject_ref", "id"),
)
