"""What an analysis is given on a permit: the elements that were permitted, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Permitted:
    """A message that every local user concerned lets this processing analyse.

    `sender` and `local_members` are there when `correspondent_identity` was asked for, `content` (the event's, without
    attachment and mentions) when `content` was, `attachments` (url, file, info, filename) when `attachments` was; None
    otherwise. The permit must not be used from `valid_until` on (None: the processing is exempt, L32-3 III), and what
    was learnt serves this processing only. `decisions` are the ids under which Sceau logged them.
    """

    processing: str
    valid_until: datetime | None
    decisions: tuple[str, ...]
    room_id: str
    event_id: str
    sent_at: int
    sender: str | None = None
    local_members: tuple[str, ...] | None = None
    content: Mapping[str, Any] | None = None
    attachments: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        """Nothing secret, should it be logged."""
        return f"Permitted({self.processing!r})"
