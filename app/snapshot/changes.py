"""Tell every replica what changed: one row for each cached fact, in the transaction that changes it."""

from enum import IntEnum

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db.session import WriteSession
from app.snapshot.tables import change


class ChangeKind(IntEnum):
    """Which cache a row speaks to; the number is what is stored."""

    SUBJECT = 1
    PROCESSING = 2
    CALLER = 3


async def record_change(session: WriteSession, kind: ChangeKind, ref: bytes) -> None:
    """Record that the fact under `ref` changes in this transaction; a second time changes nothing.

    Args:
        session: the transaction that changes the fact.
        kind: which cache it stands in.
        ref: subject_ref, processing id (UTF-8) or caller id (16 bytes).

    """
    put = insert(change).values(kind=int(kind), ref=ref).on_conflict_do_nothing().cte("put")
    written = await session.execute(select(cast(func.pg_current_xact_id(), Text)).add_cte(put))
    session.committing.xid = int(written.scalar_one())
    session.committing.changes.append((int(kind), ref))
