"""Reads and writes of the ledger. Events are only ever appended, one subject at a time, under that subject's lock.

Decisions read by locator (`app.ledger.locators`); everything else reads by subject_ref.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, Row, RowMapping, Select, any_, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert

from app.core.article import FRANCE, Element
from app.core.consent import NOTES, ConsentEvent, EventKind, parse_kind
from app.core.renewal import Solicited, half_year
from app.db.database import ReadPool
from app.db.session import Lookup, Prepared, Put, ReadSession, WriteSession, as_refs, insertion, record_of
from app.ledger.projection import LedgerEntry, collection_of
from app.ledger.tables import DOUBTFUL, consent_event, solicitation, subject, subject_locator

Fact = TypeVar("Fact")


async def load_entries(session: ReadSession, ref: bytes) -> list[LedgerEntry]:
    """Return all entries of one subject, in ledger order."""
    statement = select(consent_event).where(consent_event.c.subject_ref == ref).order_by(consent_event.c.seq)
    return [_entry(row) for row in await session.execute(statement)]


_OF_ONE_BEFORE: Final = timedelta(days=1)
"""Of an erasure the day is kept, and no hour."""


async def acts_of_parent(session: ReadSession, parent_ref: str, locators: Collection[bytes]) -> list[dict[str, Any]]:
    """Return what is recorded of a parent by their reference (hex), oldest first, without naming the child.

    A reference is made of a name, and whoever has it next is handed nothing of those before: what was recorded until
    the last account under these locators was closed or erased is left out.
    """
    columns = (
        consent_event.c.kind,
        consent_event.c.processing,
        consent_event.c.version,
        consent_event.c.collected_at,
        consent_event.c.capacity["given_by"].astext.label("given_by"),
        consent_event.c.capacity["parent_checked_how"].astext.label("parent_checked_how"),
    )
    left = select(func.max(subject_locator.c.ended_at)).where(subject_locator.c.locator.in_(list(locators)))
    end = (await session.execute(left)).scalar_one()
    theirs = consent_event.c.capacity["parent_ref"].astext == parent_ref
    if end is not None:
        theirs &= consent_event.c.recorded_at > end + _OF_ONE_BEFORE
    rows = await session.execute(select(*columns).where(theirs).order_by(consent_event.c.collected_at))
    return [{**row, "collected_at": row["collected_at"].isoformat()} for row in rows.mappings()]


_BEHIND: Final = Prepared(
    select(consent_event)
    .where(
        text(
            "subject_ref IN (SELECT subject_ref FROM subject_locator WHERE ended_at IS NULL AND locator = "
            "ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:locators, ',') AS each)))"
        )
    )
    .order_by(consent_event.c.subject_ref, consent_event.c.seq)
)


def ledgers_behind(locators: Collection[bytes]) -> Lookup[dict[bytes, list[LedgerEntry]]]:
    """Return a lookup of the entries of the subjects to whom locators lead now, by subject_ref, in ledger order."""
    return Lookup(_BEHIND, {"locators": as_refs(locators)}, lambda rows: by_subject(rows, _entry))


def by_subject(rows: Iterable[Any], read: Callable[[Any], Fact]) -> dict[bytes, list[Fact]]:
    """Return what is read of each row, by its subject_ref, in the order of the rows."""
    facts: dict[bytes, list[Fact]] = {}
    for row in rows:
        facts.setdefault(bytes(row.subject_ref), []).append(read(row))
    return facts


@dataclass(frozen=True, slots=True)
class Person:
    """What is recorded of a person: the subject_ref, and the consent events in ledger order.

    `shared` says that this is a shared mailbox.
    """

    ref: bytes
    events: Sequence[ConsentEvent]
    shared: bool = False


async def load_events(session: ReadSession, refs: Collection[bytes]) -> dict[bytes, list[ConsentEvent]]:
    """Return the consent events of several subjects, by subject_ref, in ledger order, in one statement."""
    table = consent_event.c
    statement = select(consent_event).where(table.subject_ref.in_(refs)).order_by(table.subject_ref, table.seq)
    return by_subject(await session.execute(statement), event_of)


async def events_known(session: ReadSession, identifiers: Collection[UUID]) -> dict[UUID, list[ConsentEvent]]:
    """Return, for each event, all events of the same person up to it, in ledger order; unknown ids are left out."""
    table = consent_event.c
    named = await session.execute(select(table.id, table.subject_ref, table.seq).where(table.id.in_(identifiers)))
    last = {row.id: (bytes(row.subject_ref), row.seq) for row in named}
    events = await load_events(session, {ref for ref, _ in last.values()})
    return {each: [event for event in events[ref] if event.order <= order] for each, (ref, order) in last.items()}


_WHOLE: Final = text("""
SELECT subject_ref FROM unnest(CAST(:beginnings AS bytea[])) AS beginning
    JOIN subject ON subject_ref >= beginning AND subject_ref < beginning || decode(repeat('ff', 17), 'hex')
""")


async def whole_refs(session: ReadSession, beginnings: Collection[bytes]) -> list[bytes]:
    """Return the subject_refs that begin with any of these bytes; people without a row are not found."""
    refs = await session.execute(_WHOLE, {"beginnings": list(beginnings)})
    return [bytes(ref) for ref in refs.scalars()]


async def recording_times(session: ReadSession, refs: Collection[bytes]) -> dict[bytes, list[tuple[int, datetime]]]:
    """Return, for each person, the ledger order and recording time of each event that may change an answer."""
    table = consent_event.c
    by_the_sweep = (table.kind == EventKind.CLOSED) & table.processing.is_not(None)  # `ConsentEvent.is_derived`
    changes = ~(by_the_sweep | table.kind.in_(sorted(NOTES)))
    may_change = select(table.subject_ref, table.seq, table.recorded_at).where(changes)
    rows = await session.execute(may_change.where(table.subject_ref.in_(list(refs))))
    return by_subject(rows, lambda row: (row.seq, row.recorded_at))


async def load_people(
    session: ReadSession, locators: Collection[bytes], *, known_at: datetime | None = None
) -> dict[bytes, Person]:
    """Return the people to whom locators lead now, by locator, in one statement; locators of no person are left out.

    Args:
        session: where to read.
        locators: the locators to look up.
        known_at: only what had been recorded by that instant, under names that were known by then; None for all.

    """
    statement = _people_behind(subject_locator.c.locator.in_(locators), known_at).order_by(consent_event.c.seq)
    return _people(await session.execute(statement))


_OF_AN_EVENT = ("id", "kind", "processing", "collected_at", "seq", "version", "elements")
_OF_ITS_COLLECTION = ("evidence", "capacity", "text_known", "expires_at", "territory")
_COLUMNS = tuple(consent_event.c[name] for name in (*_OF_AN_EVENT, *_OF_ITS_COLLECTION))


def _people_behind(named: ColumnElement[bool], known_at: datetime | None = None) -> Select[Any]:
    """Return the statement of the people to whom some locators lead: one row for each event, or one without."""
    table, located = consent_event.c, subject_locator.c
    joined, where = table.subject_ref == located.subject_ref, named & located.ended_at.is_(None)
    if known_at is not None:
        joined &= table.recorded_at <= known_at
        where &= located.began_at <= known_at
    people = subject_locator.join(subject).outerjoin(consent_event, joined)
    columns = (located.locator, located.subject_ref.label("ref"), subject.c.shared, *_COLUMNS)
    return select(*columns).select_from(people).where(where)


_PEOPLE = Prepared(_people_behind(subject_locator.c.locator == any_(bindparam("locators", type_=ARRAY(LargeBinary)))))


async def fetch_people(pool: ReadPool, server: str, locators: Collection[bytes]) -> dict[bytes, Person]:
    """Return the same as `load_people`, from the server of that identity, on the pool that fills replicas' memory."""
    rows = await pool.fetch(server, _PEOPLE, {"locators": list(locators)})
    return _people(sorted(rows, key=lambda row: row.seq or 0))


def _people(rows: Iterable[Row[tuple[object, ...]]]) -> dict[bytes, Person]:
    """Group rows by locator; a subject who has not decided anything yet has one row without an event."""
    people: dict[bytes, Person] = {}
    events: dict[bytes, list[ConsentEvent]] = {}
    for row in rows:
        locator = bytes(row.locator)
        of_one = events.setdefault(locator, [])
        if row.id is not None:
            of_one.append(event_of(row))
        people[locator] = Person(bytes(row.ref), of_one, row.shared)
    return {locator: replace(person, events=tuple(person.events)) for locator, person in people.items()}


async def find_entry(session: ReadSession, identifier: UUID) -> LedgerEntry | None:
    """Return the entry with that event id, or None."""
    row = (await session.execute(select(consent_event).where(consent_event.c.id == identifier))).first()
    return None if row is None else _entry(row)


_APPEND: Final = Put(order=40, sql=insertion(consent_event))


def append_entries(session: WriteSession, entries: Iterable[LedgerEntry]) -> None:
    """Append events to one subject's ledger; the subject must be held (`app.ledger.locators`)."""
    for entry in entries:
        session.stage(_APPEND, _row(entry))


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
        # What the sweep finds has its consent as evidence, and no text was shown for it.
        "text_known": None if entry.evidence is None or event.is_derived else event.collection.text_known,
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
    """Return the consent event of a row of the ledger."""
    return ConsentEvent(
        id=row.id,
        kind=parse_kind(row.kind),
        processing=None if row.processing is None else intern(row.processing),  # one string for all its consents
        collected_at=row.collected_at,
        order=row.seq,
        version=row.version,
        elements=None if row.elements is None else _elements(tuple(row.elements)),
        collection=collection_of(row.evidence, row.capacity, text_known=row.text_known is not False),
        expires_at=row.expires_at,
        territory=row.territory or FRANCE,
    )


# When a person was asked for each processing, in each half-year (`app.core.renewal`).


async def load_asked(session: ReadSession, ref: bytes, at: datetime) -> Mapping[str, Solicited]:
    """Return when a person was asked in the half-year of an instant, by processing."""
    table = solicitation.c
    rows = select(solicitation).where(table.subject_ref == ref, table.half_year == half_year(at))
    return {
        row.processing: Solicited(tuple(row.asked_at), row.person_request is not None)
        for row in await session.execute(rows)
    }


async def solicitations_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """Return when a person was asked, for each processing and half-year."""
    columns = [solicitation.c[each] for each in ("processing", "half_year", "asked_at", "person_request")]
    rows = select(*columns).where(solicitation.c.subject_ref == ref)
    return (await session.execute(rows.order_by(solicitation.c.half_year, solicitation.c.processing))).mappings().all()


async def count_asked(
    session: WriteSession, ref: bytes, processings: Collection[str], at: datetime, person_request: str | None
) -> None:
    """Count one more request for each processing, with the person's ledger held.

    `person_request` is the evidence that the person asked for it; None if they did not.
    """
    rows = [
        {
            "subject_ref": ref,
            "processing": processing,
            "half_year": half_year(at),
            "asked_at": [at],
            "person_request": person_request,
        }
        for processing in processings
    ]
    statement = insert(solicitation)
    counted = {
        "asked_at": func.array_cat(solicitation.c.asked_at, statement.excluded.asked_at),
        "person_request": func.coalesce(solicitation.c.person_request, statement.excluded.person_request),
    }
    key = [solicitation.c.subject_ref, solicitation.c.processing, solicitation.c.half_year]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=counted), rows)


# Counts of every consent for the console: numbers only, in groups that stand and lapse together. In a few cases the
# state of a consent depends on the subject's other events (`app.core.fold`): evidence that may be unlawful, a child's
# age stated earlier or an age that must be stated, a grant collected before its version came into force or in a
# territory with its own calendar, a text that was invalidated. Subjects with such an event are left out of the groups
# and returned one by one, for the core itself to judge.


@dataclass(frozen=True, slots=True)
class ConsentGroup:
    """Consents alike in all that their state rests on; `collected_at` and `expires_at` are one's, good for all.

    They were collected on one civil day in Paris, and all before or all after the present local time: they lapse
    together.
    """

    processing: str
    version: int
    decision: EventKind
    ended_by: EventKind | None
    collected_at: datetime
    expires_at: datetime | None
    number: int

    def example(self) -> ConsentEvent:
        """Return one of them, as the core judges it."""
        return ConsentEvent(
            UUID(int=0), self.decision, self.processing, self.collected_at, 1, self.version, expires_at=self.expires_at
        )


# Subjects of whom one event may make a state depend on another. It may be too many, never too few: the core decides.
_DOUBTED: Final = f"""
SELECT subject_ref FROM consent_event WHERE {DOUBTFUL}
UNION
SELECT consent.subject_ref FROM consent JOIN processing_version
    ON processing_version.processing = consent.processing AND number = version
WHERE decision = 'granted' AND collected_at < effective_from
UNION
SELECT subject_ref FROM consent
    WHERE processing IN (SELECT processing FROM processing_version WHERE age_statement_required)
UNION
SELECT subject_ref FROM consent_event WHERE kind = 'granted' AND (processing, lower(evidence->>'presented_text_sha256'))
    IN (SELECT processing, encode(text_sha256, 'hex') FROM processing_invalidation WHERE text_sha256 IS NOT NULL)
"""  # noqa: S608 - a constant
# The stored expiry is the latest: a period shortened by a later version ends a consent before it.
_MAY_LAPSE: Final = """(consent.ended_by IS NULL AND consent.decision = 'granted' AND consent.expires_at >= :since AND (
    consent.expires_at < :until OR EXISTS (SELECT FROM processing_version AS later
        WHERE later.processing = consent.processing AND later.number > consent.version)))"""
_GROUPS: Final = text(f"""
WITH doubted AS MATERIALIZED ({_DOUBTED}), local AS (
    SELECT processing, version, decision, ended_by, collected_at, expires_at,
        ended_by IS NULL AND decision = 'granted' AS open,
        collected_at AT TIME ZONE 'Europe/Paris' AS at, expires_at AT TIME ZONE 'Europe/Paris' AS until
    FROM consent WHERE NOT EXISTS (SELECT FROM doubted WHERE doubted.subject_ref = consent.subject_ref)
        AND (CAST(:until AS timestamptz) IS NULL OR {_MAY_LAPSE})
)
SELECT processing, version, decision, ended_by, min(collected_at) AS collected_at, min(expires_at) AS expires_at,
    count(*) AS number
FROM local
GROUP BY processing, version, decision, ended_by, CASE WHEN open THEN at::date END, CASE WHEN open THEN until::date END,
    CASE WHEN open THEN at::time <= (CAST(:now AS timestamptz) AT TIME ZONE 'Europe/Paris')::time END
""")  # noqa: S608 - constants
_DOUBTED_ONES: Final = text(f"""
SELECT subject_ref FROM ({_DOUBTED}) AS doubted WHERE CAST(:until AS timestamptz) IS NULL
    OR EXISTS (SELECT FROM consent WHERE consent.subject_ref = doubted.subject_ref AND {_MAY_LAPSE})
""")  # noqa: S608 - constants
_AT_ONCE: Final = 2_000


Window = tuple[datetime, datetime]
"""Two instants: what may lapse from the first on and before the second."""


async def count_groups(session: ReadSession, now: datetime, window: Window | None = None) -> list[ConsentGroup]:
    """Count all consents but those of doubted subjects, in groups; it scans the whole table: for a job, not a page.

    With a window it counts those that may lapse in it, and reads little more.
    """
    rows = await session.execute(_GROUPS, {"now": now, **_bounds(window)})
    return [record_of(ConsentGroup, row) for row in rows]


@dataclass(frozen=True, slots=True)
class CountOfKind:
    """How many events or flags of a kind were recorded about a processing; `processing` "": about every processing."""

    processing: str
    kind: str
    number: int


_EVENTS: Final = text("""
SELECT coalesce(processing, '') AS processing, kind, count(*) AS number FROM consent_event
WHERE recorded_at >= :since AND recorded_at < :until GROUP BY 1, 2 ORDER BY 1, 2
""")


async def count_events(session: ReadSession, since: datetime, until: datetime) -> list[CountOfKind]:
    """Return how many events were recorded between two instants, in one pass over the ledger."""
    rows = await session.execute(_EVENTS, {"since": since, "until": until})
    return [record_of(CountOfKind, row) for row in rows]


def _bounds(window: Window | None) -> dict[str, datetime | None]:
    since, until = window or (None, None)
    return {"since": since, "until": until}


async def doubted_histories(
    session: ReadSession, window: Window | None = None
) -> AsyncIterator[Sequence[ConsentEvent]]:
    """Yield the events of each doubted subject, reading some thousands of subjects at a time.

    With a window: of each of whom a consent may lapse in it.
    """
    refs = list((await session.execute(_DOUBTED_ONES, _bounds(window))).scalars())
    for start in range(0, len(refs), _AT_ONCE):
        for events in (await load_events(session, refs[start : start + _AT_ONCE])).values():
            yield events
