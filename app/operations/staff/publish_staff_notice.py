"""Publish a version of the staff notice: from then on everybody is asked again."""

from collections.abc import Mapping
from uuid import UUID

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.core.staff.completeness import lacking
from app.core.staff.coverage import Notice, NoticeText
from app.core.staff.errors import IncompleteNoticeError
from app.core.staff.notice import FIRST_NOTICE
from app.db.session import WriteSession
from app.staff.notices import add_notice, hold_notices, load_notice


async def publish_staff_notice(session: WriteSession, by: UUID, texts: Mapping[str, NoticeText]) -> Notice:
    """Add the next version, in force at once.

    Raises:
        IncompleteNoticeError: a text leaves out what staff must be told.

    """
    for language, lacks in lacking(texts).items():
        message = f"The text leaves out: {', '.join(lacks)}."
        raise IncompleteNoticeError(message, field=f"{language}.body")
    await hold_notices(session)
    before = await load_notice(session)
    notice = Notice(before.number + 1 if before is not None else 1, await session.now(), texts)
    await add_notice(session, notice.number, texts, at=notice.published_at, by=by)
    target = Target(TargetKind.STAFF_NOTICE, str(notice.number))
    await record_act(session, ActKind.STAFF_NOTICE_PUBLISHED, by, target, {"languages": sorted(texts)})
    return notice


async def ensure_first_notice(session: WriteSession) -> bool:
    """Keep the text that ships as version 1 where there is none yet; whether it was kept now."""
    return await add_notice(session, 1, FIRST_NOTICE, at=await session.now(), by=None)
