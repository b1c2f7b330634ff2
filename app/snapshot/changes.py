"""Tell every replica what changed: one row for each cached fact, in the transaction that changes it."""

from enum import IntEnum

from sqlalchemy.dialects.postgresql import insert

from app.db.session import WriteSession
from app.snapshot.tables import change


class ChangeKind(IntEnum):
    """Which cache a row speaks to; the number is what is stored."""

    SUBJECT = 1
    PROCESSING = 2
    CALLER = 3


async def record_change(session: WriteSession, kind: ChangeKind, ref: bytes) -> None:
    """Record that the fact under `ref` changes in this transaction; a second time is a no-op.

    Args:
        session: the transaction that changes the fact.
        kind: which cache it stands in.
        ref: subject_ref, processing id (UTF-8) or caller id (16 bytes).

    """
    await session.execute(insert(change).values(kind=int(kind), ref=ref).on_conflict_do_nothing())
