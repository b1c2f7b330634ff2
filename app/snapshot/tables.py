"""What replicas tell one another through the database: what changed, and how far each has applied it."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from app.db.schema import metadata
from app.db.types import Snapshot, TransactionId

change = Table(
    "change",
    metadata,
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("kind", SmallInteger, nullable=False),
    Column("ref", LargeBinary, nullable=False),
    PrimaryKeyConstraint("xid", "kind", "ref"),
)

replica = Table(
    "replica",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("beat", BigInteger, nullable=False, server_default=text("0")),
    Column("applied", Snapshot),
    Column("lease_ms", Integer, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("about", Text, nullable=False),
)
