"""Whether somebody else could have made an acknowledgement: who rotates a person's key holds the new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

DOUBTFUL_FOR: Final = timedelta(days=7)
"""How long after a rotation by somebody else an acknowledgement is marked."""


@dataclass(frozen=True, slots=True)
class KeyMade:
    """When a key of a person was made, and by which caller (None: at the command line)."""

    at: datetime
    by: UUID | None


def rotated_by_other(member: UUID, keys: Sequence[KeyMade], acknowledged_at: datetime) -> bool:
    """Whether, within the week before an acknowledgement, somebody else gave the member another key.

    Args:
        member: the person, by the id of their access.
        keys: every key they ever had, the first one first. That one is no rotation: somebody always makes it for them.
        acknowledged_at: when they acknowledged, by their own access.

    """
    rotations = [each.at for each in keys[1:] if each.by != member]
    return any(at <= acknowledged_at < at + DOUBTFUL_FOR for at in rotations)
