"""Publish a notice for the staff, and acknowledge it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Caller, CallerKind
from app.auth.store import hold_caller
from app.core.errors import (
    CollectionTimeError,
    NotFoundError,
    OwnAcknowledgementError,
    PersonsOnlyError,
    TextChangedError,
)
from app.core.staff import IncompleteNoticeError, Notice, NoticeText, NoticeUnfinishedError, first_notice, lacking
from app.db.session import WriteSession
from app.operations.staff.coverage import MarkedAcknowledgement, ensure_member, tell_acknowledgements
from app.staff import (
    Acknowledgement,
    AcknowledgementMethod,
    add_acknowledgement,
    add_notice,
    hold_notices,
    load_acknowledgements,
    load_notice,
)


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
    return await add_notice(session, 1, first_notice(), at=await session.now(), by=None)


@dataclass(frozen=True, slots=True)
class Shown:
    """Which text was shown: version, language, and its SHA-256 (hex) as computed from what was shown."""

    notice: int
    language: str
    text_sha256: str


async def acknowledge_notice(
    session: WriteSession, who: Caller, shown: Shown, way: AcknowledgementMethod
) -> MarkedAcknowledgement:
    """Record that a person took note of the notice of today; a second time changes nothing and tells of the first.

    Raises:
        PersonsOnlyError: the caller is a program.
        TextChangedError: what was shown is not the text of today.
        NoticeUnfinishedError: it is, and leaves out what staff must be told.

    """
    if who.kind is not CallerKind.PERSON:
        raise PersonsOnlyError
    notice = await load_notice(session)
    if notice is None or shown.notice != notice.number or not _is_text(notice, shown):
        raise TextChangedError
    if lacking(notice.texts):
        raise NoticeUnfinishedError
    now = await session.now()
    return await _record(session, _Signed(who.id, shown, way, now), now, by=who.id)


async def record_paper(
    session: WriteSession, by: Caller, member: UUID, shown: Shown, at: datetime
) -> MarkedAcknowledgement:
    """Record what a member signed on paper; of any version, at the time at which it was signed.

    Raises:
        NotFoundError: there is no such member, or no such version in that language.
        PersonsOnlyError: a program has that id.
        NoticeUnfinishedError: that version leaves out what staff must be told.
        OwnAcknowledgementError: the member has access, and so the page: paper would stand for what they never read.
        CollectionTimeError: it would have been signed before the version was published, or later than now.

    """
    await ensure_member(session, member)
    access = await hold_caller(session, member)
    if access is not None and access.revoked_at is None:
        raise OwnAcknowledgementError
    notice = await load_notice(session, shown.notice)
    if notice is None or shown.language not in notice.texts:
        raise NotFoundError
    if lacking(notice.texts):
        raise NoticeUnfinishedError
    now = await session.now()
    if not notice.published_at <= at <= now:
        message = "Signed after the version was published, and not in the future."
        raise CollectionTimeError(message, field="acknowledged_at")
    read = Shown(notice.number, shown.language, notice.texts[shown.language].sha256)
    return await _record(session, _Signed(member, read, AcknowledgementMethod.PAPER, at), now, by=by.id)


@dataclass(frozen=True, slots=True)
class _Signed:
    member: UUID
    shown: Shown
    way: AcknowledgementMethod
    at: datetime


async def _record(session: WriteSession, signed: _Signed, now: datetime, *, by: UUID) -> MarkedAcknowledgement:
    await ensure_member(session, signed.member)
    shown = signed.shown
    new = Acknowledgement(
        id=session.new_id(now),
        member=signed.member,
        notice=shown.notice,
        language=shown.language,
        text_sha256=shown.text_sha256,
        way=signed.way,
        acknowledged_at=signed.at,
        recorded_at=now,
        recorded_by=by,
    )
    await add_acknowledgement(session, new)
    told_before = await load_acknowledgements(session, signed.member)
    kept = next(each for each in told_before if each.notice == shown.notice and each.way.is_own is signed.way.is_own)
    if kept == new:
        told: dict[str, Detail] = {"notice": shown.notice, "language": shown.language, "way": signed.way.value}
        target = Target(TargetKind.STAFF_MEMBER, str(signed.member))
        await record_act(session, ActKind.STAFF_ACKNOWLEDGED, by, target, told)
    [marked] = await tell_acknowledgements(session, [kept])
    return marked


def _is_text(notice: Notice, shown: Shown) -> bool:
    text = notice.texts.get(shown.language)
    return text is not None and text.sha256 == shown.text_sha256
