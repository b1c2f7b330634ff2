"""What the sweep flagged, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text

from app.core.renewal import FlagKind
from app.db.session import ReadSession
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
