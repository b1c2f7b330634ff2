"""Acknowledgements that somebody else could have made, because they rotated the person's key shortly before."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.auth.key_store import keys_of
from app.core.staff.rotations import KeyMade
from app.core.staff.rotations import rotated_by_other as is_rotated_by_other
from app.db.session import ReadSession
from app.staff.records import Acknowledgement


@dataclass(frozen=True, slots=True)
class MarkedAcknowledgement:
    """An acknowledgement, and whether somebody else rotated the person's key within the week before it."""

    acknowledgement: Acknowledgement
    rotated_by_other: bool


async def tell_acknowledgements(session: ReadSession, found: Sequence[Acknowledgement]) -> list[MarkedAcknowledgement]:
    """These acknowledgements with their mark. Paper has none: no key makes it."""
    keys = await keys_made(session, {each.member for each in found})
    return [
        MarkedAcknowledgement(
            each, each.way.is_own and is_rotated_by_other(each.member, keys[each.member], each.acknowledged_at)
        )
        for each in found
    ]


async def keys_made(session: ReadSession, members: Collection[UUID]) -> dict[UUID, list[KeyMade]]:
    """Every key that each of these members ever had, the first one first."""
    found = await keys_of(session, members)
    return {member: [KeyMade(each.created_at, each.created_by) for each in keys] for member, keys in found.items()}
