"""Where members of staff, their sealed names and their acknowledgements are kept."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.db.session import ReadSession, WriteSession
from app.staff.records import Acknowledgement, AcknowledgementMethod, LatestKnown, Member
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


async def hold_member(session: WriteSession, identifier: UUID) -> Member | None:
    """As `load_member`, locked with its name until the transaction ends."""
    statement = select(staff_member).where(staff_member.c.id == identifier).with_for_update(key_share=True)
    row = (await session.execute(statement)).first()
    return None if row is None else _member(row)


async def mark_left(session: WriteSession, identifier: UUID, at: datetime | None) -> None:
    """Note that a member left, or (None) is back."""
    await session.execute(update(staff_member).where(staff_member.c.id == identifier).values(left_at=at))


# --- names -----------------------------------------------------------------------------------------------------------

SealedName = tuple[str, bytes, bytes]
"""A name as stored: the master key's id, the wrapped key, the name under that key."""


async def keep_name(session: WriteSession, member: UUID, sealed: SealedName) -> None:
    """Keep the name of a member that is held, in the place of the one before."""
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
    """Keep an acknowledgement; of a member's own for a version, and of those on paper, the first stays."""
    row = {name: getattr(added, name) for name in Acknowledgement.__dataclass_fields__}
    row |= {"text_sha256": bytes.fromhex(added.text_sha256), "way": added.way.value}
    await session.execute(insert(staff_acknowledgement).values(row).on_conflict_do_nothing())


async def load_acknowledgements(session: ReadSession, member: UUID) -> list[Acknowledgement]:
    """What a member acknowledged, by version; of one version, in the order in which it was recorded."""
    table = staff_acknowledgement.c
    in_order = select(staff_acknowledgement).order_by(table.notice, table.recorded_at, table.id)
    return [_acknowledgement(row) for row in await session.execute(in_order.where(table.member == member))]


async def latest_of_each(session: ReadSession, among: Collection[int], *, own: bool) -> dict[UUID, LatestKnown]:
    """The highest of these versions that each member acknowledged, and how first; `own`: without paper."""
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


def _member(row: Row[Any]) -> Member:
    return Member(row.id, row.caller, row.registered_at, row.registered_by, row.left_at)


def _acknowledgement(row: Row[Any]) -> Acknowledgement:
    found = {name: getattr(row, name) for name in Acknowledgement.__dataclass_fields__}
    return Acknowledgement(**{**found, "text_sha256": row.text_sha256.hex(), "way": AcknowledgementMethod(row.way)})
