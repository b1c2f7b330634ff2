"""Reads and writes of epochs, and the question which notes of the journal a database does not hold."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    insert,
    select,
    text,
    update,
)

from app.db.schema import Instant, metadata
from app.db.session import LogName, Put, ReadSession, WriteSession
from app.journal.files import KnownNotes, SeenNotes

deployment_epoch = Table(
    "deployment_epoch",
    metadata,
    # The first one has no row: every database begins with it.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("began_at", Instant, nullable=False),
    # How many notes of the journal were replayed, and how many could not be; null where none was replayed.
    Column("replayed", Integer),
    Column("by_hand", Integer),
    # What is lost, in the words of who answers for it.
    Column("lost", Text, nullable=False),
    # Null: on the operator's command line.
    Column("accepted_by", Uuid),
    CheckConstraint("number > 1", name="later"),
)


_SEEN: Final = 200
"""So many of the latest notes are seen: any loss loses the latest first."""


class NoteKind(StrEnum):
    """The facts that are noted. `other` says what was done, and is done again by hand."""

    LEDGER = "ledger"
    STATUS = "status"
    INVALIDATION = "invalidation"
    CALLER = "caller"
    KEY = "key"
    EPOCH = "epoch"
    FORGOTTEN = "forgotten"
    OTHER = "other"


class StatusNote(msgspec.Struct, frozen=True):
    """A processing was suspended or retired."""

    processing: str
    at: datetime
    status: str
    by: UUID


class CallerNote(msgspec.Struct, frozen=True):
    """A caller was revoked."""

    caller: UUID
    at: datetime


class KeyNote(msgspec.Struct, frozen=True):
    """A key of a caller was revoked, or is to expire at an instant."""

    key: UUID
    at: datetime
    revoked: bool


class ForgottenNote(msgspec.Struct, frozen=True):
    """What leads from an id to a ledger was destroyed (GDPR art. 17)."""

    subject_ref: bytes


class OtherNote(msgspec.Struct, frozen=True):
    """Something that narrows and is not replayed: what was done, and to what."""

    what: str
    about: str


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """How somebody dealt with a restore: what was replayed, what is done by hand, what is lost, and who says so."""

    lost: str
    replayed: int | None = None
    by_hand: int | None = None
    by: UUID | None = None


async def load_epoch(session: ReadSession) -> int:
    """The epoch of a database."""
    return (await _epoch(session))[0]


async def _epoch(session: ReadSession) -> tuple[int, datetime | None]:
    """The epoch of a database, and when it began; None for the first one."""
    newest = select(deployment_epoch.c.number, deployment_epoch.c.began_at)
    row = (await session.execute(newest.order_by(deployment_epoch.c.number.desc()).limit(1))).one_or_none()
    return (1, None) if row is None else (row.number, row.began_at)


async def is_marked(session: ReadSession, epoch: int) -> bool:
    """Whether some process has found that the database was set back in this epoch."""
    marked = text("SELECT EXISTS (SELECT FROM key_check WHERE name = :name)")
    return bool((await session.execute(marked, {"name": f"set back {epoch}"})).scalar_one())


@dataclass(frozen=True, slots=True)
class EpochComparison:
    """What the journal notes against what a database holds.

    `epoch` is the database's, `known` the highest that is known outside it, `missing` how many notes since the
    database's epoch began it does not hold, and `marked` whether some process found before that it was set back.
    """

    epoch: int
    known: int
    missing: int
    marked: bool

    @property
    def is_behind(self) -> bool:
        """Whether the database was set back, and nobody has dealt with it. Notes of earlier epochs were dealt with."""
        return self.marked or self.epoch < self.known or self.missing > 0


async def compare(session: ReadSession, outside: KnownNotes, *, known: int = 1) -> EpochComparison:
    """Compare a database with what is known outside it, and with the highest epoch that is known beside that."""
    epoch, began = await _epoch(session)
    # A process learns of a new epoch within a second: what it noted meanwhile says the epoch of before.
    since = [each for each in outside.notes if each.epoch == epoch or (began is not None and each.at > began)]
    # That an epoch began is noted after it is committed, and has no id in the database.
    wanted = {each.id for each in since if each.note.kind != NoteKind.EPOCH}
    wanted = wanted.union(*(each.ids for each in outside.seen if each.epoch == epoch))
    missing = len(wanted - await held_ids(session, wanted))
    highest = max([known, *(each.epoch for each in outside.notes), *(each.epoch for each in outside.seen)])
    return EpochComparison(epoch, highest, missing, await is_marked(session, epoch))


async def see_latest(session: ReadSession) -> SeenNotes:
    """The latest notes that a database holds, whoever made them."""
    newest = select(journal_note.c.id).order_by(journal_note.c.number.desc()).limit(_SEEN)
    return SeenNotes(await load_epoch(session), frozenset((await session.execute(newest)).scalars()))


async def mark(session: WriteSession, epoch: int) -> None:
    """Have every process know that the database was set back, until another epoch begins: notes go on meanwhile."""
    put = text("INSERT INTO key_check (name, value) VALUES (:name, 'found') ON CONFLICT DO NOTHING")
    await session.execute(put, {"name": f"set back {epoch}"})


async def begin_epoch(session: WriteSession, begun: NewEpoch, *, known: int = 1) -> int:
    """Begin the next epoch; its number: later than the database's, and than the highest that is known outside it.

    One that the database has lost had notes, which it would lack again.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau epoch'))"))
    number = max(await load_epoch(session), known) + 1
    await session.execute(
        insert(deployment_epoch).values(
            number=number,
            began_at=await session.now(),
            replayed=begun.replayed,
            by_hand=begun.by_hand,
            lost=begun.lost,
            accepted_by=begun.by,
        )
    )
    return number


# The ids of all notes, and those notes that wait for the journal: committed with what they are about.
#
# By its id it is known later whether a database holds what a note is about. Until a note is in the journal's files its
# line waits here, so that none is lost with its process: one that dies in between leaves it for the others, and a write
# that is repeated is answered once nothing waits.

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
    # The kind and id under which the proof log enters what it is about; NULL where that has no entry.
    Column("fact_kind", Text),
    Column("fact_id", Text),
    CheckConstraint("(fact_kind IS NULL) = (fact_id IS NULL)", name="fact"),
)
Index("ix_journal_note_number", journal_note.c.number)
Index("ix_journal_note_waiting", journal_note.c.number, postgresql_where=journal_note.c.line.is_not(None))

_PUT: Final = Put(
    order=90,
    sql="""
INSERT INTO journal_note (id, line, fact_kind, fact_id)
SELECT id, decode(line, 'hex'), fact_kind, fact_id FROM ROWS FROM (json_to_recordset(CAST(%(rows)s AS json))
    AS (id uuid, line text, fact_kind text, fact_id text))
WITH ORDINALITY AS given (id, line, fact_kind, fact_id, place) ORDER BY place
""",
)


def put_note(session: WriteSession, identifier: UUID, line: bytes | None, entry: LogName | None) -> None:
    """Stage a note, to be committed with what it is about.

    Args:
        session: the transaction.
        identifier: the note's.
        line: its line of the journal; None where it waits for none.
        entry: how the proof log names what it is about; None where that has no entry.

    """
    kind, named = entry or (None, None)
    session.stage(_PUT, {"id": identifier, "line": line, "fact_kind": kind, "fact_id": named})


_WITHOUT_FACT: Final = text("""
SELECT count(*) FROM journal_note AS note WHERE note.fact_id IS NOT NULL
AND NOT EXISTS (SELECT FROM proof_entry AS entry WHERE entry.kind = note.fact_kind AND entry.id = note.fact_id)
AND NOT EXISTS (SELECT FROM proof_queue AS queued WHERE queued.kind = note.fact_kind AND queued.id = note.fact_id)
""")


async def count_without_fact(session: ReadSession) -> int:
    """How many notes are about what neither stands in the proof log nor waits for it, though it is entered there."""
    return int((await session.execute(_WITHOUT_FACT)).scalar_one())


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
