"""Reads and writes of invalidations: those in force, those that wait for a second person, and those that were rejected.

One in force is read together with the changes of status, in one statement: whoever sees a change of a processing sees
all that were made before it, so that a number says which of them were known (`app.audit.basis`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.processing import Invalidation, Status, StatusChange
from app.core.register.invalidation import InvalidationState, Struck
from app.db.session import ReadSession, WriteSession
from app.register.invalidation_tables import (
    invalidation_proposal,
    invalidation_rejection,
    invalidation_told,
    processing_invalidation,
)
from app.register.tables import processing_status_change


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a second person answered, when, and why."""

    by: UUID
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class InvalidationRecord:
    """One invalidation with all that is kept of it, whatever became of it.

    `by` asked for it at `asked_at`, for `reason`. `at`: since when it is in force; None of one that is not. `ruled`:
    the second person's answer, where there is one.
    """

    number: int
    struck: Struck
    reason: str
    asked_at: datetime
    by: UUID
    at: datetime | None = None
    ruled: Ruled | None = None

    @property
    def state(self) -> InvalidationState:
        """What became of it."""
        if self.at is not None:
            return InvalidationState.IN_FORCE
        return InvalidationState.PROPOSED if self.ruled is None else InvalidationState.REJECTED


def changes_made() -> Select[Any]:
    """The changes of status and the invalidations in force of all processings, in the order of their instants."""
    status, struck = processing_status_change.c, processing_invalidation.c
    made = union_all(
        select(
            status.processing,
            status.at,
            status.status,
            status.awaiting_approval,
            null().label("version"),
            null().label("text_sha256"),
        ),
        select(struck.processing, struck.at, null(), literal(False), struck.version, struck.text_sha256),  # noqa: FBT003
    ).subquery()
    return select(made).order_by(made.c.at)


def change_of(row: Row[Any]) -> StatusChange | Invalidation:
    """The change of a row."""
    if row.status is not None:
        return StatusChange(row.at, Status.PROPOSED if row.awaiting_approval else Status(row.status))
    return Invalidation(row.at, row.version, None if row.text_sha256 is None else row.text_sha256.hex())


async def load_invalidations(session: ReadSession, processing: str) -> list[InvalidationRecord]:
    """Every invalidation of a processing, by number: in force, waiting and rejected."""
    proposed, refused, struck = invalidation_proposal, invalidation_rejection, processing_invalidation
    waited = (
        select(proposed, refused.c.reason.label("why"), refused.c.at, refused.c.rejected_by)
        .outerjoin(refused, (refused.c.processing == proposed.c.processing) & (refused.c.number == proposed.c.number))
        .where(proposed.c.processing == processing)
    )
    found = {row.number: _waited(row) for row in await session.execute(waited)}
    in_force = select(struck).where(struck.c.processing == processing)
    found |= {row.number: _in_force(row) for row in await session.execute(in_force)}
    return [found[number] for number in sorted(found)]


async def load_waiting(session: ReadSession, ids: Collection[str]) -> Mapping[str, tuple[int, ...]]:
    """The numbers of the invalidations of these processings that wait for a second person; nothing for the others."""
    proposed, refused, struck = invalidation_proposal, invalidation_rejection, processing_invalidation
    rows = (
        select(proposed.c.processing, proposed.c.number)
        .outerjoin(refused, (refused.c.processing == proposed.c.processing) & (refused.c.number == proposed.c.number))
        .outerjoin(struck, (struck.c.processing == proposed.c.processing) & (struck.c.number == proposed.c.number))
        .where(proposed.c.processing.in_(ids), refused.c.number.is_(None), struck.c.number.is_(None))
        .order_by(proposed.c.processing, proposed.c.number)
    )
    found = defaultdict[str, tuple[int, ...]](tuple)
    for row in await session.execute(rows):
        found[row.processing] += (row.number,)
    return found


async def list_not_told(session: ReadSession) -> list[tuple[str, InvalidationRecord]]:
    """The invalidations in force of which not everybody was told yet, with their processings, oldest first."""
    struck, told = processing_invalidation, invalidation_told
    same = (told.c.processing == struck.c.processing) & (told.c.number == struck.c.number)
    rows = select(struck).outerjoin(told, same).where(told.c.number.is_(None)).order_by(struck.c.at)
    return [(row.processing, _in_force(row)) for row in await session.execute(rows)]


async def add_told(session: WriteSession, processing: str, number: int, at: datetime) -> None:
    """Keep that everybody was told of an invalidation; another process may have kept it already."""
    values = {"processing": processing, "number": number, "told_at": at}
    await session.execute(upsert(invalidation_told).values(values).on_conflict_do_nothing())


async def add_invalidation(session: WriteSession, processing: str, record: InvalidationRecord) -> None:
    """Put an invalidation where decisions meet it."""
    ruled = record.ruled
    values = _values(processing, record) | {
        "at": record.at,
        "approved_by": ruled.by if ruled is not None else None,
        "approval_reason": ruled.reason if ruled is not None else None,
    }
    await session.execute(insert(processing_invalidation).values(values))
    session.note("invalidation", {"processing": processing, "number": record.number, "record": record})


async def add_invalidation_proposal(session: WriteSession, processing: str, record: InvalidationRecord) -> None:
    """Keep an invalidation that waits for a second person."""
    await session.execute(insert(invalidation_proposal).values(_values(processing, record)))


async def add_invalidation_rejection(session: WriteSession, processing: str, number: int, ruled: Ruled) -> None:
    """Keep that a second person, or who proposed it, rejected an invalidation."""
    values = {"processing": processing, "number": number, "reason": ruled.reason, "at": ruled.at}
    await session.execute(insert(invalidation_rejection).values(**values, rejected_by=ruled.by))


def _values(processing: str, record: InvalidationRecord) -> dict[str, Any]:
    struck = record.struck
    return {
        "processing": processing,
        "number": record.number,
        "version": struck.version,
        "text_sha256": bytes.fromhex(struck.text) if struck.text is not None else None,
        "reason": record.reason,
        "recorded_at": record.asked_at,
        "recorded_by": record.by,
    }


def _struck(row: Row[Any]) -> Struck:
    return Struck(row.version, None if row.text_sha256 is None else row.text_sha256.hex())


def _waited(row: Row[Any]) -> InvalidationRecord:
    ruled = None if row.at is None else Ruled(row.rejected_by, row.at, row.why)
    return InvalidationRecord(row.number, _struck(row), row.reason, row.recorded_at, row.recorded_by, None, ruled)


def _in_force(row: Row[Any]) -> InvalidationRecord:
    ruled = None if row.approved_by is None else Ruled(row.approved_by, row.at, row.approval_reason)
    return InvalidationRecord(row.number, _struck(row), row.reason, row.recorded_at, row.recorded_by, row.at, ruled)


def next_number(known: Sequence[InvalidationRecord]) -> int:
    """The number of the next one: numbers are not given again."""
    return max((each.number for each in known), default=0) + 1
