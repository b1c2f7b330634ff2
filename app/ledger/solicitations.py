"""When a person was asked for each processing, in each half-year (`app.core.solicitation`)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert

from app.core.solicitation import Solicited, half_year
from app.db.session import ReadSession, WriteSession
from app.ledger.tables import solicitation


async def load_asked(session: ReadSession, ref: bytes, at: datetime) -> Mapping[str, Solicited]:
    """When a person was asked in the half-year of an instant, by processing."""
    table = solicitation.c
    rows = select(solicitation).where(table.subject_ref == ref, table.half_year == half_year(at))
    return {
        row.processing: Solicited(tuple(row.asked_at), row.person_request is not None)
        for row in await session.execute(rows)
    }


async def solicitations_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """When a person was asked, for each processing and half-year."""
    columns = [solicitation.c[each] for each in ("processing", "half_year", "asked_at", "person_request")]
    rows = select(*columns).where(solicitation.c.subject_ref == ref)
    return (await session.execute(rows.order_by(solicitation.c.half_year, solicitation.c.processing))).mappings().all()


async def count_asked(
    session: WriteSession, ref: bytes, processings: Collection[str], at: datetime, person_request: str | None
) -> None:
    """Count one more for each; the person's ledger must be held. `person_request`: what shows that they asked."""
    rows = [
        {
            "subject_ref": ref,
            "processing": each,
            "half_year": half_year(at),
            "asked_at": [at],
            "person_request": person_request,
        }
        for each in processings
    ]
    statement = insert(solicitation)
    counted = {
        "asked_at": func.array_cat(solicitation.c.asked_at, statement.excluded.asked_at),
        "person_request": func.coalesce(solicitation.c.person_request, statement.excluded.person_request),
    }
    key = [solicitation.c.subject_ref, solicitation.c.processing, solicitation.c.half_year]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=counted), rows)
