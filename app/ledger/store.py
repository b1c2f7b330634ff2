"""Reads and writes of the ledger. Events are only ever appended, one subject at a time, under that subject's lock."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from sys import intern
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Row, any_, bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.article import FRANCE, Element
from app.core.consent import ConsentEvent, parse_kind
from app.db.read_pool import ReadPool, Statement
from app.db.session import ReadSession, WriteSession
from app.ledger.entries import LedgerEntry, collection_of
from app.ledger.tables import consent_event, subject


async def lock_subject(session: WriteSession, ref: bytes, subject_type: str) -> None:
    """Hold a subject against other writers until the end of the transaction; it comes to be if it is new.

    Time is to be read after this returns, so that the order of times is the order of the ledger.
    """
    held = select(subject.c.subject_ref).where(subject.c.subject_ref == ref).with_for_update()
    if (await session.execute(held)).first() is not None:
        return
    created = upsert(subject).values(subject_ref=ref, type=subject_type, created_at=await session.now())
    await session.execute(created.on_conflict_do_nothing())
    await session.execute(held)


async def load_entries(session: ReadSession, ref: bytes) -> list[LedgerEntry]:
    """All entries of one subject, in ledger order."""
    statement = select(consent_event).where(consent_event.c.subject_ref == ref).order_by(consent_event.c.seq)
    return [_entry(row) for row in await session.execute(statement)]


async def load_events(
    session: ReadSession, refs: Collection[bytes], *, known_at: datetime | None = None
) -> dict[bytes, list[ConsentEvent]]:
    """The consent events of several subjects, by subject_ref, in ledger order, in one statement.

    Args:
        session: where to read.
        refs: whose; one without events is left out.
        known_at: only what had been recorded by that instant; None for everything.

    """
    statement = (
        select(consent_event)
        .where(consent_event.c.subject_ref.in_(refs))
        .order_by(consent_event.c.subject_ref, consent_event.c.seq)
    )
    if known_at is not None:
        statement = statement.where(consent_event.c.recorded_at <= known_at)
    found: dict[bytes, list[ConsentEvent]] = {}
    for row in await session.execute(statement):
        found.setdefault(row.subject_ref, []).append(event_of(row))
    return found


_OF_AN_EVENT = ("subject_ref", "id", "kind", "processing", "collected_at", "seq", "version", "elements")
_OF_ITS_COLLECTION = ("evidence", "capacity", "text_known", "expires_at", "territory")
_EVENTS_OF = Statement.compile(
    select(*(consent_event.c[name] for name in (*_OF_AN_EVENT, *_OF_ITS_COLLECTION)))
    .where(consent_event.c.subject_ref == any_(bindparam("refs", type_=ARRAY(LargeBinary))))
    .order_by(consent_event.c.subject_ref, consent_event.c.seq)
)


async def fetch_events(pool: ReadPool, refs: Collection[bytes]) -> dict[bytes, tuple[ConsentEvent, ...]]:
    """As `load_events`, on the pool that memory reads with; every subject has an entry, empty when it has no event."""
    found: dict[bytes, list[ConsentEvent]] = {ref: [] for ref in refs}
    for row in await pool.fetch(_EVENTS_OF, {"refs": list(refs)}):
        found[row.subject_ref].append(event_of(row))
    return {ref: tuple(events) for ref, events in found.items()}


async def find_entry(session: ReadSession, identifier: UUID) -> LedgerEntry | None:
    """The entry with that event id, or None."""
    row = (await session.execute(select(consent_event).where(consent_event.c.id == identifier))).first()
    return None if row is None else _entry(row)


async def append_entries(session: WriteSession, entries: Iterable[LedgerEntry]) -> None:
    """Append events to one subject's ledger; `lock_subject` must be held."""
    rows = [_row(entry) for entry in entries]
    if rows:
        await session.execute(insert(consent_event), rows)


def _row(entry: LedgerEntry) -> dict[str, object]:
    event = entry.event
    return {
        "subject_ref": entry.subject_ref,
        "seq": event.order,
        "id": event.id,
        "kind": event.kind.value,
        "processing": event.processing,
        "version": event.version,
        "elements": None if event.elements is None else sorted(element.value for element in event.elements),
        "collected_at": event.collected_at,
        "recorded_at": entry.recorded_at,
        "stated_at": entry.stated_at,
        "imported": entry.imported,
        "expires_at": event.expires_at,
        "territory": None if event.territory == FRANCE else event.territory,
        "counting": entry.counting,
        "evidence": entry.evidence,
        "capacity": entry.capacity,
        "text_known": event.collection.text_known if entry.evidence is not None else None,
        "recorded_by": entry.recorded_by,
    }


def _entry(row: Row[tuple[object, ...]]) -> LedgerEntry:
    return LedgerEntry(
        subject_ref=row.subject_ref,
        event=event_of(row),
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        imported=row.imported,
        stated_at=row.stated_at,
        counting=row.counting,
        evidence=row.evidence,
        capacity=row.capacity,
    )


@lru_cache(maxsize=256)
def _elements(words: tuple[str, ...]) -> frozenset[Element]:
    return frozenset(map(Element, words))


def event_of(row: Row[tuple[object, ...]]) -> ConsentEvent:
    """The consent event of a row of the ledger."""
    return ConsentEvent(
        id=row.id,
        kind=parse_kind(row.kind),
        processing=None if row.processing is None else intern(row.processing),  # one word for all of its consents
        collected_at=row.collected_at,
        order=row.seq,
        version=row.version,
        elements=None if row.elements is None else _elements(tuple(row.elements)),
        collection=collection_of(row.evidence, row.capacity, text_known=row.text_known is not False),
        expires_at=row.expires_at,
        territory=row.territory or FRANCE,
    )
