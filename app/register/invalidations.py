"""Reads and writes of invalidations.

They are read together with the changes of status, in one statement: whoever sees a change of a processing sees
all that were made before it, so that a number says which of them were known (`app.audit.relying`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Row,
    Select,
    insert,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.processing import Invalidation, Status, StatusChange
from app.core.register import Struck
from app.db.session import ReadSession, WriteSession
from app.register.tables import invalidation_told, processing_invalidation, processing_status_change


@dataclass(frozen=True, slots=True)
class InvalidationRecord:
    """One invalidation: what it strikes, since when, and who asked for it at `asked_at`, and why."""

    number: int
    struck: Struck
    reason: str
    asked_at: datetime
    by: UUID
    at: datetime


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
    """Every invalidation of a processing, by number."""
    struck = processing_invalidation
    rows = select(struck).where(struck.c.processing == processing).order_by(struck.c.number)
    return [_record(row) for row in await session.execute(rows)]


async def list_not_told(session: ReadSession) -> list[tuple[str, InvalidationRecord]]:
    """The invalidations of which not everybody was told yet, with their processings, oldest first."""
    struck, told = processing_invalidation, invalidation_told
    same = (told.c.processing == struck.c.processing) & (told.c.number == struck.c.number)
    rows = select(struck).outerjoin(told, same).where(told.c.number.is_(None)).order_by(struck.c.at)
    return [(row.processing, _record(row)) for row in await session.execute(rows)]


async def add_told(session: WriteSession, processing: str, number: int, at: datetime) -> None:
    """Keep that everybody was told of an invalidation; another process may have kept it already."""
    values = {"processing": processing, "number": number, "told_at": at}
    await session.execute(upsert(invalidation_told).values(values).on_conflict_do_nothing())


async def add_invalidation(session: WriteSession, processing: str, record: InvalidationRecord) -> None:
    """Put an invalidation where decisions meet it."""
    struck = record.struck
    values = {
        "processing": processing,
        "number": record.number,
        "version": struck.version,
        "text_sha256": bytes.fromhex(struck.text) if struck.text is not None else None,
        "reason": record.reason,
        "at": record.at,
        "recorded_at": record.asked_at,
        "recorded_by": record.by,
    }
    await session.execute(insert(processing_invalidation).values(values))
    session.note("invalidation", {"processing": processing, "number": record.number, "record": record})


def _record(row: Row[Any]) -> InvalidationRecord:
    struck = Struck(row.version, None if row.text_sha256 is None else row.text_sha256.hex())
    return InvalidationRecord(row.number, struck, row.reason, row.recorded_at, row.recorded_by, row.at)


def next_number(known: Sequence[InvalidationRecord]) -> int:
    """The number of the next one: numbers are not given again."""
    return max((each.number for each in known), default=0) + 1
