"""How often a person was asked to renew a consent, whoever asked: what was asked for is one consent and one version."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.dialects.postgresql import insert

from app.db.session import ReadSession, WriteSession
from app.ledger.tables import solicitation

Asked = tuple[UUID, int]
"""The consent that ends, and the version that the person is asked to consent to."""


async def load_solicitations(session: ReadSession, ref: bytes) -> Mapping[Asked, int]:
    """How often a person was asked, by what they were asked for."""
    rows = await session.execute(select(solicitation).where(solicitation.c.subject_ref == ref))
    return {(row.consent, row.version): row.asked for row in rows}


async def solicitations_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """How often a person was asked for each consent and version, and when last."""
    columns = [solicitation.c[each] for each in ("consent", "version", "asked", "last_asked_at")]
    rows = select(*columns).where(solicitation.c.subject_ref == ref).order_by(solicitation.c.last_asked_at)
    return (await session.execute(rows)).mappings().all()


async def count_solicitations(session: WriteSession, ref: bytes, asked: Collection[Asked], at: datetime) -> None:
    """Count one more for each; the person's ledger must be held."""
    if not asked:
        return
    rows = [
        {"subject_ref": ref, "consent": consent, "version": version, "asked": 1, "last_asked_at": at}
        for consent, version in asked
    ]
    statement = insert(solicitation)
    counted = {"asked": solicitation.c.asked + 1, "last_asked_at": statement.excluded.last_asked_at}
    key = [solicitation.c.subject_ref, solicitation.c.consent, solicitation.c.version]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=counted), rows)
