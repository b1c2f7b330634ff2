"""A person takes note of the notice of today; or somebody records what another signed on paper."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.acts import ActKind, Detail, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller, CallerKind
from app.auth.store import hold_caller
from app.core.errors import (
    CollectionTimeError,
    NotFoundError,
    OwnAcknowledgementError,
    PersonsOnlyError,
    TextChangedError,
)
from app.core.staff.completeness import lacking
from app.core.staff.coverage import Notice
from app.core.staff.errors import NoticeUnfinishedError
from app.db.session import WriteSession
from app.operations.staff.doubtful import MarkedAcknowledgement, tell_acknowledgements
from app.operations.staff.members import ensure_member
from app.staff.notices import load_notice
from app.staff.records import Acknowledgement, AcknowledgementMethod
from app.staff.store import add_acknowledgement, load_acknowledgements


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
