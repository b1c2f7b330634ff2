"""Where members of staff, their sealed names and their acknowledgements are kept."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.db.session import ReadSession, WriteSession
from app.staff.records import Acknowledgement, AcknowledgementWay, Member
from app.staff.tables import staff_acknowledgement, staff_member, staff_name


async def add_member(session: WriteSession, member: Member) -> None:
    """Keep a member; one that is kept already stays as it is."""
    row = {
        "id": member.id,
        "caller": member.caller,
        "registered_at": member.registered_at,
        "registered_by": member.registered_by,
    }
    await session.execute(insert(staff_member).values(row).on_conflict_do_nothing())


async def load_members(session: ReadSession) -> dict[UUID, Member]:
    """Every member, those who left included."""
    return {row.id: _member(row) for row in await session.execute(select(staff_member))}


async def load_member(session: ReadSession, identifier: UUID) -> Member | None:
    """One member, if it is kept."""
    row = (await session.execute(select(staff_member).where(staff_member.c.id == identifier))).first()
    return None if row is None else _member(row)


async def mark_left(session: WriteSession, identifier: UUID, at: datetime | None) -> None:
    """Note that a member left, or (None) is back."""
    await session.execute(update(staff_member).where(staff_member.c.id == identifier).values(left_at=at))


# --- names -----------------------------------------------------------------------------------------------------------

SealedName = tuple[str, bytes, bytes]
"""A name as stored: the master key's id, the wrapped key, the name under that key."""


async def keep_name(session: WriteSession, member: UUID, sealed: SealedName) -> None:
    """Keep a member's name, in the place of the one before."""
    await destroy_name(session, member)
    row = dict(zip(("master_key_id", "wrapped_key", "sealed_name"), sealed, strict=True))
    await session.execute(insert(staff_name).values(member=member, **row))


async def load_names(session: ReadSession, member: UUID | None = None) -> dict[UUID, SealedName]:
    """The names that are kept: of one member, or of all."""
    statement = select(staff_name)
    if member is not None:
        statement = statement.where(staff_name.c.member == member)
    found = await session.execute(statement)
    return {row.member: (row.master_key_id, row.wrapped_key, row.sealed_name) for row in found}


async def destroy_name(session: WriteSession, member: UUID) -> None:
    """Destroy a member's name and its key."""
    await session.execute(delete(staff_name).where(staff_name.c.member == member))


# --- acknowledgements ------------------------------------------------------------------------------------------------


async def add_acknowledgement(session: WriteSession, added: Acknowledgement) -> None:
    """Keep an acknowledgement; the first of a member for a version stays."""
    row = {name: getattr(added, name) for name in Acknowledgement.__dataclass_fields__}
    row |= {"text_sha256": bytes.fromhex(added.text_sha256), "way": added.way.value}
    await session.execute(insert(staff_acknowledgement).values(row).on_conflict_do_nothing())


async def load_acknowledgements(session: ReadSession, member: UUID) -> list[Acknowledgement]:
    """What a member acknowledged, by version."""
    table = staff_acknowledgement.c
    found = await session.execute(select(staff_acknowledgement).where(table.member == member).order_by(table.notice))
    return [_acknowledgement(row) for row in found]


async def latest_version(session: ReadSession, member: UUID) -> int | None:
    """The highest version that a member acknowledged."""
    table = staff_acknowledgement.c
    found = await session.execute(select(func.max(table.notice)).where(table.member == member))
    latest: int | None = found.scalar_one()
    return latest


async def latest_of_each(session: ReadSession) -> dict[UUID, tuple[int, datetime]]:
    """The highest version that each member acknowledged, and when."""
    table = staff_acknowledgement.c
    statement = (
        select(table.member, table.notice, table.acknowledged_at)
        .ext(distinct_on(table.member))
        .order_by(table.member, table.notice.desc())
    )
    return {row.member: (row.notice, row.acknowledged_at) for row in await session.execute(statement)}


def _member(row: Row[Any]) -> Member:
    return Member(row.id, row.caller, row.registered_at, row.registered_by, row.left_at)


def _acknowledgement(row: Row[Any]) -> Acknowledgement:
    found = {name: getattr(row, name) for name in Acknowledgement.__dataclass_fields__}
    return Acknowledgement(**{**found, "text_sha256": row.text_sha256.hex(), "way": AcknowledgementWay(row.way)})
