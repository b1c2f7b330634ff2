"""Notes on their way to the journal, committed with what they are about, so that none is lost with its process.

A note stands in this table from the commit on, until it is in the journal's files. A process that dies in between
leaves it for the others; a write that is repeated is answered once nothing is left here.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Column, DateTime, LargeBinary, Table, Uuid, bindparam, delete, func, select

from app.db.identifiers import random_id
from app.db.schema import metadata
from app.db.session import Put, WriteSession

AT_ONCE: Final = 500

journal_outbox = Table(
    "journal_outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    # A line of the journal, sealed (`app.journal.lines`).
    Column("line", LargeBinary, nullable=False),
    Column("put_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

_PUT: Final = Put(
    order=90,
    sql="""
INSERT INTO journal_outbox (id, line)
SELECT id, decode(line, 'hex') FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (id uuid, line text)
""",
)


def put_lines(session: WriteSession, lines: Sequence[bytes]) -> list[UUID]:
    """Stage lines, to be committed with what they are about; the ids that they stand under."""
    ids = [random_id() for _ in lines]
    for identifier, line in zip(ids, lines, strict=True):
        session.stage(_PUT, {"id": identifier, "line": line})
    return ids


async def held_lines(session: WriteSession, *, older_than: timedelta) -> dict[UUID, bytes]:
    """Lines that wait, at most `AT_ONCE`, held until the end of the transaction: another may be about to keep them."""
    is_old = journal_outbox.c.put_at <= func.now() - older_than
    waiting = select(journal_outbox).where(is_old).order_by(journal_outbox.c.id).limit(AT_ONCE).with_for_update()
    return {row.id: row.line for row in await session.execute(waiting)}


_REMOVE: Final = delete(journal_outbox).where(journal_outbox.c.id == bindparam("kept"))


async def remove_lines(session: WriteSession, ids: Sequence[UUID]) -> None:
    """Take away lines that are in the journal, in the order in which all do it."""
    if ids:
        await session.execute(_REMOVE, [{"kept": each} for each in sorted(ids)])
