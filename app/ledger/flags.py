"""What was flagged, read back; and the consents that an invalidation may have ended, of which a flag is to tell.

Those may rest on one version of a processing, or on one text; the core says which of them do. Of two acts that are one
joint consent, the earlier may be the one that a text was shown for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, RowMapping, func, select, text

from app.core.register.invalidation import Struck
from app.core.renewal import FlagKind
from app.db.session import ReadSession, WriteSession
from app.ledger.sweep import Held
from app.ledger.tables import renewal_flag


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """One flag as stored; `notice` is in days, 0 for all that is no notice."""

    id: UUID
    subject_ref: bytes
    processing: str
    consent: UUID
    kind: FlagKind
    notice: int
    flagged_at: datetime
    expires_at: datetime


# Each processing and kind in its own order, then together: a page costs no more however many flags there are.
_FLAGS: Final = text("""
SELECT found.* FROM unnest(CAST(:processings AS text[])) AS wanted, unnest(CAST(:kinds AS text[])) AS sort, LATERAL (
    SELECT * FROM renewal_flag WHERE processing = wanted AND kind = sort
        AND id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT :most
) AS found ORDER BY id LIMIT :most
""")


async def list_flags(
    session: ReadSession, processings: Sequence[str], kinds: Sequence[FlagKind], *, after: UUID | None, limit: int
) -> list[FlagRecord]:
    """The next flags on those processings, of those kinds, oldest first."""
    values = {"processings": list(processings), "kinds": [kind.value for kind in kinds], "after": after, "most": limit}
    found = await session.execute(_FLAGS, values)
    return [
        FlagRecord(
            id=row.id,
            subject_ref=row.subject_ref,
            processing=row.processing,
            consent=row.consent,
            kind=FlagKind(row.kind),
            notice=row.notice,
            flagged_at=row.flagged_at,
            expires_at=row.expires_at,
        )
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class FlagsOfAProcessing:
    """How many flags of a kind were raised on the consents to a processing."""

    processing: str
    kind: FlagKind
    number: int


async def count_flags(session: ReadSession, since: datetime, until: datetime) -> list[FlagsOfAProcessing]:
    """How many flags were raised between two instants, by processing and kind."""
    table = renewal_flag.c
    by = (table.processing, table.kind)
    raised = (table.flagged_at >= since) & (table.flagged_at < until)
    rows = await session.execute(select(*by, func.count().label("number")).where(raised).group_by(*by).order_by(*by))
    return [FlagsOfAProcessing(row.processing, FlagKind(row.kind), row.number) for row in rows]


async def flags_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """Every flag on a person's consents, oldest first; `notice` in days, 0 for all that is no notice."""
    told = ("processing", "consent", "kind", "notice", "flagged_at", "expires_at")
    columns = [renewal_flag.c[each] for each in told]
    rows = select(*columns).where(renewal_flag.c.subject_ref == ref).order_by(renewal_flag.c.flagged_at)
    return (await session.execute(rows)).mappings().all()


# Nothing ended them, as far as events alone tell; whether one is in force is for the core.
_LIVE: Final = """
FROM consent AS live JOIN subject ON subject.subject_ref = live.subject_ref
WHERE live.processing = :processing AND live.decision = 'granted' AND live.ended_by IS NULL
    AND (CAST(:after AS uuid) IS NULL OR live.id > CAST(:after AS uuid))
    AND (live.version = :version OR EXISTS (
        SELECT FROM consent_event AS shown
        WHERE shown.subject_ref = live.subject_ref AND shown.processing = live.processing AND shown.kind = 'granted'
            AND lower(shown.evidence ->> 'presented_text_sha256') = :text AND (
                shown.id = live.id
                OR shown.version = live.version AND shown.capacity ->> 'given_by' IS NOT NULL
                    AND shown.collected_at BETWEEN live.collected_at - interval '30 days' AND live.collected_at)))
"""
_UNTOLD: Final = """
    AND live.renewal_stage > 0 AND NOT EXISTS (
        SELECT FROM renewal_flag AS told WHERE told.subject_ref = live.subject_ref
            AND told.processing = live.processing AND told.consent = live.id AND told.kind = 'invalidated')
"""
_COLUMNS: Final = """
SELECT live.subject_ref, live.id, coalesce(live.counted_from, live.collected_at) AS counted_from, live.version
"""
_PAGE: Final = text(f"{_COLUMNS} {_LIVE} ORDER BY live.id LIMIT :most")
_HOLD: Final = text(f"{_COLUMNS} {_LIVE} {_UNTOLD} ORDER BY live.id LIMIT :most FOR UPDATE OF subject SKIP LOCKED")
_LEFT: Final = text(f"SELECT live.id {_LIVE} {_UNTOLD} ORDER BY live.id LIMIT :most")


async def list_resting(
    session: ReadSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """The next consents that may rest on it and that nothing ended, by id; nobody is held."""
    return _held(await session.execute(_PAGE, _values(processing, struck, after) | {"most": limit}))


async def hold_resting(
    session: WriteSession, processing: str, struck: Struck, *, after: UUID | None, limit: int
) -> list[Held]:
    """The same of those that were not told of yet; their subjects are held, and who is held already is left out."""
    return _held(await session.execute(_HOLD, _values(processing, struck, after) | {"most": limit}))


async def list_untold(session: ReadSession, processing: str, struck: Struck, *, limit: int) -> list[UUID]:
    """Some that were not told of yet, whoever holds their subjects."""
    found = await session.execute(_LEFT, _values(processing, struck, None) | {"most": limit})
    return list(found.scalars())


def _values(processing: str, struck: Struck, after: UUID | None) -> dict[str, object]:
    return {"processing": processing, "version": struck.version, "text": struck.text, "after": after}


def _held(rows: Iterable[Row[Any]]) -> list[Held]:
    return [Held(row.subject_ref, row.id, row.counted_from, row.version) for row in rows]
