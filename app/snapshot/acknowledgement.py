"""What a replica has seen, and what it tells the writer that woke it: up to which transactions it has forgotten.

It travels as a notification on a channel that only the writer's own feed listens to. An acknowledgement that is lost
costs time only: the replica's row says the same at its next beat.
"""

from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TransactionSnapshot:
    """`xmin:xmax:xip`: everything below xmin is seen, nothing from xmax on, and nothing of xip."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "TransactionSnapshot":
        """Read PostgreSQL's text form, such as `10:20:10,14`.

        Raises:
            ValueError: it is not that.

        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def shows(self, xid: int) -> bool:
        """Whether a transaction that has committed is seen (`pg_visible_in_snapshot`)."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


CHANGE_CHANNEL: Final = "sceau_change"
"""Where a writer says that it has committed, with the incarnation that wants to be told; or with nothing."""
_LONGEST: Final = 7_500
"""Characters of a notification: PostgreSQL takes fewer than 8,000 bytes."""


def channel_of(incarnation: UUID) -> str:
    """The channel on which an incarnation is told what others have applied."""
    return f"sceau_applied_{incarnation.hex}"


def named(payload: str) -> UUID | None:
    """The incarnation that a notification on `CHANGE_CHANNEL` names; None where it names none."""
    try:
        return UUID(payload)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class ReplicaAcknowledgement:
    """An incarnation has applied what a snapshot of this server shows. `server`: its identity (`app.db.primary`).

    Transactions are numbered by server: what was applied of another one says nothing.
    """

    incarnation: UUID
    snapshot: TransactionSnapshot
    server: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what `acknowledgement_text` wrote; None where it is not that: any role of a database may notify."""
        try:
            incarnation, snapshot, server = text.split(" ", 2)
            return cls(UUID(incarnation), TransactionSnapshot.parse(snapshot), server)
        except ValueError:
            return None


def acknowledgement_text(incarnation: UUID, snapshot: str, server: str) -> str | None:
    """The text of an acknowledgement; None where it is too long to be sent."""
    text = f"{incarnation.hex} {snapshot} {server}"
    return text if len(text) < _LONGEST else None
