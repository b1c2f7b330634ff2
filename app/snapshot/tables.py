"""What replicas tell one another: what changed, how far each has applied it, and which there are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    select,
    text,
)

from app.db.schema import Instant, Snapshot, TransactionId, metadata
from app.db.session import Put, ReadSession, WriteSession

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
    Column("seen_at", Instant, nullable=False),
    Column("about", Text, nullable=False),
)


class ChangeKind(IntEnum):
    """Which cache a row speaks to; the number is what is stored."""

    SUBJECT = 1
    PROCESSING = 2
    CALLER = 3


_CHANGE: Final = Put(
    order=90,
    sql="""
WITH put AS (
    INSERT INTO change (kind, ref)
    SELECT DISTINCT kind, decode(ref, 'hex')
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (kind smallint, ref text)
    ON CONFLICT DO NOTHING
)
SELECT CAST(pg_current_xact_id() AS text)
""",
    tells_xid=True,
)


async def record_change(session: WriteSession, kind: ChangeKind, ref: bytes) -> None:
    """Record that the fact under `ref` changes in this transaction; a second time changes nothing.

    Args:
        session: the transaction that changes the fact.
        kind: which cache it stands in.
        ref: locator, processing id (UTF-8) or caller id (16 bytes).

    """
    if (int(kind), ref) not in session.committing.changes:
        session.stage(_CHANGE, {"kind": int(kind), "ref": ref})
        session.committing.changes[int(kind), ref] = None


_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """One process that decides from memory: `about` is its host and process id, `beats` how often it was heard."""

    id: UUID
    about: str
    beats: int
    lease: timedelta
    seen_at: datetime


async def list_replicas(session: ReadSession) -> list[ReplicaSeen]:
    """The replicas heard last, the one not heard for longest first; 200 at most."""
    statement = select(replica).order_by(replica.c.seen_at.desc()).limit(_MOST)
    found = [
        ReplicaSeen(row.id, row.about, row.beat, timedelta(milliseconds=row.lease_ms), row.seen_at)
        for row in await session.execute(statement)
    ]
    return found[::-1]
