"""Publish a notice for the staff, and acknowledge it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.auth.store import hold_caller, keys_of, list_persons
from app.core.errors import (
    CollectionTimeError,
    MemberActiveError,
    NotFoundError,
    OwnAcknowledgementError,
    TextChangedError,
)
from app.core.staff import (
    IncompleteNoticeError,
    KeyMade,
    Notice,
    NoticeStanding,
    NoticeText,
    NoticeUnfinishedError,
    first_notice,
    lacking,
    rotated_by_other,
    standing,
)
from app.db.session import ReadSession, WriteSession, uuid7
from app.ledger.identifiers import SealedId, Vault, VaultError
from app.operations.service.gate import check_person
from app.staff import (
    Acknowledgement,
    AcknowledgementMethod,
    LatestKnown,
    Member,
    add_acknowledgement,
    add_member,
    add_notice,
    destroy_name,
    hold_member,
    keep_name,
    latest_of_each,
    load_acknowledgements,
    load_members,
    load_names,
    load_notice,
    load_notices,
    mark_left,
)


@dataclass(frozen=True, slots=True)
class MarkedAcknowledgement:
    """An acknowledgement, and whether another person rotated the member's key within the week before it."""

    acknowledgement: Acknowledgement
    rotated_by_other: bool


async def publish_staff_notice(session: WriteSession, by: UUID, texts: Mapping[str, NoticeText]) -> Notice:
    """Add the next version, in force at once.

    Raises:
        IncompleteNoticeError: a text leaves out what staff must be told.

    """
    for language, lacks in lacking(texts).items():
        message = f"The text leaves out: {', '.join(lacks)}."
        raise IncompleteNoticeError(message, field=f"{language}.body")
    await session.await_turn("staff notice")
    before = await load_notice(session)
    notice = Notice(before.number + 1 if before is not None else 1, await session.now(), texts)
    await add_notice(session, notice.number, texts, at=notice.published_at, by=by)
    target = Target(TargetKind.STAFF_NOTICE, str(notice.number))
    await record_act(session, ActKind.STAFF_NOTICE_PUBLISHED, by, target, {"languages": sorted(texts)})
    return notice


async def ensure_first_notice(session: WriteSession) -> bool:
    """Keep the text that ships as version 1 if there is no notice yet; return whether it was kept now."""
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
    """Record that a person took note of today's notice; a second time changes nothing and returns the first.

    Raises:
        PersonsOnlyError: the caller is a program.
        TextChangedError: what was shown is not the text of today.
        NoticeUnfinishedError: the text of today leaves out what staff must be told.

    """
    check_person(who)
    notice = await load_notice(session)
    texts = notice.texts if notice is not None else {}
    if notice is None or shown not in [Shown(notice.number, each, text.sha256) for each, text in texts.items()]:
        raise TextChangedError
    if lacking(notice.texts):
        raise NoticeUnfinishedError
    now = await session.now()
    return await _record(session, who.id, shown, way, at=now, now=now, by=who.id)


async def record_paper(
    session: WriteSession, by: Caller, member: UUID, shown: Shown, at: datetime
) -> MarkedAcknowledgement:
    """Record what a member signed on paper, for any version, at the time of signing.

    Raises:
        NotFoundError: there is no such member, or no such version in that language.
        PersonsOnlyError: a program has that id.
        NoticeUnfinishedError: that version leaves out what staff must be told.
        OwnAcknowledgementError: the member has access to the page: paper would stand for a text that they never read.
        CollectionTimeError: the time of signing is before the version was published, or later than now.

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
    return await _record(session, member, read, AcknowledgementMethod.PAPER, at=at, now=now, by=by.id)


async def _record(
    session: WriteSession,
    member: UUID,
    shown: Shown,
    way: AcknowledgementMethod,
    *,
    at: datetime,
    now: datetime,
    by: UUID,
) -> MarkedAcknowledgement:
    await ensure_member(session, member)
    new = Acknowledgement(
        id=uuid7(now),
        member=member,
        notice=shown.notice,
        language=shown.language,
        text_sha256=shown.text_sha256,
        way=way,
        acknowledged_at=at,
        recorded_at=now,
        recorded_by=by,
    )
    await add_acknowledgement(session, new)
    of_member = await load_acknowledgements(session, member)
    kept = next(each for each in of_member if each.notice == shown.notice and each.way.is_own is way.is_own)
    if kept == new:
        detail: dict[str, Detail] = {"notice": shown.notice, "language": shown.language, "way": way.value}
        target = Target(TargetKind.STAFF_MEMBER, str(member))
        await record_act(session, ActKind.STAFF_ACKNOWLEDGED, by, target, detail)
    [marked] = await tell_acknowledgements(session, [kept])
    return marked


# Which members of the staff have seen the present notice, and the standing of one of them.

log = structlog.get_logger("sceau.staff")


async def register_staff_member(
    session: WriteSession, vault: Vault, by: Caller, name: str, caller: UUID | None
) -> Member:
    """Keep a member's name, sealed; for a person with access to the API, under that caller's id.

    Raises:
        NotFoundError: there is no such caller.
        PersonsOnlyError: it is a program.

    """
    now = await session.now()
    if caller is None:
        member = Member(uuid7(now), None, now, by.id)
        await add_member(session, member)
    else:
        member = await ensure_member(session, caller)
    await keep_name(session, member.id, seal_name(vault, member.id, name))
    target = Target(TargetKind.STAFF_MEMBER, str(member.id))
    await record_act(session, ActKind.STAFF_MEMBER_REGISTERED, by.id, target)
    return member


async def ensure_member(session: WriteSession, identifier: UUID) -> Member:
    """Return the member of that id, held until the transaction ends; make one of a person with access to the API.

    Raises:
        NotFoundError: no member has that id.
        PersonsOnlyError: a program has that id.

    """
    existing = await hold_member(session, identifier)
    if existing is not None:
        return existing
    caller = await hold_caller(session, identifier)
    if caller is None:
        raise NotFoundError
    check_person(caller)
    member = Member(caller.id, caller.id, await session.now())
    await add_member(session, member)  # unless another transaction has, while this one waited for the caller
    return await hold_member(session, identifier) or member


async def change_staff_member(session: WriteSession, by: Caller, identifier: UUID, *, left: bool) -> Member:
    """Record that a member left, or is back; a repetition keeps the time of the first.

    Raises:
        NotFoundError: no member has that id.
        PersonsOnlyError: a program has that id.

    """
    member = await ensure_member(session, identifier)
    if left is not (member.left_at is not None):
        member = replace(member, left_at=await session.now() if left else None)
        await mark_left(session, member)
        target = Target(TargetKind.STAFF_MEMBER, str(member.id))
        await record_act(session, ActKind.STAFF_MEMBER_CHANGED, by.id, target, {"status": "left" if left else "active"})
    return member


async def erase_staff_member(session: WriteSession, by: Caller, identifier: UUID) -> Member:
    """Destroy the name of a member who left; what they acknowledged stays, under an id that identifies no person.

    Raises:
        NotFoundError: there is no such member.
        MemberActiveError: the member did not leave.

    """
    member = await hold_member(session, identifier)
    if member is None:
        raise NotFoundError
    if member.left_at is None:
        raise MemberActiveError
    await destroy_name(session, member.id)
    await record_act(session, ActKind.STAFF_MEMBER_ERASED, by.id, Target(TargetKind.STAFF_MEMBER, str(member.id)))
    return member


# --- names -----------------------------------------------------------------------------------------------------------


def seal_name(vault: Vault, member: UUID, name: str) -> tuple[str, bytes, bytes]:
    """Seal a name, under a key that seals nothing else."""
    sealed = vault.seal(_ref(member), name)
    return sealed.master_key_id, sealed.wrapped_key, sealed.sealed_id


def open_name(vault: Vault, member: UUID, sealed: tuple[str, bytes, bytes]) -> str | None:
    """Return the name; None if this deployment's keys do not open it, so that the others can still be shown."""
    try:
        return vault.open(SealedId(*sealed, _ref(member)))
    except VaultError:
        log.warning("a name cannot be opened: is its master key still in SCEAU_MASTER_KEY?", member=str(member))
        return None


def _ref(member: UUID) -> bytes:
    return b"staff member " + member.bytes


async def tell_acknowledgements(session: ReadSession, rows: Sequence[Acknowledgement]) -> list[MarkedAcknowledgement]:
    """Return these acknowledgements with their mark. Paper has none: no key makes it."""
    keys = await keys_made(session, {each.member for each in rows})
    return [
        MarkedAcknowledgement(
            each, each.way.is_own and rotated_by_other(each.member, keys[each.member], each.acknowledged_at)
        )
        for each in rows
    ]


async def keys_made(session: ReadSession, members: Collection[UUID]) -> dict[UUID, list[KeyMade]]:
    """Return every key that each of these members ever had, the first one first."""
    by_member = await keys_of(session, members)
    return {member: [KeyMade(each.created_at, each.created_by) for each in keys] for member, keys in by_member.items()}


# How a person stands towards the staff notice of today, by what they acknowledged themselves.
# What another person recorded on paper does not count: a person with access reads and acknowledges it themselves.
# Neither does an acknowledgement of a version that leaves out what staff must be told.
@dataclass(frozen=True, slots=True)
class OwnStanding:
    """The notice of today, and what one person acknowledged themselves: the latest version that counts, and when."""

    notice: Notice | None
    acknowledged: int | None = None
    acknowledged_at: datetime | None = None


async def read_own_standing(session: ReadSession, caller: Caller) -> OwnStanding:
    """Return how a person stands towards the notice of today."""
    notice = await load_notice(session)
    own = [each for each in await load_acknowledgements(session, caller.id) if each.way.is_own]
    for acknowledgement in reversed(own):  # by version, the latest first: mostly the first one counts
        version = await load_notice(session, acknowledgement.notice)
        if version is not None and not lacking(version.texts):
            return OwnStanding(notice, acknowledgement.notice, acknowledgement.acknowledged_at)
    return OwnStanding(notice)


@dataclass(frozen=True, slots=True)
class Covered:
    """One member: how they stand, and the latest version that they acknowledged.

    `name` None: it was erased, or not asked for. `access`: the person has access to the API.
    `rotated_by_other`: whether another person rotated their key within the week before they acknowledged.
    """

    id: UUID
    name: str | None
    access: bool
    standing: NoticeStanding
    acknowledged: int | None
    acknowledged_at: datetime | None
    rotated_by_other: bool
    registered_at: datetime | None
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """All members, by id (oldest first), and how they stand towards the notice of today.

    Paper counts only for those who have no access: the others read and acknowledge themselves. An acknowledgement of a
    version that leaves out what staff must be told does not count.
    """

    notice: Notice
    members: Sequence[Covered]

    @property
    def counts(self) -> Mapping[NoticeStanding, int]:
        """How many members have each standing; every standing is there."""
        counted = Counter(each.standing for each in self.members)
        return {each: counted[each] for each in NoticeStanding}

    @property
    def rotated_by_other(self) -> int:
        """How many know the notice of today by an acknowledgement that another person could have made."""
        return sum(each.rotated_by_other and each.standing is NoticeStanding.ACKNOWLEDGED for each in self.members)


async def read_staff_coverage(session: ReadSession, vault: Vault | None = None) -> Coverage:
    """Return the coverage of today; with the vault, the names too.

    Raises:
        NotFoundError: there is no notice.

    """
    notices = await load_notices(session)
    if not notices:
        raise NotFoundError
    notice, complete = notices[-1], {each.number for each in notices if not lacking(each.texts)}
    members, persons = await load_members(session), {each.id: each for each in await list_persons(session)}
    latest = await latest_of_each(session, complete, own=False)
    own = await latest_of_each(session, complete, own=True)
    with_access = {each.id for each in persons.values() if each.revoked_at is None}
    names = await load_names(session) if vault is not None else {}
    keys = await keys_made(session, persons)
    opened = {} if vault is None else {member: open_name(vault, member, sealed) for member, sealed in names.items()}
    everybody = sorted(members.keys() | persons.keys())
    return Coverage(
        notice,
        [
            _covered(
                identifier,
                notice.number,
                members.get(identifier),
                persons.get(identifier),
                (own if identifier in with_access else latest).get(identifier),
                opened.get(identifier),
                keys.get(identifier, ()),
            )
            for identifier in everybody
        ],
    )


def _covered(  # noqa: PLR0917 - what is known of one member
    identifier: UUID,
    current: int,
    member: Member | None,
    person: Caller | None,
    latest: LatestKnown | None,
    name: str | None,
    keys: Sequence[KeyMade],
) -> Covered:
    left_at = member.left_at if member is not None else None
    if left_at is None and person is not None:
        left_at = person.revoked_at
    version = latest.notice if latest is not None else None
    return Covered(
        id=identifier,
        name=name or (person.name if person is not None else None),
        access=person is not None and person.revoked_at is None,
        standing=standing(current, version, left=left_at is not None),
        acknowledged=version,
        acknowledged_at=latest.acknowledged_at if latest is not None else None,
        rotated_by_other=latest is not None
        and latest.way.is_own
        and rotated_by_other(identifier, keys, latest.acknowledged_at),
        registered_at=member.registered_at if member is not None else None,
        left_at=left_at,
    )


async def read_acknowledgements(session: ReadSession, member: UUID) -> Sequence[MarkedAcknowledgement]:
    """Return what one member acknowledged, by version."""
    return await tell_acknowledgements(session, await load_acknowledgements(session, member))
