"""Whether somebody outside shows since when the log is as it is: computed of what is kept, and never stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

LATE: Final = timedelta(hours=2)
"""How long a checkpoint may wait where the log is stamped each hour."""


class Anchoring(StrEnum):
    """How the log stands. PENDING: nothing was stamped yet, and it is not late. OFF: nobody is asked to stamp it."""

    ANCHORED = "anchored"
    PENDING = "pending"
    LATE = "late"
    OFF = "off"


NOT_ANCHORED: Final = {
    Anchoring.PENDING: "not anchored yet: no time-stamp of the log is kept",
    Anchoring.LATE: "not anchored: the log's time-stamps are late by over an hour",
    Anchoring.OFF: "not anchored: nothing outside shows since when the log is as it is",
}
"""What `/readyz` says of each standing but the good one."""


@dataclass(frozen=True, slots=True)
class AnchoredLog:
    """How far others have stamped or cosigned the log.

    `size`: of the largest checkpoint that they have; None where they have none. `since`: when the first checkpoint
    behind it was signed; None where there is none.
    """

    size: int | None
    since: datetime | None

    def delay(self, now: datetime) -> timedelta:
        """For how long the oldest checkpoint has waited that nobody outside has."""
        return timedelta(0) if self.since is None else max(now - self.since, timedelta(0))

    def standing(self, now: datetime, *, is_on: bool) -> Anchoring:
        """How the log stands. `is_on`: whether an authority is asked to stamp it."""
        late = self.delay(now) > LATE
        if self.size is not None and not late:
            return Anchoring.ANCHORED
        if not is_on:
            return Anchoring.OFF
        return Anchoring.LATE if late else Anchoring.PENDING
