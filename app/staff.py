"""The staff, the notices that they are given, and who has acknowledged which: tables, records, reads and writes."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    Table,
    Text,
    Uuid,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert

from app.core.staff import Notice, NoticeText
from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession

staff_notice = Table(
    "staff_notice",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("published_at", Instant, nullable=False),
    Column("published_by", Uuid),  # None: the text that ships
    Column("title", JSONB, nullable=False),
    Column("body", JSONB, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("title ? 'fr' AND body ? 'fr'", name="in_french"),
)

staff_member = Table(
    "staff_member",
    metadata,
    # A caller's own id where the member is one; it is a member from its first acknowledgement on, or when registered.
    Column("id", Uuid, primary_key=True),
    Column("caller", Uuid, ForeignKey("caller.id", ondelete="RESTRICT")),
    Column("registered_at", Instant, nullable=False),
    Column("registered_by", Uuid),
    Column("left_at", Instant),
    CheckConstraint("caller = id", name="caller_is_its_id"),
)

staff_name = Table(
    "staff_name",
    metadata,
    Column("member", Uuid, ForeignKey("staff_member.id", ondelete="RESTRICT"), primary_key=True),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed_name", LargeBinary, nullable=False),
)

staff_acknowledgement = Table(
    "staff_acknowledgement",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("member", Uuid, ForeignKey("staff_member.id", ondelete="RESTRICT"), nullable=False),
    Column("notice", Integer, ForeignKey("staff_notice.number", ondelete="RESTRICT"), nullable=False),
    Column("language", Text, nullable=False),
    Column("text_sha256", LargeBinary, nullable=False),
    Column("way", Text, nullable=False),
    Column("acknowledged_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Uuid, nullable=False),
    # One that the person made themselves, and one on paper: neither keeps the other from being recorded.
    Index("uq_staff_acknowledgement_own", "member", "notice", unique=True, postgresql_where=text("way <> 'paper'")),
    Index("uq_staff_acknowledgement_paper", "member", "notice", unique=True, postgresql_where=text("way = 'paper'")),
    CheckConstraint("octet_length(text_sha256) = 32", name="text_length"),
    CheckConstraint("way IN ('page', 'api', 'paper')", name="way"),
    CheckConstraint("acknowledged_at <= recorded_at", name="not_ahead"),
)


class AcknowledgementMethod(StrEnum):
    """How an acknowledgement came: by the page, by the API as the person itself, or on paper, recorded by another."""

    PAGE = "page"
    API = "api"
    PAPER = "paper"

    @property
    def is_own(self) -> bool:
        """Whether the person did it themselves, as the caller that they are."""
        return self is not AcknowledgementMethod.PAPER


@dataclass(frozen=True, slots=True)
class Member:
    """One member of staff. `caller`: the person's access to the API, if it has one; its id is the member's then."""

    id: UUID
    caller: UUID | None
    registered_at: datetime
    registered_by: UUID | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One member took note of one version of the notice, in the language in which it was shown.

    `acknowledged_at` is when the person did, `recorded_at` when it was recorded and `recorded_by` by which caller.
    """

    id: UUID
    member: UUID
    notice: int
    language: str
    text_sha256: str
    way: AcknowledgementMethod
    acknowledged_at: datetime
    recorded_at: datetime
    recorded_by: UUID


@dataclass(frozen=True, slots=True)
class LatestKnown:
    """The latest version that a member acknowledged, when and how."""

    notice: int
    acknowledged_at: datetime
    way: AcknowledgementMethod


async def load_notices(session: ReadSession) -> list[Notice]:
    """Return every version, by number."""
    return [_notice(row) for row in await session.execute(select(staff_notice).order_by(staff_notice.c.number))]


async def load_notice(session: ReadSession, number: int | None = None) -> Notice | None:
    """Return a version by its number; without one, the version of today. None when there is none."""
    statement = select(staff_notice).order_by(staff_notice.c.number.desc()).limit(1)
    if number is not None:
        statement = statement.where(staff_notice.c.number == number)
    row = (await session.execute(statement)).first()
    return None if row is None else _notice(row)


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


async def add_member(session: WriteSession, member: Member) -> None:
    """Keep a member; one that is kept already stays as it is."""
    await session.execute(insert(staff_member).values(asdict(member)).on_conflict_do_nothing())


async def load_members(session: ReadSession) -> dict[UUID, Member]:
    """Return every member, those who left included."""
    return {row.id: Member(**row._asdict()) for row in await session.execute(select(staff_member))}


async def hold_member(session: WriteSession, identifier: UUID) -> Member | None:
    """Return one member, if it is kept, locked with its name until the transaction ends."""
    statement = select(staff_member).where(staff_member.c.id == identifier).with_for_update(key_share=True)
    row = (await session.execute(statement)).first()
    return None if row is None else Member(**row._asdict())


async def mark_left(session: WriteSession, member: Member) -> None:
    """Note that a member left, or is back."""
    await session.execute(update(staff_member).where(staff_member.c.id == member.id).values(left_at=member.left_at))


# --- names -----------------------------------------------------------------------------------------------------------

SealedName = tuple[str, bytes, bytes]
"""A name as stored: the master key's id, the wrapped key, the name under that key."""


async def keep_name(session: WriteSession, member: UUID, sealed: SealedName) -> None:
    """Keep the name of a member that is locked, in the place of an earlier one."""
    await destroy_name(session, member)
    row = dict(zip(("master_key_id", "wrapped_key", "sealed_name"), sealed, strict=True))
    await session.execute(insert(staff_name).values(member=member, **row))


async def load_names(session: ReadSession, member: UUID | None = None) -> dict[UUID, SealedName]:
    """Return the names that are kept: of one member, or of all."""
    statement = select(staff_name)
    if member is not None:
        statement = statement.where(staff_name.c.member == member)
    rows = await session.execute(statement)
    return {row.member: (row.master_key_id, row.wrapped_key, row.sealed_name) for row in rows}


async def destroy_name(session: WriteSession, member: UUID) -> None:
    """Destroy a member's name and its key."""
    await session.execute(delete(staff_name).where(staff_name.c.member == member))


# --- acknowledgements ------------------------------------------------------------------------------------------------


async def add_acknowledgement(session: WriteSession, added: Acknowledgement) -> None:
    """Keep an acknowledgement; of a member and a version the first own one stays, and the first on paper."""
    row = {**asdict(added), "text_sha256": bytes.fromhex(added.text_sha256), "way": added.way.value}
    await session.execute(insert(staff_acknowledgement).values(row).on_conflict_do_nothing())


async def load_acknowledgements(session: ReadSession, member: UUID) -> list[Acknowledgement]:
    """Return what a member acknowledged, by version; of one version, in the order in which it was recorded."""
    table = staff_acknowledgement.c
    in_order = select(staff_acknowledgement).order_by(table.notice, table.recorded_at, table.id)
    return [_acknowledgement(row) for row in await session.execute(in_order.where(table.member == member))]


async def latest_of_each(session: ReadSession, among: Collection[int], *, own: bool) -> dict[UUID, LatestKnown]:
    """Return the highest of these versions that each member acknowledged, and how first; `own`: without paper."""
    table = staff_acknowledgement.c
    statement = (
        select(table.member, table.notice, table.acknowledged_at, table.way)
        .ext(distinct_on(table.member))
        .where(table.notice.in_(among))
        .order_by(table.member, table.notice.desc(), table.acknowledged_at)
    )
    if own:
        statement = statement.where(table.way != AcknowledgementMethod.PAPER.value)
    return {
        row.member: LatestKnown(row.notice, row.acknowledged_at, AcknowledgementMethod(row.way))
        for row in await session.execute(statement)
    }


def _acknowledgement(row: Row[Any]) -> Acknowledgement:
    values = {**row._asdict(), "text_sha256": row.text_sha256.hex(), "way": AcknowledgementMethod(row.way)}
    return Acknowledgement(**values)
