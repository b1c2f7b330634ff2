"""The change table: what a replica must drop, written in the transaction that changed it."""

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, SmallInteger, Table, text

from app.db.schema import metadata
from app.db.types import TransactionId

change = Table(
    "change",
    metadata,
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("kind", SmallInteger, nullable=False),
    Column("ref", LargeBinary, nullable=False),
    PrimaryKeyConstraint("xid", "kind", "ref"),
)
