"""Tell every replica what changed: one row for each cached fact, in the transaction that changes it."""

from enum import IntEnum
from typing import Final

from app.db.session import Put, WriteSession


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
