"""Notes of the journal: what they say, their lines and rows; epochs; and which notes a database lacks."""

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
from app.db.session import Put, ReadSession, WriteSession, insertion
from app.journal.files import JournalError, SeenNotes
from app.ledger.identifiers import Vault, VaultError, agree_on_check, load_check

# A line of the journal is sealed, with the epoch of the database to which its note was written. It is a JSON object:
# `id` (a random UUID, also stored in a database that holds what the note is about), `epoch` (an integer), `at` (RFC
# 3339, when it was written) and `sealed` (base64: the note, encrypted under the master key). Several lines may hold one
# note under the same id. A note is JSON too: its `kind`, and a `body` that depends on the kind.

SEALED_FOR: Final = "journal"


class JournalNote(msgspec.Struct, frozen=True):
    """One write that forbids: the kind of fact that it recorded, and that fact as JSON."""

    kind: str
    body: msgspec.Raw

    def ends(self, credential: UUID, now: datetime) -> bool:
        """Return whether it says that this caller or key was revoked, or that its time has ended by now."""
        if self.kind not in {"caller", "key"}:
            return False
        ended = msgspec.json.decode(self.body, type=_Ended)
        return credential in {ended.caller, ended.key} and (ended.revoked or ended.at <= now)


class _Ended(msgspec.Struct, frozen=True):
    """A caller that was revoked, or a key that was revoked or has an end."""

    at: datetime
    caller: UUID | None = None
    key: UUID | None = None
    revoked: bool = True


class KeptNote(msgspec.Struct, frozen=True):
    """A note, with its id and the epoch and the time at which it was made."""

    id: UUID
    epoch: int
    at: datetime
    note: JournalNote


class _Line(msgspec.Struct, frozen=True):
    id: UUID
    epoch: int
    at: datetime
    sealed: bytes


def line_of(kept: KeptNote, vault: Vault) -> bytes:
    """Return the line that keeps a note, with its newline."""
    sealed = vault.seal_apart(SEALED_FOR, msgspec.json.encode(kept.note))
    return msgspec.json.encode(_Line(kept.id, kept.epoch, kept.at, sealed)) + b"\n"


def read_line(line: bytes, vault: Vault) -> KeptNote:
    """Return the note that a line keeps.

    Raises:
        JournalError: it is not a line of a journal, or was sealed under another master key, or altered.

    """
    try:
        read = msgspec.json.decode(line, type=_Line)
        note = msgspec.json.decode(vault.open_apart(SEALED_FOR, read.sealed), type=JournalNote)
    except (VaultError, IndexError):
        raise JournalError("a line of the journal was altered, or sealed under a master key that is not held") from None
    except msgspec.DecodeError:
        raise JournalError("the journal has a line that is none") from None
    return KeptNote(read.id, read.epoch, read.at, note)


@dataclass(frozen=True, slots=True)
class KnownNotes:
    """What is known outside a database that it must hold: notes that were kept, and ids that were seen."""

    notes: Sequence[KeptNote]
    seen: Sequence[SeenNotes] = ()


class NoteKind(StrEnum):
    """The kinds of facts that are noted. A note of kind `other` says what was done, and is redone by hand."""

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
    """What leads from an id to ledgers was destroyed (GDPR art. 17); `named`: the id's locators, with their makers."""

    subject_refs: tuple[bytes, ...]
    named: tuple[tuple[bytes, str], ...]


class OtherNote(msgspec.Struct, frozen=True):
    """A narrowing write that is not replayed: what was done, and to what."""

    what: str
    about: str


deployment_epoch = Table(
    "deployment_epoch",
    metadata,
    # The first epoch has no row: every database begins with it.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("began_at", Instant, nullable=False),
    # How many notes of the journal were replayed, and how many could not be; null where none was replayed.
    Column("replayed", Integer),
    Column("by_hand", Integer),
    # What is lost, in the words of the person responsible.
    Column("lost", Text, nullable=False),
    # Null: accepted on the operator's command line.
    Column("accepted_by", Uuid),
    CheckConstraint("number > 1", name="later"),
)


_SEEN: Final = 200
"""How many of the latest notes are seen: any loss loses the latest first."""


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """How a restore was dealt with: what was replayed, what is done by hand, what is lost, and who says so."""

    lost: str
    replayed: int | None = None
    by_hand: int | None = None
    by: UUID | None = None


async def load_epoch(session: ReadSession) -> int:
    """Return the epoch of a database."""
    return (await _epoch(session))[0]


async def _epoch(session: ReadSession) -> tuple[int, datetime | None]:
    """Return the epoch of a database, and when it began, which is None for the first epoch."""
    newest = select(deployment_epoch.c.number, deployment_epoch.c.began_at)
    row = (await session.execute(newest.order_by(deployment_epoch.c.number.desc()).limit(1))).one_or_none()
    return (1, None) if row is None else (row.number, row.began_at)


async def is_marked(session: ReadSession, epoch: int) -> bool:
    """Return whether some process has found that the database was set back in this epoch."""
    return await load_check(session, f"set back {epoch}") is not None


@dataclass(frozen=True, slots=True)
class EpochComparison:
    """How the journal's notes compare with what a database holds.

    `epoch` is the database's, `known_epoch` the highest known outside it, `missing` how many notes since the
    database's epoch began it lacks, and `marked` whether some process found before that it was set back.
    """

    epoch: int
    known_epoch: int
    missing: int
    marked: bool

    @property
    def is_behind(self) -> bool:
        """Whether the database was set back and not dealt with since. Notes of earlier epochs were dealt with."""
        return self.marked or self.epoch < self.known_epoch or self.missing > 0


async def compare(session: ReadSession, outside: KnownNotes, *, known_epoch: int = 1) -> EpochComparison:
    """Compare a database with the notes known outside it, and with the highest epoch otherwise known."""
    epoch, began = await _epoch(session)
    # A process learns of a new epoch within a second: what it notes meanwhile bears the previous epoch.
    since = [each for each in outside.notes if each.epoch == epoch or (began is not None and each.at > began)]
    # The note that an epoch began is made after the commit, and its id is not in the database.
    wanted = {each.id for each in since if each.note.kind != NoteKind.EPOCH}
    wanted = wanted.union(*(each.ids for each in outside.seen if each.epoch == epoch))
    missing = len(wanted - await held_ids(session, wanted))
    highest = max([known_epoch, *(each.epoch for each in outside.notes), *(each.epoch for each in outside.seen)])
    return EpochComparison(epoch, highest, missing, await is_marked(session, epoch))


async def see_latest(session: ReadSession) -> SeenNotes:
    """Return the latest notes that a database holds, whichever process made them."""
    newest = select(journal_note.c.id).order_by(journal_note.c.number.desc()).limit(_SEEN)
    return SeenNotes(await load_epoch(session), frozenset((await session.execute(newest)).scalars()))


async def mark(session: WriteSession, epoch: int) -> None:
    """Mark the database as set back for every process, until another epoch begins: notes are still made meanwhile."""
    await agree_on_check(session, f"set back {epoch}", "found")


async def begin_epoch(session: WriteSession, begun: NewEpoch, *, known_epoch: int = 1) -> int:
    """Begin the next epoch, later than the database's and than the highest known outside it; return its number.

    An epoch that the database has lost had notes, which the database would lack again under the same number.
    """
    await session.await_turn("epoch")
    number = max(await load_epoch(session), known_epoch) + 1
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


# The ids of all notes, and the lines that wait for the journal, are committed with what they are about. The id later
# shows whether a database holds what a note is about. A note's line waits here until it is in the journal's files, so
# that no line is lost with its process: a process that dies in between leaves it for the others, and a repeated write
# is answered once nothing waits.

AT_ONCE: Final = 50
"""The most notes that are given to a hook together; it has a few seconds for them."""

journal_note = Table(
    "journal_note",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The order of the acts: a closure comes before the erasure that follows from it.
    Column("number", BigInteger, Identity(), nullable=False),
    # A line of the journal, sealed, while it waits; NULL once it is kept.
    Column("line", LargeBinary),
    # When it was put here, or last taken up by a process that keeps it.
    Column("put_at", Instant, server_default=func.now(), nullable=False),
    # The kind and id of the proof log's entry for what the note is about; NULL where there is no entry.
    Column("fact_kind", Text),
    Column("fact_id", Text),
    CheckConstraint("(fact_kind IS NULL) = (fact_id IS NULL)", name="fact"),
)
Index("ix_journal_note_number", journal_note.c.number)
Index("ix_journal_note_waiting", journal_note.c.number, postgresql_where=journal_note.c.line.is_not(None))

PUT_NOTE: Final = Put(
    order=90,
    sql=f"{insertion(journal_note, without=('number', 'put_at'))} WITH ORDINALITY ORDER BY ordinality",
)
"""A note, to be committed with what it is about; `fact_kind` and `fact_id` are the proof log's name for that."""

_WITHOUT_FACT: Final = text("""
SELECT count(*) FROM journal_note AS note WHERE note.fact_id IS NOT NULL
AND NOT EXISTS (SELECT FROM proof_entry AS entry WHERE entry.kind = note.fact_kind AND entry.id = note.fact_id)
AND NOT EXISTS (SELECT FROM proof_queue AS queued WHERE queued.kind = note.fact_kind AND queued.id = note.fact_id)
""")


async def count_without_fact(session: ReadSession) -> int:
    """Return how many notes name an entry of the proof log that is neither in the log nor queued for it."""
    return int((await session.execute(_WITHOUT_FACT)).scalar_one())


async def take_up(session: WriteSession, *, left_for: timedelta | None) -> dict[UUID, bytes]:
    """Take up lines that wait, at most `AT_ONCE`, so that for some seconds no other process takes up the same lines.

    Args:
        session: a transaction. Its commit shows that this server is the primary: a write that a failover has lost must
            not get into the journal.
        left_for: only lines that have waited this long and that no other process takes up now; None: all that wait.

    """
    waiting = (
        select(journal_note).where(journal_note.c.line.is_not(None)).order_by(journal_note.c.number).limit(AT_ONCE)
    )
    if left_for is None:
        waiting = waiting.with_for_update()
    else:
        waiting = waiting.where(journal_note.c.put_at <= func.now() - left_for).with_for_update(skip_locked=True)
    lines = {row.id: row.line for row in await session.execute(waiting)}
    if lines:
        statement = update(journal_note).where(journal_note.c.id.in_(lines)).values(put_at=func.now())
        await session.execute(statement)  # on rows that it already holds
    return lines


_KEPT: Final = text(
    "UPDATE journal_note AS note SET line = NULL FROM (SELECT id FROM journal_note "
    "WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY number FOR UPDATE) AS kept WHERE note.id = kept.id"
)
"""Locks rows in the order in which all processes do, so that they never deadlock."""


async def mark_kept(session: WriteSession, ids: Sequence[UUID]) -> None:
    """Mark notes as kept in the journal, so that they no longer wait."""
    if ids:
        await session.execute(_KEPT, {"ids": list(ids)})


async def held_ids(session: ReadSession, ids: Collection[UUID]) -> frozenset[UUID]:
    """Return which of these notes a database holds; it then also holds what they are about."""
    query = text("SELECT id FROM journal_note WHERE id = ANY(CAST(:ids AS uuid[]))")
    return frozenset((await session.execute(query, {"ids": list(ids)})).scalars()) if ids else frozenset()
