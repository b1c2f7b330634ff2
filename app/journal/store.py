"""Reads and writes of epochs, and the question which notes of the journal a database does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select, text

from app.db.session import ReadSession, WriteSession
from app.journal.lines import KeptNote
from app.journal.tables import deployment_epoch


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


class EventId(msgspec.Struct, frozen=True):
    """The id of an event, of all that its note says."""

    id: UUID


class EntryKey(msgspec.Struct, frozen=True):
    """Where an entry of the ledger stands: whose it is, and its event's id."""

    subject_ref: bytes
    event: EventId


class LedgerKey(msgspec.Struct, frozen=True):
    """The key of an entry, of all that its note says."""

    entry: EntryKey


class StatusNote(msgspec.Struct, frozen=True):
    """A processing was suspended or retired."""

    processing: str
    at: datetime
    status: str
    by: UUID


class InvalidationKey(msgspec.Struct, frozen=True):
    """An invalidation of a processing, by its number."""

    processing: str
    number: int


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


_HELD: Final = {
    NoteKind.LEDGER: text(
        "SELECT count(*) FROM unnest(CAST(:a AS bytea[]), CAST(:b AS uuid[])) AS noted (ref, id) WHERE NOT EXISTS "
        "(SELECT FROM consent_event AS e WHERE e.subject_ref = noted.ref AND e.id = noted.id)"
    ),
    NoteKind.STATUS: text(
        "SELECT count(*) FROM unnest(CAST(:a AS text[]), CAST(:b AS timestamptz[])) AS noted (id, at) WHERE NOT EXISTS "
        "(SELECT FROM processing_status_change AS c WHERE c.processing = noted.id AND c.at = noted.at)"
    ),
    NoteKind.INVALIDATION: text(
        "SELECT count(*) FROM unnest(CAST(:a AS text[]), CAST(:b AS integer[])) AS noted (id, number) WHERE NOT EXISTS "
        "(SELECT FROM processing_invalidation AS i WHERE i.processing = noted.id AND i.number = noted.number)"
    ),
    NoteKind.CALLER: text(
        "SELECT count(*) FROM unnest(CAST(:a AS uuid[]), CAST(:b AS timestamptz[])) AS noted (id, at) WHERE NOT EXISTS "
        "(SELECT FROM caller AS c WHERE c.id = noted.id AND c.revoked_at IS NOT NULL)"
    ),
    NoteKind.FORGOTTEN: text(
        "SELECT count(*) FROM unnest(CAST(:a AS bytea[]), CAST(:b AS bytea[])) AS noted (ref, same) WHERE EXISTS "
        "(SELECT FROM subject_vault AS v WHERE v.subject_ref = noted.ref)"
    ),
}


async def load_epoch(session: ReadSession) -> int:
    """The epoch of a database."""
    highest = select(func.coalesce(func.max(deployment_epoch.c.number), 1))
    return int((await session.execute(highest)).scalar_one())


async def is_marked(session: ReadSession, epoch: int) -> bool:
    """Whether some process has found that the database was set back in this epoch."""
    marked = text("SELECT EXISTS (SELECT FROM key_check WHERE name = :name)")
    return bool((await session.execute(marked, {"name": f"set back {epoch}"})).scalar_one())


@dataclass(frozen=True, slots=True)
class EpochComparison:
    """What the journal notes against what a database holds.

    `epoch` is the database's, `known` the highest that is known outside it, `missing` how many notes of the database's
    epoch it does not hold, and `marked` whether some process found before that it was set back.
    """

    epoch: int
    known: int
    missing: int
    marked: bool

    @property
    def is_behind(self) -> bool:
        """Whether the database was set back, and nobody has dealt with it. Notes of earlier epochs were dealt with."""
        return self.marked or self.epoch < self.known or self.missing > 0


async def compare(session: ReadSession, noted: Sequence[KeptNote], *, known: int = 1) -> EpochComparison:
    """Compare a database with notes, and with the highest epoch that is known beside them."""
    epoch = await load_epoch(session)
    missing = await count_missing(session, [each for each in noted if each.epoch == epoch])
    highest = max([known, *(each.epoch for each in noted)])
    return EpochComparison(epoch, highest, missing, await is_marked(session, epoch))


async def mark(session: WriteSession, epoch: int) -> None:
    """Have every process know that the database was set back, until another epoch begins: notes go on meanwhile."""
    put = text("INSERT INTO key_check (name, value) VALUES (:name, 'found') ON CONFLICT DO NOTHING")
    await session.execute(put, {"name": f"set back {epoch}"})


async def begin_epoch(session: WriteSession, begun: NewEpoch) -> int:
    """Begin the next epoch; its number."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau epoch'))"))
    number = await load_epoch(session) + 1
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


async def count_missing(session: ReadSession, noted: Sequence[KeptNote]) -> int:
    """How many of the facts that were noted a database does not hold."""
    missing = 0
    for kind, statement in _HELD.items():
        pairs = [_pair(kind, each.note.body) for each in noted if each.note.kind == kind]
        if pairs:
            first, second = zip(*pairs, strict=True)
            missing += int((await session.execute(statement, {"a": list(first), "b": list(second)})).scalar_one())
    return missing


def _pair(kind: NoteKind, body: msgspec.Raw) -> tuple[object, object]:
    """The two values by which a fact of that kind is found."""
    if kind is NoteKind.LEDGER:
        entry = msgspec.json.decode(body, type=LedgerKey).entry
        return entry.subject_ref, entry.event.id
    if kind is NoteKind.STATUS:
        status = msgspec.json.decode(body, type=StatusNote)
        return status.processing, status.at
    if kind is NoteKind.INVALIDATION:
        invalidation = msgspec.json.decode(body, type=InvalidationKey)
        return invalidation.processing, invalidation.number
    if kind is NoteKind.FORGOTTEN:
        forgotten = msgspec.json.decode(body, type=ForgottenNote)
        return forgotten.subject_ref, forgotten.subject_ref
    caller = msgspec.json.decode(body, type=CallerNote)
    return caller.caller, caller.at
