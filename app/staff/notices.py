"""Where the versions of the notice are kept. Append-only: a version is never changed, a new one is added."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert

from app.core.staff.coverage import Notice, NoticeText
from app.db.session import ReadSession, WriteSession
from app.staff.tables import staff_notice


async def load_notices(session: ReadSession) -> list[Notice]:
    """Every version, by number."""
    return [_notice(row) for row in await session.execute(select(staff_notice).order_by(staff_notice.c.number))]


async def load_notice(session: ReadSession, number: int | None = None) -> Notice | None:
    """A version by its number; without one, the version of today. None when there is none."""
    statement = select(staff_notice).order_by(staff_notice.c.number.desc()).limit(1)
    if number is not None:
        statement = statement.where(staff_notice.c.number == number)
    row = (await session.execute(statement)).first()
    return None if row is None else _notice(row)


async def hold_notices(session: WriteSession) -> None:
    """Lock the publishing of versions until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau staff notice'))"))


async def add_notice(
    session: WriteSession, number: int, texts: Mapping[str, NoticeText], *, at: datetime, by: UUID | None
) -> bool:
    """Keep a version; False when there is one of that number already."""
    row = {
        "number": number,
        "published_at": at,
        "published_by": by,
        "title": {language: text.title for language, text in texts.items()},
        "body": {language: text.body for language, text in texts.items()},
    }
    statement = insert(staff_notice).values(row).on_conflict_do_nothing().returning(staff_notice.c.number)
    return (await session.execute(statement)).first() is not None


def _notice(row: Row[Any]) -> Notice:
    texts = {language: NoticeText(title, row.body[language]) for language, title in row.title.items()}
    return Notice(row.number, row.published_at, texts)
