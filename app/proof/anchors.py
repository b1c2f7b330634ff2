"""Keep what others say of checkpoints: time-stamps of authorities, and cosignatures of witnesses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql

from app.db.session import ReadSession, WriteSession
from app.proof.store import proof_anchor, proof_checkpoint
from app.proof.verifier.anchors import Stamp

LATE: Final = timedelta(hours=2)
"""How long a checkpoint may wait for an anchor where the log is stamped each hour."""


class Anchoring(StrEnum):
    """How the log stands. PENDING: nothing is stamped yet, and it is not late. OFF: no authority is asked."""

    ANCHORED = "anchored"
    PENDING = "pending"
    LATE = "late"
    OFF = "off"


NOT_ANCHORED: Final = {
    Anchoring.PENDING: "not anchored yet: no time-stamp of the log is kept",
    Anchoring.LATE: "not anchored: the log's time-stamps are late by over an hour",
    Anchoring.OFF: "not anchored: nothing outside shows since when the log is as it is",
}
"""What `/readyz` says of each standing except `ANCHORED`."""


@dataclass(frozen=True, slots=True)
class AnchoredLog:
    """How far others have stamped or cosigned the log.

    `size`: that of the largest checkpoint that is anchored so; None without one. `since`: when the first checkpoint
    after it was signed; None without one.
    """

    size: int | None
    since: datetime | None

    def delay(self, now: datetime) -> timedelta:
        """Return for how long the oldest checkpoint that is not anchored has waited."""
        return timedelta(0) if self.since is None else max(now - self.since, timedelta(0))

    def standing(self, now: datetime, *, is_on: bool) -> Anchoring:
        """Return how the log stands. `is_on`: whether an authority is asked to stamp it."""
        late = self.delay(now) > LATE
        if self.size is not None and not late:
            return Anchoring.ANCHORED
        if not is_on:
            return Anchoring.OFF
        return Anchoring.LATE if late else Anchoring.PENDING


_NOBODY: Final = ""


class AuthorityError(Exception):
    """There is no time-stamp: the message is a word of `CAUSES`, and quotes nothing of the answer."""


@dataclass(frozen=True, slots=True)
class StampAnswer:
    """What an authority answered, in DER, and what it says."""

    content: bytes
    stamp: Stamp


class AnchorWay(StrEnum):
    """How an outside party said it."""

    STAMP = "stamp"
    COSIGNATURE = "cosignature"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an outside party said of the checkpoint of a size.

    `told_at`: when, by that party's clock. `content`: the answer of an authority in DER, or a signature line of a note,
    UTF-8. `witness`: the verifier key of the cosigner; empty for a stamp.
    """

    size: int
    way: AnchorWay
    told_at: datetime
    content: bytes
    witness: str = _NOBODY


async def add_anchor(session: WriteSession, identifier: UUID, kept_at: datetime, anchor: Anchor) -> bool:
    """Keep an anchor; False if one by the same party is kept of that checkpoint."""
    values = {"size": anchor.size, "way": anchor.way.value, "witness": anchor.witness, "told_at": anchor.told_at}
    put = postgresql.insert(proof_anchor).values(id=identifier, kept_at=kept_at, content=anchor.content, **values)
    put = put.on_conflict_do_nothing(index_elements=["size", "witness"])
    return (await session.execute(put.returning(proof_anchor.c.id))).one_or_none() is not None


async def sizes_anchored(session: ReadSession, first: int, last: int) -> list[int]:
    """Return the sizes of checkpoints that have anchors, from one to another, both included, in order."""
    size = proof_anchor.c.size
    return list(
        (await session.execute(select(size).distinct().where(size.between(first, last)).order_by(size))).scalars()
    )


async def anchors_of(session: ReadSession, sizes: Iterable[int]) -> Sequence[Anchor]:
    """Return the anchors of the checkpoints of some sizes."""
    columns = proof_anchor.c
    wanted = select(proof_anchor).where(columns.size.in_(list(sizes))).order_by(columns.size, columns.witness)
    return [
        Anchor(row.size, AnchorWay(row.way), row.told_at, row.content, row.witness)
        for row in await session.execute(wanted)
    ]


async def notes_of(session: ReadSession, sizes: Iterable[int]) -> dict[int, str]:
    """Return the checkpoints of some sizes, as they were signed."""
    columns = proof_checkpoint.c
    rows = await session.execute(select(columns.size, columns.note).where(columns.size.in_(list(sizes))))
    return {row.size: row.note for row in rows}


async def anchored_log(session: ReadSession) -> AnchoredLog:
    """Return how far others have stamped or cosigned the log, and since when the next checkpoint waits."""
    size: int | None = (await session.execute(select(func.max(proof_anchor.c.size)))).scalar_one()
    columns = proof_checkpoint.c
    behind = select(columns.signed_at).where(columns.size > (size or 0)).order_by(columns.size).limit(1)
    return AnchoredLog(size, (await session.execute(behind)).scalar_one_or_none())


async def anchor_delay(session: ReadSession) -> float:
    """Return for how many seconds the oldest checkpoint without an anchor has waited; 0 where none waits."""
    return (await anchored_log(session)).delay(await session.now()).total_seconds()


async def last_stamped(session: ReadSession) -> tuple[int, datetime] | None:
    """Return the largest size that has a time-stamp, and when that was kept; None where there is none."""
    columns = proof_anchor.c
    stamps = select(columns.size, columns.kept_at).where(columns.way == AnchorWay.STAMP.value)
    row = (await session.execute(stamps.order_by(columns.size.desc()).limit(1))).one_or_none()
    return None if row is None else (row.size, row.kept_at)


async def cosigned_size(session: ReadSession) -> int | None:
    """Return the largest size that has a cosignature."""
    columns = proof_anchor.c
    cosigned = select(func.max(columns.size)).where(columns.witness != _NOBODY)
    size: int | None = (await session.execute(cosigned)).scalar_one()
    return size
