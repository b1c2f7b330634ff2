"""The `consent` table: the projection of the ledger, written in the transaction of the event it follows.

It has one row for each consent, computed by `app.core.fold` from all of the subject's events and never patched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select

from app.core.consent import (
    AgeBand,
    CheckedHow,
    Collection,
    ConsentEvent,
    DefaultState,
    EventKind,
    GivenBy,
    PositiveAct,
    StatedBy,
    age_weight,
)
from app.core.fold import ConsentRow
from app.db.session import Put, ReadSession, WriteSession, as_columns, insertion, record_of
from app.ledger.tables import consent, subject, subject_locator

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One event of the ledger.

    `stated_at` is the time that the caller gave, kept beside the time that counts (`event.collected_at`). `imported`
    says that the decision was recorded after the fact. `evidence` and `capacity` are as received.
    """

    subject_ref: bytes
    event: ConsentEvent
    recorded_at: datetime
    recorded_by: UUID
    imported: bool = False
    stated_at: datetime | None = None
    counting: str | None = None
    evidence: Json | None = None
    capacity: Json | None = None


_AGE: Final = frozenset({"age_band", "under_15_until"})
_HOW_STATED: Final = frozenset({"stated_by", "checked_how"})


def without_age(capacity: Json | None) -> Json | None:
    """Return the capacity of a decision without the person's age; None where nothing is left."""
    return {name: value for name, value in (capacity or {}).items() if name not in _AGE} or None


def age_alone(evidence: Json | None, capacity: Json | None) -> tuple[Json | None, Json | None]:
    """Return the evidence and capacity of a statement of age, without the decision that it came with, if any.

    If the evidence does not say who stated the age, the giver of the decision did, and it was not checked.
    """
    members = capacity or {}
    if (evidence or {}).get("stated_by") is None:
        by_parent = members.get("given_by") in {GivenBy.PARENT, GivenBy.BOTH}
        stated = {"stated_by": StatedBy.PARENT if by_parent else StatedBy.SELF, "checked_how": CheckedHow.NOT_CHECKED}
    else:
        stated = {name: value for name, value in (evidence or {}).items() if name in _HOW_STATED}
    return stated, {name: value for name, value in members.items() if name in _AGE}


def collection_of(evidence: Json | None, capacity: Json | None, *, text_known: bool) -> Collection:
    """Return the part of evidence and capacity that the rules look at; what they leave out counts as lawful."""
    members = {**(evidence or {}), **(capacity or {})}
    return _collection(
        members.get("positive_act", PositiveAct.BUTTON_CLICKED),
        members.get("default_state", DefaultState.UNSELECTED),
        bool(members.get("separate_from_terms", True)),
        bool(members.get("conditional", False)),
        text_known,
        members.get("age_band"),
        members.get("given_by", GivenBy.SELF),
        _text(members.get("presented_text_sha256")) if text_known else None,
        members.get("stated_by"),
        members.get("checked_how", CheckedHow.NOT_CHECKED),
        members.get("under_15_until"),
    )


def _text(digest: object) -> str | None:
    return digest.lower() if isinstance(digest, str) else None


@lru_cache(maxsize=4_096)
def _collection(  # noqa: PLR0917 - the members of a collection: there are few that differ, and many consents share one
    positive_act: str,
    default_state: str,
    separate_from_terms: bool,  # noqa: FBT001
    conditional: bool,  # noqa: FBT001
    text_known: bool,  # noqa: FBT001
    age_band: str | None,
    given_by: str,
    text: str | None,
    stated_by: str | None,
    checked_how: str,
    under_15_until: str | None,
) -> Collection:
    weight = age_weight(
        StatedBy(stated_by) if stated_by is not None else None, CheckedHow(checked_how), GivenBy(given_by)
    )
    return Collection(
        PositiveAct(positive_act),
        DefaultState(default_state),
        separate_from_terms,
        conditional,
        text_known,
        AgeBand(age_band) if age_band is not None else None,
        GivenBy(given_by),
        text,
        weight,
        date.fromisoformat(under_15_until) if under_15_until is not None else None,
    )


_PROJECT: Final = Put(
    order=50,
    sql=f"""
{insertion(consent, without=("renewal_stage",))}
ON CONFLICT (subject_ref, id) DO UPDATE SET processing = EXCLUDED.processing, version = EXCLUDED.version,
    decision = EXCLUDED.decision, collected_at = EXCLUDED.collected_at, expires_at = EXCLUDED.expires_at,
    ended_by = EXCLUDED.ended_by, ended_at = EXCLUDED.ended_at, counted_from = EXCLUDED.counted_from
""",
)


def project_subject(
    session: WriteSession, ref: bytes, rows: Iterable[ConsentRow], before: Mapping[UUID, ConsentRow]
) -> None:
    """Make the table agree with the ledger of one subject; only rows that differ from `before` are written."""
    staged = session.committing.staged.get(_PROJECT)
    for row in rows:
        if before.get(row.id) == row:
            continue
        values = {"subject_ref": ref, **as_columns(row)}
        if staged is not None and row.id in before:
            # One statement writes a row once, so an earlier staged version of this row is dropped.
            staged[:] = [each for each in staged if each["id"] != row.id]
        session.stage(_PROJECT, values)


async def load_rows(session: ReadSession, ref: bytes) -> dict[UUID, ConsentRow]:
    """Return the rows of one subject, by consent id."""
    rows = await session.execute(select(consent).where(consent.c.subject_ref == ref))
    return {row.id: record_of(ConsentRow, row) for row in rows}


async def remove_rows(session: WriteSession, ref: bytes, ids: Iterable[UUID]) -> None:
    """Remove rows that the ledger does not account for (only a rebuild finds such rows)."""
    await session.execute(delete(consent).where(consent.c.subject_ref == ref, consent.c.id.in_(list(ids))))


async def list_consents(
    session: ReadSession,
    ref: bytes | None,
    processings: tuple[str, ...] | None,
    decision: EventKind | None,
    *,
    after: UUID | None,
    limit: int,
) -> list[tuple[bytes, ConsentRow]]:
    """Return the next consents of a person, on some processings, granted or refused (each None: all), by id."""
    statement = select(consent).order_by(consent.c.id).limit(limit)
    if after is not None:
        statement = statement.where(consent.c.id > after)
    if ref is not None:
        statement = statement.where(consent.c.subject_ref == ref)
    if processings is not None:
        statement = statement.where(consent.c.processing.in_(processings))
    if decision is not None:
        statement = statement.where(consent.c.decision == decision.value)
    return [(row.subject_ref, record_of(ConsentRow, row)) for row in await session.execute(statement)]


@dataclass(frozen=True, slots=True)
class ScannedConsent:
    """One consent of a processing, as far as the table tells.

    `locator` is one that leads to the subject now; empty when the account was closed or the person erased.
    """

    id: UUID
    subject_ref: bytes
    decision: EventKind
    expires_at: datetime | None
    ended_by: EventKind | None
    locator: bytes


async def scan_consents(
    session: ReadSession, processing: str, *, after: UUID | None, limit: int
) -> list[ScannedConsent]:
    """Return the next consents of a processing by id, ended or not; it reads at most `limit` rows."""
    columns = consent.c
    next_ones = select(consent).where(columns.processing == processing).order_by(columns.id).limit(limit)
    if after is not None:
        next_ones = next_ones.where(columns.id > after)
    scanned = next_ones.subquery()
    live = select(subject_locator.c.locator).where(
        subject_locator.c.subject_ref == scanned.c.subject_ref, subject_locator.c.ended_at.is_(None)
    )
    locator = live.limit(1).scalar_subquery()
    rows = await session.execute(select(scanned, func.coalesce(locator, b"").label("locator")).order_by(scanned.c.id))
    return [record_of(ScannedConsent, row) for row in rows]


async def lock_subjects(session: WriteSession, *, after: bytes, limit: int) -> list[bytes]:
    """Hold the next subjects, in order of subject_ref, against other writers until the transaction ends."""
    statement = select(subject.c.subject_ref).where(subject.c.subject_ref > after)
    refs = await session.execute(statement.order_by(subject.c.subject_ref).limit(limit).with_for_update())
    return list(refs.scalars())
