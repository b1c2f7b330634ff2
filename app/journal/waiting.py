"""The ids of all notes, and those notes that wait for the journal: committed with what they are about.

By its id it is known later whether a database holds what a note is about. Until a note is in the journal's files its
line waits here, so that none is lost with its process: one that dies in between leaves it for the others, and a write
that is repeated is answered once nothing waits.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    Table,
    Uuid,
    func,
    select,
    text,
    update,
)

from app.db.schema import Instant, metadata
from app.db.session import Put, ReadSession, WriteSession

AT_ONCE: Final = 50
"""So many notes are given to a hook together at most, which has a few seconds for them."""

journal_note = Table(
    "journal_note",
    metadata,
    Column("id", Uuid, primary_key=True),
    # In the order of what was done: a closure comes before the erasure that follows from it.
    Column("number", BigInteger, Identity(), nullable=False),
    # A line of the journal, sealed (`app.journal.files`), while it waits; NULL once it is kept.
    Column("line", LargeBinary),
    # When it was put here, or last taken up by somebody who keeps it.
    Column("put_at", Instant, server_default=func.now(), nullable=False),
)
Index("ix_journal_note_number", journal_note.c.number)
Index("ix_journal_note_waiting", journal_note.c.number, postgresql_where=journal_note.c.line.is_not(None))

_PUT: Final = Put(
    order=90,
    sql="""
INSERT INTO journal_note (id, line)
SELECT id, decode(line, 'hex') FROM ROWS FROM (json_to_recordset(CAST(%(rows)s AS json)) AS (id uuid, line text))
WITH ORDINALITY AS given (id, line, place) ORDER BY place
""",
)


def put_notes(session: WriteSession, lines: Mapping[UUID, bytes | None]) -> None:
    """Stage ids of notes with their lines, to be committed with what they are about; None: it waits for no journal."""
    for identifier, line in lines.items():
        session.stage(_PUT, {"id": identifier, "line": line})


async def take_up(session: WriteSession, *, left_for: timedelta | None) -> dict[UUID, bytes]:
    """Take up lines that wait, at most `AT_ONCE`. For some seconds no other process takes up the same ones.

    Args:
        session: a transaction. Its commit shows that this server is the primary: a write that a failover has lost
            must not come into the journal.
        left_for: only those that wait for so long and that nobody else takes up just now; None: whatever waits.

    """
    waiting = (
        select(journal_note).where(journal_note.c.line.is_not(None)).order_by(journal_note.c.number).limit(AT_ONCE)
    )
    if left_for is None:
        waiting = waiting.with_for_update()
    else:
        waiting = waiting.where(journal_note.c.put_at <= func.now() - left_for).with_for_update(skip_locked=True)
    found = {row.id: row.line for row in await session.execute(waiting)}
    if found:
        taken = update(journal_note).where(journal_note.c.id.in_(found)).values(put_at=func.now())
        await session.execute(taken)  # rows that it holds already
    return found


_KEPT: Final = text(
    "UPDATE journal_note AS note SET line = NULL FROM (SELECT id FROM journal_note "
    "WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY number FOR UPDATE) AS kept WHERE note.id = kept.id"
)
"""In the order in which all processes take rows of it, so that none waits for another in a circle."""


async def mark_kept(session: WriteSession, ids: Sequence[UUID]) -> None:
    """Say that notes are in the journal: they wait no longer."""
    if ids:
        await session.execute(_KEPT, {"ids": list(ids)})


async def held_ids(session: ReadSession, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of these notes that a database holds, and so what they are about."""
    found = text("SELECT id FROM journal_note WHERE id = ANY(CAST(:ids AS uuid[]))")
    return frozenset((await session.execute(found, {"ids": list(ids)})).scalars()) if ids else frozenset()
